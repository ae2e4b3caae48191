"""`ums doctor`: is this installation sound, and if not, what is to be done?"""

import os
import platform
import sqlite3
import stat
import sys
from typing import Any

from ums import __version__
from ums.cli.connection import opened, running
from ums.cli.errors import told
from ums.config import Settings, SettingsError, load
from ums.core.common.encryption import KEY_FILE, load_seal

Finding = dict[str, Any]
REMEDIES = {
    "unavailable": "start PostgreSQL, and check host, port and name in UMS_DATABASE_URL",
    "database": "check user, password and rights in UMS_DATABASE_URL, or restore the last backup",
    "database_url": "correct it: postgresql://user:password@host/name",
    "newer_schema": "install that version, or restore the backup of before the upgrade",
    "older_schema": "set UMS_DATA_DIR or UMS_DATABASE_URL to an empty one, or install that version",
    "server_elsewhere": "wait for it or stop it",
    "system": "make the data folder writable for this user",
}


def _finding(check: str, ok: bool, finding: str, advice: str = "") -> Finding:
    return {"ok": ok, "check": check, "finding": finding, "advice": "" if ok else advice}


async def examine() -> list[Finding]:
    """Every check, whether it passed or not."""
    findings = [_versions()]
    try:
        settings = load()
    except SettingsError as error:
        return [*findings, _finding("settings", False, str(error), "correct or unset it")]
    findings += [_finding("settings", True, _told_settings(settings)), _folder(settings)]
    findings += await _system(settings)
    findings.append(_key(settings))
    return findings


def _versions() -> Finding:
    found = (
        f"UMS {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    return _finding("versions", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _told_settings(settings: Settings) -> str:
    kind = "SQLite" if settings.is_sqlite else "PostgreSQL"
    where = f"{settings.host}:{settings.port}"
    return f"{kind}, data in {settings.data_dir.absolute()}, set to listen on {where}"


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        return _finding("data folder", True, "not there yet; the first start makes it")
    good = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    return _finding("data folder", good, str(folder.absolute()), "make it writable for this user")


async def _system(settings: Settings) -> list[Finding]:
    try:
        async with opened(settings) as door:
            found: list[Finding] = await door.call("doctor")
            return [*await _server(settings), *found]
    except SettingsError as error:
        return [_finding("start", False, str(error), "correct what it names")]
    except Exception as error:  # whatever it is, here it is a finding
        _, message, reason = told(error)
        advice = REMEDIES.get(reason, "see the message")
        return [_finding("database", False, message, advice)]


async def _server(settings: Settings) -> list[Finding]:
    url, version = await running(settings)
    if not url:
        return []
    told = f"UMS {version} runs and answers at {url}"
    return [_finding("server", version == __version__, told, "restart it: it is another version")]


def _key(settings: Settings) -> Finding:
    path = settings.data_dir / KEY_FILE
    try:
        if settings.secret_key:
            where = "UMS_SECRET_KEY"
        elif not path.exists():
            return _finding("key file", True, "not there yet; the first start makes it")
        else:
            where = str(path)
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                told = f"others may read it (mode {mode:o})"
                return _finding("key file", False, told, f"chmod 600 {path}")
        mark = load_seal(settings).fingerprint
    except (SettingsError, OSError) as error:
        return _finding("key file", False, str(error), "restore it from the backup")
    return _finding("key file", True, f"{where}, fingerprint {mark}: back it up")
