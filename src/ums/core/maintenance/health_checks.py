"""Is what the system stands on sound: the database, its clock, and the key of the secrets?"""

import sys
import time

import structlog
from msgspec import Struct
from sqlalchemy import select, text

from ums import __version__, clock
from ums.core.audit import audit_proof
from ums.core.context.app_context import AppContext
from ums.core.identity.credentials import access_key_context, channel_context
from ums.core.identity.operator_access import required_roles
from ums.core.maintenance import restore_guard, retention
from ums.core.senders.senders import secret_of
from ums.core.tables import messages
from ums.core.webhooks.endpoints import callback_secrets
from ums.db import Tx
from ums.errors import Invalid
from ums.migrations import runner

log = structlog.get_logger()
DRIFT = 2_000  # ms between our clock and the database's


class Finding(Struct, frozen=True):
    """What one check found, and what is to be done when it is not `ok`."""

    ok: bool
    check: str
    finding: str
    advice: str = ""


def finding(check: str, ok: bool, found: str, advice: str) -> Finding:
    return Finding(ok, check, found, "" if ok else advice)


async def examine(system: AppContext) -> list[Finding]:
    """Every check, whether it passed or not."""
    revision = await runner.revision(system.database)
    program = f"UMS {__version__} on Python {sys.version.split()[0]}"
    return [
        finding("engine", True, f"{program} has the database open", ""),
        finding("schema", revision == runner.head(), str(revision), "run `ums migrate`"),
        *await _database(system),
        await _secrets(system),
        await _restored(system),
        await _audit(system),
        _factor(system),
    ]


def _factor(system: AppContext) -> Finding:
    """A choice, so that nothing is wrong with either; it is told, as it is made once."""
    roles = ", ".join(sorted(required_roles(system)))
    hint = "nobody; for administrators: `UMS_TWO_FACTOR_ROLES=administrator`, or page Operators"
    return finding("factor", True, f"a second factor is required of {roles or hint}", "")


async def _restored(system: AppContext) -> Finding:
    held = (await restore_guard.show(system)).backup_at
    if held is None:
        return finding("backup", True, "this is no restored backup", "")
    told = f"restored from a backup of {held}: nothing is sent"
    return finding("backup", False, told, "look at what waits, then run `ums restored confirm`")


async def _audit(system: AppContext) -> Finding:
    if not await retention.may_shorten_log(system):
        told = "`audit_retention_days` was not set by UMS: nothing is removed from the log"
        return finding("audit log", False, told, "find out who wrote it, and set it again")
    problem = (await audit_proof.show(system)).problem
    told = f"broken ({problem}): new entries are not sealed" if problem else "its ends are sound"
    advice = "keep a copy of the database; see `ums audit verify` and `ums audit accept --help`"
    return finding("audit log", not problem, told, advice)


async def _database(system: AppContext) -> list[Finding]:
    async with system.database.read() as tx:
        if system.database.dialect == "sqlite":
            return [await _sqlite(tx), await _newest(tx)]
        return [*await _postgres(tx), await _newest(tx)]


async def _sqlite(tx: Tx) -> Finding:
    state = str(await tx.value(text("PRAGMA quick_check")))
    return finding("database", state == "ok", f"quick_check: {state}", "restore the last backup")


async def _postgres(tx: Tx) -> list[Finding]:
    version = str(await tx.value(text("SHOW server_version")))
    durable = str(await tx.value(text("SHOW fsync"))) == "on"
    theirs = await tx.value(text("SELECT extract(epoch FROM clock_timestamp()) * 1000"))
    drift = round(abs(time.time() * 1000 - float(theirs)))
    told = f"PostgreSQL {version}, fsync {'on' if durable else 'off'}"
    return [
        finding("database", durable, told, "turn fsync on: a power cut may lose accepted mail"),
        finding("clock", drift < DRIFT, f"{drift} ms from the database's", "set up NTP on both"),
    ]


async def _newest(tx: Tx) -> Finding:
    """A clock that went back: what is due would wait for it to catch up."""
    newest = await tx.value(select(messages.c.accepted_at).order_by(messages.c.id.desc()).limit(1))
    now = clock.now()
    ahead = 0 if newest is None else max(newest - now, 0)
    told = clock.iso(now) if ahead < DRIFT else f"{ahead // 1000} s behind the newest message"
    return finding("time", ahead < DRIFT, told, "set the clock, best by NTP")


async def _secrets(system: AppContext) -> Finding:
    bad, good = await unreadable(system)
    told = f"unreadable: {', '.join(bad)}" if bad else f"{good} stored, all readable"
    advice = (
        "restore the key; or, if it is lost: ums key adopt, then ums channel rotate,"
        " ums sender create --change, ums accesskey create, ums callback rotate"
    )
    return finding("secrets", not bad, told, advice)


async def unreadable(system: AppContext) -> tuple[list[str], int]:
    """(the keys and codes whose secret this key cannot read, how many it can)."""
    now = await system.directory.fresh()
    bad: list[str] = []
    for channel in now.channels.values():
        bad += _closed(system, channel.key, channel.secret, channel_context(channel.key))
    for key in now.access_keys.values():
        bad += _closed(system, key.key, key.secret, access_key_context(key.key))
    for sender in now.senders.values():
        try:
            secret_of(system, sender)
        except Invalid:
            bad.append(sender.code)
    telling = await callback_secrets(system)
    for name, secret, context in telling:
        bad += _closed(system, name, secret, context)
    count = len(now.channels) + len(now.access_keys) + len(now.senders) + len(telling)
    return bad, count - len(bad)


def _closed(system: AppContext, name: str, secret: str, context: str) -> list[str]:
    try:
        system.seal.open(secret, context)
    except Invalid:
        return [name]
    return []


async def require_key(system: AppContext) -> None:
    """Say which secrets this key cannot read.

    Raises Invalid when that is all of them, or when the key that seals is missing: with another
    key everybody would be refused, and no secret could be stored.
    """
    system.seal.check_key()
    bad, good = await unreadable(system)
    if bad and not good:
        raise Invalid("secret_unreadable")
    if bad:
        log.error("this key cannot read some secrets; see `ums doctor`", names=bad)
