"""A restored backup sends nothing before somebody confirms it (reliability.md, F50)."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow
from ums import clock
from ums.cli.connection import opened
from ums.config import Settings
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.maintenance import restore_guard
from ums.core.maintenance.overview import overview
from ums.core.maintenance.restore_guard import FILE
from ums.core.maintenance.startup import open_system
from ums.core.tables import meta
from ums.engine.worker import running

A_WHILE = 1.5  # seconds; a claim takes a fraction of one


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


async def backup_at(system: AppContext) -> str | None:
    return (await restore_guard.show(system)).backup_at


async def test_a_restart_is_no_restore(system: AppContext, server: SmtpServer) -> None:
    flow = await open_flow(system, server)
    for _ in range(2):
        async with running(system):
            msgid = await flow.send("a@x.cn")
            await flow.until_settled(msgid)
        assert await backup_at(system) is None
    assert (await flow.delivery(msgid)).state == "sent"


async def test_a_database_older_than_what_was_seen_sends_nothing(
    system: AppContext, server: SmtpServer
) -> None:
    flow = await open_flow(system, server)
    await restore_guard.check(system.database, system.settings)
    async with system.database.write() as tx:
        await tx.run(update(meta).where(meta.c.name == "seen_at").values(value="1000"))
    msgid = await flow.send("a@x.cn", "b@x.cn")
    async with running(system):
        await asyncio.sleep(A_WHILE)
        assert server.mails == []
        held = await restore_guard.show(system)
        assert (held.backup_at, held.waiting) == ("1970-01-01T00:00:01.000Z", 2)
    async with running(system):  # nor after the next start
        await asyncio.sleep(A_WHILE)
        assert server.mails == []
        await restore_guard.confirm(system)
        await flow.until_settled(msgid)
    assert len(server.mails) == 2
    assert await backup_at(system) is None
    async with system.database.read() as tx:
        actions = [one.action for one in (await audit_log.list_audit(tx)).items]
    assert (actions.count("restored.hold"), actions.count("restored.confirm")) == (1, 1)
    async with running(system):
        assert await backup_at(system) is None


async def test_workers_that_start_at_once_are_no_restore(system: AppContext) -> None:
    for _ in range(20):
        await asyncio.gather(
            *(restore_guard.check(system.database, system.settings) for _ in range(8))
        )
        assert await backup_at(system) is None


async def test_several_workers_find_one_restore(system: AppContext) -> None:
    await restore_guard.check(system.database, system.settings)
    async with system.database.write() as tx:
        await tx.run(update(meta).where(meta.c.name == "seen_at").values(value="1000"))
    await asyncio.gather(*(restore_guard.check(system.database, system.settings) for _ in range(4)))
    assert await backup_at(system) == "1970-01-01T00:00:01.000Z"
    async with system.database.read() as tx:
        actions = [one.action for one in (await audit_log.list_audit(tx)).items]
    assert actions.count("restored.hold") == 1


@pytest.mark.parametrize("written", [0, 1])  # times, before it ends
async def test_a_first_start_that_is_cut_off_is_no_restore(
    system: AppContext, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, replace = [written], Path.replace
    async with system.database.write() as tx:  # as if nobody had ever opened it
        await tx.run(delete(meta).where(meta.c.name.in_(["instance", "seen_at"])))
    (system.settings.data_dir / FILE).unlink()

    def ends(path: Path, target: Path) -> Path:
        if not left[0]:
            raise OSError("the power is lost")
        left[0] -= 1
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", ends)
        with pytest.raises(OSError, match="power"):
            await restore_guard.check(system.database, system.settings)
    await restore_guard.check(system.database, system.settings)
    assert await backup_at(system) is None


async def test_a_machine_that_joins_is_no_restore(system: AppContext) -> None:
    await restore_guard.check(system.database, system.settings)
    (system.settings.data_dir / FILE).unlink()
    await restore_guard.check(system.database, system.settings)
    on_sqlite = system.settings.is_sqlite  # where nobody can join
    assert (await backup_at(system) is not None) == on_sqlite


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"at": "x"}', '{"instance": 1}'])
async def test_a_file_that_is_none_is_like_no_file(system: AppContext, text: str) -> None:
    await restore_guard.check(system.database, system.settings)
    (system.settings.data_dir / FILE).write_text(text)
    await restore_guard.check(system.database, system.settings)
    assert (await backup_at(system) is not None) == system.settings.is_sqlite


async def test_another_installations_file_says_nothing(system: AppContext) -> None:
    await restore_guard.check(system.database, system.settings)
    path = system.settings.data_dir / FILE
    seen = json.loads(path.read_text())
    path.write_text(json.dumps({"instance": "other", "at": seen["at"] + 10**9}))
    await restore_guard.check(system.database, system.settings)
    assert await backup_at(system) is None


@pytest.mark.parametrize("where", ["in its place", "in a folder of its own"])
async def test_the_drill(tmp_path: Path, server: SmtpServer, where: str) -> None:
    """As docs/how-to/backup.md has it: what was sent after the backup is not sent again."""
    settings = Settings(data_dir=tmp_path / "var", demo=False)
    backup = tmp_path / "backup.db"
    async with open_system(settings) as system:
        flow = await open_flow(system, server)
        async with running(system):
            await flow.until_settled(await flow.send("before@x.cn"))
        msgid = await flow.send("a@x.cn")  # waits in the backup
        with sqlite3.connect(f"file:{settings.data_dir}/ums.db?mode=ro", uri=True) as source:
            source.execute("VACUUM INTO ?", (str(backup),))
        async with running(system):
            await flow.until_settled(msgid)
    assert [mail.rcpt_to for mail in server.mails] == ["before@x.cn", "a@x.cn"]
    if where == "in its place":
        for file in settings.data_dir.glob("ums.db*"):
            file.unlink()
    else:
        restored = tmp_path / "restored"
        restored.mkdir()
        shutil.copy(settings.data_dir / "ums.key", restored)
        settings = msgspec.structs.replace(settings, data_dir=restored)
    shutil.copy(backup, settings.data_dir / "ums.db")
    async with open_system(settings) as system:
        flow = Flow(system, "1234")
        async with running(system):
            new = await flow.send("new@x.cn")
            await asyncio.sleep(A_WHILE)
            assert len(server.mails) == 2
            assert (await restore_guard.show(system)).waiting == 2
            await restore_guard.confirm(system)
            await flow.until_settled(new)
            await flow.until_settled(msgid)
    assert sorted(mail.rcpt_to for mail in server.mails[2:]) == ["a@x.cn", "new@x.cn"]


@pytest.mark.parametrize("first", ["doctor", "show", "confirm"])
async def test_a_command_sees_it_before_any_server_does(
    tmp_path: Path, server: SmtpServer, first: str
) -> None:
    """docs/how-to/backup.md looks with `ums doctor` first; and what is confirmed then, counts."""
    old = Settings(data_dir=tmp_path / "var", demo=False)
    async with open_system(old) as system:
        flow = await open_flow(system, server)
        msgid = await flow.send("a@x.cn")
    restored = tmp_path / "restored"
    restored.mkdir()
    for name in ("ums.db", "ums.key"):
        shutil.copy(old.data_dir / name, restored)
    settings = msgspec.structs.replace(old, data_dir=restored)
    async with opened(settings) as door:
        if first == "doctor":
            found = {one["check"]: one["ok"] for one in await door.call("doctor")}
            assert found["backup"] is False
        assert (await door.call("restored.show"))["backup_at"] is not None
        if first == "confirm":
            assert (await door.call("restored.confirm"))["backup_at"] is None
    async with open_system(settings) as system:
        flow = Flow(system, "1234")
        async with running(system):
            held = await backup_at(system) is not None
            assert held == (first != "confirm")
            if held:
                await asyncio.sleep(A_WHILE)
                assert server.mails == []
                await restore_guard.confirm(system)
            await flow.until_settled(msgid)
    assert len(server.mails) == 1


async def test_what_has_no_deliveries_yet_waits_as_well(
    system: AppContext, server: SmtpServer
) -> None:
    """A scheduled message, and a broadcast whose recipients were not listed yet."""
    flow = await open_flow(system, server)
    await restore_guard.check(system.database, system.settings)
    async with system.database.write() as tx:
        await tx.run(update(meta).where(meta.c.name == "seen_at").values(value="1000"))
    await restore_guard.check(system.database, system.settings)
    sent = await flow.send("a@x.cn")
    later = await flow.send("b@x.cn", "c@x.cn", starts_at=clock.now() + clock.HOUR)
    held = await restore_guard.show(system)
    assert (held.waiting, held.messages) == (3, [later, sent])
    assert (await overview(system)).waiting == 3
