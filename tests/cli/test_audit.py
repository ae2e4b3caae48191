"""The chain of the audit log from the command line."""

import asyncio
from pathlib import Path

from sqlalchemy import text

from cli.conftest import Ums
from ums.config import Settings
from ums.db import open_database


async def _tamper(settings: Settings) -> None:
    database = open_database(settings.database_url, settings.data_dir)
    async with database.write() as tx:
        await tx.run(text("UPDATE audit SET actor = 'operator:eve' WHERE seq = 1"))
    await database.close()


def test_the_command_finds_what_was_changed(ums: Ums, settings: Settings, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    file = tmp_path / "checkpoint.json"
    assert ums("audit", "checkpoint", "--file", str(file)).status == 0
    sound = ums("audit", "verify", "--checkpoint", str(file), "--json")
    assert sound.json["ok"] is True
    asyncio.run(_tamper(settings))
    broken = ums("audit", "verify")
    assert broken.status == 1
    assert "changed" in broken.out
    shown = ums("audit", "show", "--json").json
    assert (shown["verified"]["ok"], shown["verified"]["first_bad_seq"]) == (False, 1)


def test_what_is_no_checkpoint_is_said_so(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("nothing")
    assert "no checkpoint" in ums("audit", "verify", "--checkpoint", str(file)).complaint


async def _behead(settings: Settings) -> None:
    database = open_database(settings.database_url, settings.data_dir)
    async with database.write() as tx:
        await tx.run(text("DELETE FROM meta WHERE name LIKE 'audit%'"))
        await tx.run(text("UPDATE audit SET seq = NULL, hash = NULL"))
    await database.close()


def test_a_broken_log_goes_on_by_command(ums: Ums, settings: Settings) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    assert ums("audit", "accept").status == 1
    assert ums("audit", "verify").status == 0
    asyncio.run(_behead(settings))
    broken = ums("audit", "verify")
    assert (broken.status, "forged" in broken.out) == (1, True)
    assert "ums audit accept" in ums("audit", "checkpoint").err
    assert ums("audit", "accept").status == 0
    assert ums("audit", "verify").status == 0
