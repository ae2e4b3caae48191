"""A broken installation is told in one line: never a trace, never a secret, exit status 1."""

import asyncio
import base64
import json
import socket
import sqlite3
from pathlib import Path

import pytest

from cli.conftest import Ums
from cli.terminal import Terminal
from support.databases import beside, execute
from ums.config import Settings


@pytest.fixture
def lived_in(bare: Terminal, here: Ums) -> Terminal:
    """A terminal whose UMS has a channel."""
    assert here(bare, "channel", "create", "Shop", "--key", "shop").status == 0
    return bare


def other_key() -> str:
    return base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize("content", [b"", b"rubbish\n", b"\xff\xfe\x00", "密钥".encode()])
def test_a_corrupted_key_file(lived_in: Terminal, here: Ums, content: bytes) -> None:
    key = lived_in.folder / "ums.key"
    key.write_bytes(content)
    told = f"{key} must hold 32 bytes in base64 (openssl rand -base64 32)"
    assert here(lived_in, "channel", "list").complaint == told
    assert here(lived_in, "channel", "list", "--json").error["reason"] == "settings"
    found = here(lived_in, "doctor")
    assert (found.status, found.err) == (1, "")
    assert "restore it from the backup" in found.out
    assert key.read_bytes() == content  # never overwritten: perhaps it can be mended


def test_a_server_with_a_corrupted_or_foreign_key_does_not_start(lived_in: Terminal) -> None:
    foreign = lived_in.also(UMS_SECRET_KEY=other_key()).ums("serve")
    assert "A stored secret cannot be read" in foreign.complaint
    assert other_key() not in foreign.err
    (lived_in.folder / "ums.key").write_text("rubbish")
    assert "must hold 32 bytes" in lived_in.ums("serve").complaint


def test_a_foreign_key_is_found_by_the_doctor(lived_in: Terminal, here: Ums) -> None:
    foreign = lived_in.also(UMS_SECRET_KEY=other_key())
    found = {one["check"]: one for one in json.loads(here(foreign, "doctor", "--json").out)}
    assert found["secrets"]["finding"] == "unreadable: shop"
    assert "ums key adopt, then ums channel rotate" in found["secrets"]["advice"]
    assert "ums doctor" in here(foreign, "channel", "rotate", "shop").complaint
    # Which is indeed the way out for somebody who lost the key.
    assert here(foreign, "key", "adopt", "--json").status == 0
    assert here(foreign, "channel", "rotate", "shop", "--json").status == 0
    assert here(foreign, "doctor", "--json").status == 0
    assert "is known here" in here(foreign, "key", "adopt").complaint


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("UMS_PORT", "abc", "UMS_PORT='abc' cannot be used: it takes a whole number. Port "),
        ("UMS_PORT", "65536", "UMS_PORT='65536' cannot be used: "),
        ("UMS_LOG_LEVEL", "loud", "UMS_LOG_LEVEL='loud' cannot be used. `debug`, `info`, "),
        ("UMS_LEASE_SECONDS", "nan", "UMS_LEASE_SECONDS='nan' cannot be used: "),
        ("UMS_SMTP_SESSIONS", "0", "UMS_SMTP_SESSIONS='0' cannot be used: "),
        ("UMS_DEMO", "perhaps", "UMS_DEMO='perhaps' cannot be used: it takes true or false. "),
        ("UMS_PROT", "1", "UMS_PROT is not a setting of UMS; see docs/reference/settings.md"),
        ("UMS_SECRET_KEY", "canary", "UMS_SECRET_KEY must hold 32 bytes in base64"),
        ("UMS_FETCH_ALLOW", "here", "UMS_FETCH_ALLOW"),
    ],
)
def test_a_setting_that_cannot_be_used(
    bare: Terminal, here: Ums, name: str, value: str, told: str
) -> None:
    wrong = bare.also(**{name: value})
    assert here(wrong, "channel", "list").complaint.startswith(told)
    found = here(wrong, "doctor")
    assert (found.status, found.err) == (1, "")
    assert name in found.out
    assert "canary" not in found.out


@pytest.mark.parametrize(
    "url",
    ["mysql://u:canary@h/d", "rubbish", "postgresql:/", "postgresql://u:canary@h:port/d", "//"],
)
def test_a_database_url_that_is_none(bare: Terminal, here: Ums, url: str) -> None:
    wrong = bare.also(UMS_DATABASE_URL=url)
    refused = here(wrong, "channel", "list")
    assert refused.complaint.startswith("UMS_DATABASE_URL: ")
    assert "canary" not in refused.err + here(wrong, "doctor").out


def test_postgresql_that_is_down(bare: Terminal, here: Ums) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        down = bare.also(UMS_DATABASE_URL=f"postgresql://u:canary@127.0.0.1:{port}/d")
        told = "The database cannot be reached. Try again. ("
        for refused in (here(down, "channel", "list"), down.ums("serve"), down.ums("work")):
            assert refused.complaint.startswith(told)
            assert "Connect" in refused.complaint
            assert "canary" not in refused.err
        assert "start PostgreSQL" in here(down, "doctor").out


def test_postgresql_that_refuses(bare: Terminal, here: Ums, postgres_server: str) -> None:
    gone = bare.also(UMS_DATABASE_URL=beside(postgres_server, "no_such_database"))
    assert 'database "no_such_database" does not exist' in here(gone, "migrate").complaint
    name = "ums_refused"
    asyncio.run(execute(postgres_server, f"CREATE ROLE {name} LOGIN PASSWORD 'canary'"))
    asyncio.run(execute(postgres_server, f"CREATE DATABASE {name}"))
    try:
        asyncio.run(execute(postgres_server, f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"))
        address = beside(postgres_server, name).rpartition("@")[2]
        denied = bare.also(UMS_DATABASE_URL=f"postgresql://{name}:canary@{address}")
        refused = here(denied, "channel", "list")
        assert refused.complaint.startswith("The database says: permission denied for database")
        assert "canary" not in refused.err
        assert "check user, password and rights" in here(denied, "doctor").out
    finally:
        asyncio.run(execute(postgres_server, f"DROP DATABASE {name}"))
        asyncio.run(execute(postgres_server, f"DROP ROLE {name}"))


def test_a_database_of_a_newer_version(terminal: Terminal, settings: Settings, here: Ums) -> None:
    change = "UPDATE alembic_version SET version_num = 'ff99'"
    if settings.is_sqlite:
        with sqlite3.connect(settings.data_dir / "ums.db") as database:
            database.execute(change)
        database.close()
    else:
        asyncio.run(execute(settings.database_url, change))
    told = "The database was made by a newer UMS (revision ff99); install that version."
    assert here(terminal, "channel", "list").complaint == told
    assert terminal.ums("serve").complaint == told
    assert "restore the backup of before the upgrade" in here(terminal, "doctor").out


def test_a_database_of_before_the_release(
    terminal: Terminal, settings: Settings, here: Ums
) -> None:
    """What became of the file itself, tests/migrations/test_runner.py says."""
    change = "UPDATE alembic_version SET version_num = '0030'"
    if settings.is_sqlite:
        with sqlite3.connect(settings.data_dir / "ums.db") as database:
            database.execute(change)
        database.close()
    else:
        asyncio.run(execute(settings.database_url, change))
    told = "The database was made by UMS 0.1.0, before the first release (revision 0030)."
    commands = [["migrate"], ["channel", "list"], ["status"], ["restored", "confirm"]]
    commands += [["key", "show"], ["channel", "create", "Shop"], ["user", "show", "u1"]]
    for command in commands:
        assert here(terminal, *command).complaint.startswith(told), command
    refused = here(terminal, "message", "list", "--json").error
    assert (refused["code"], refused["reason"]) == (4004, "older_schema")
    assert terminal.ums("serve").complaint.startswith(told)
    if not settings.is_sqlite:
        assert terminal.ums("work").complaint.startswith(told)
    assert "set UMS_DATA_DIR or UMS_DATABASE_URL to an empty one" in here(terminal, "doctor").out


def test_a_file_that_is_no_database(lived_in: Terminal, here: Ums) -> None:
    (lived_in.folder / "ums.db").write_bytes(b"rubbish" * 1000)
    told = here(lived_in, "channel", "list").complaint
    assert told == "The database says: file is not a database (look closer: ums doctor)"
    assert "restore the last backup" in here(lived_in, "doctor").out


def test_a_data_folder_that_is_none(tmp_path: Path, here: Ums) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "var"):
        wrong = Terminal.of(Settings(data_dir=folder))
        assert str(folder) in here(wrong, "channel", "list").complaint
        assert str(folder) in wrong.ums("serve").complaint
        assert here(wrong, "doctor").status == 1


def test_a_defect_is_told_in_a_line_too(
    bare: Terminal, here: Ums, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ums.core.channels import channels

    def broken(_: object) -> None:
        raise ZeroDivisionError("over\nlines")

    monkeypatch.setattr(channels, "list_channels", broken)
    told = here(bare, "channel", "list").complaint
    assert told.startswith("unexpected ZeroDivisionError: over (accounts.py:")
    assert here(bare, "channel", "list", "--json").error["reason"] == "broken"


@pytest.mark.parametrize("arguments", [["work"], ["serve", "--processes", "2"]])
def test_several_processes_need_postgresql(bare: Terminal, here: Ums, arguments: list[str]) -> None:
    assert "PostgreSQL" in here(bare, *arguments).complaint
