"""What is over goes after its time, and nothing that is still wanted."""

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow, with_settings
from support.transition_guard import any_transition
from ums import clock
from ums.core.audit import audit_chain, audit_log, audit_proof
from ums.core.audit.audit_ends import HEAD
from ums.core.common import metadata
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.maintenance import health_checks, retention
from ums.core.messages import resend
from ums.core.reporting import reports
from ums.core.settings import runtime_settings
from ums.core.tables import attempts, callback_records, deliveries, files, messages
from ums.core.tables import audit as log
from ums.engine.maintenance import tidy
from ums.engine.worker import running

OLD = clock.now() - 40 * clock.DAY


async def count(system: AppContext, table: Any) -> int:
    async with system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(table)))


async def aged(system: AppContext, msgid: str, **more: Any) -> None:
    values = {"accepted_at": OLD, "expires_at": OLD + clock.DAY, **more}
    async with system.database.write() as tx:
        await tx.run(update(messages).where(messages.c.msgid == msgid).values(values))


@pytest.fixture
async def flow(system: AppContext) -> Any:
    async with SmtpServer() as server:
        yield await open_flow(system, server)


async def test_messages_go_with_all_that_is_theirs(flow: Flow) -> None:
    system = flow.system
    async with running(system):
        old = await flow.send("a@x.cn", "b@x.cn")
        young = await flow.send("a@x.cn")
        await flow.until_settled(old)
        await flow.until_settled(young)
    async with system.database.write() as tx:
        id = await tx.value(select(messages.c.id).where(messages.c.msgid == old))
        row = {"message_id": id, "position": 0, "name": "x", "content_type": "t", "data": b"x"}
        await tx.run(insert(files), row)
    await aged(system, old)
    await retention.sweep(system)
    assert await count(system, messages) == 2  # they are kept for ever unless it is said
    with_settings(system, message_retention_days=30)
    await tidy(system, 0)
    left = [await count(system, one) for one in (messages, deliveries, attempts, files)]
    assert left == [1, 1, 1, 0]
    async with system.database.read() as tx:
        assert (await reports.message(tx, young)).counts == {"sent": 1}


async def test_what_is_not_over_stays(flow: Flow) -> None:
    system = flow.system
    with_settings(system, message_retention_days=30)
    msgids = [await flow.send("a@x.cn") for _ in range(4)]
    async with running(system):
        for msgid in msgids:
            await flow.until_settled(msgid)
    waiting, living, unexpanded, told = msgids
    for msgid in msgids:
        await aged(system, msgid)
    await aged(system, living, expires_at=clock.now() + clock.DAY)
    await aged(system, unexpanded, state="accepted")
    async with system.database.write() as tx, any_transition(tx):
        mine = select(messages.c.id).where(messages.c.msgid == waiting).scalar_subquery()
        held = update(deliveries).where(deliveries.c.message_id == mine)
        await tx.run(held.values(state="at_dot", owner="somebody"))
        row = await tx.first(
            select(deliveries.c.id, deliveries.c.message_id)
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(messages.c.msgid == told)
        )
        record = {"address_id": 1, "message_id": row.message_id, "delivery_id": row.id, "type": 2}
        await tx.run(insert(callback_records), {**record, "at": OLD, "code": 0, "error": ""})
    await retention.sweep(system)
    assert await count(system, messages) == 4


async def test_a_large_message_goes_in_parts_that_add_up(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = flow.system
    monkeypatch.setattr("ums.core.maintenance.retention.PART", 3)
    monkeypatch.setattr("ums.core.maintenance.retention.AT_ONCE", 6)
    with_settings(system, message_retention_days=30)
    async with running(system):
        msgid = await flow.broadcast(10)
        await flow.until_settled(msgid)
    await aged(system, msgid)
    await retention.sweep(system)
    async with system.database.read() as tx:
        found = await reports.message(tx, msgid)
    assert (found.audience, found.counts) == (4, {"sent": 4})
    await retention.sweep(system)
    left = [await count(system, one) for one in (messages, deliveries, attempts)]
    assert left == [0, 0, 0]


async def test_a_message_that_is_resent_lives_on(flow: Flow) -> None:
    system = flow.system
    with_settings(system, message_retention_days=30)
    async with running(system):
        msgid = await flow.send("a@x.cn")
        await flow.until_settled(msgid)
    async with system.database.write() as tx, any_transition(tx):
        await tx.run(update(deliveries).values(state="failed"))
    await aged(system, msgid)
    await resend.resend(system, None, msgid)
    await retention.sweep(system)
    assert await count(system, messages) == 1


async def _actions(system: AppContext) -> list[str]:
    async with system.database.read() as tx:
        return [one.action for one in (await audit_log.list_audit(tx)).items]


async def _old_log(system: AppContext) -> None:
    async with system.database.write() as tx:
        await audit_log.note(tx, "old.thing", "x")
        await tx.run(update(log).values(at=OLD))
        await audit_log.note(tx, "new.thing", "x")


async def test_the_log_goes_as_well(system: AppContext) -> None:
    await _old_log(system)
    await runtime_settings.change(system, {"audit_retention_days": 30})
    await retention.sweep(system)
    assert await _actions(system) == ["audit.delete", "settings.change", "new.thing"]
    await retention.sweep(system)
    assert len(await _actions(system)) == 3


async def test_the_environment_says_how_long_the_log_is_kept(system: AppContext) -> None:
    await _old_log(system)
    with_settings(system, audit_retention_days=30)
    await retention.sweep(system)
    assert await _actions(system) == ["audit.delete", "new.thing"]


@pytest.mark.parametrize("before", [None, 40])
async def test_whoever_writes_to_the_database_cannot_have_the_log_removed(
    system: AppContext, before: int | None
) -> None:
    await _old_log(system)
    await runtime_settings.change(system, {"audit_retention_days": before})
    had = await _actions(system)
    async with system.database.write() as tx:
        await metadata.put(tx, "setting:audit_retention_days", "0.00001")
        await touch(tx)
    system.directory.forget()
    await system.directory.now()
    assert system.settings.audit_retention_days == 0.00001
    await retention.sweep(system)
    assert await _actions(system) == had
    [told] = [one for one in await health_checks.examine(system) if one.check == "audit log"]
    assert not told.ok


async def test_a_time_to_keep_that_was_set_before_cannot_be_put_back(system: AppContext) -> None:
    await _old_log(system)
    await runtime_settings.change(system, {"audit_retention_days": 30})
    await audit_chain.seal(system)
    async with system.database.read() as tx:
        older = str(await metadata.value(tx, HEAD))
    await runtime_settings.change(system, {"audit_retention_days": 36_500})
    await audit_chain.seal(system)
    async with system.database.write() as tx:
        await metadata.put(tx, HEAD, older)
        await metadata.put(tx, "setting:audit_retention_days", "30.0")
        await touch(tx)
    system.directory.forget()
    await system.directory.now()
    had = await _actions(system)
    await retention.sweep(system)
    assert await _actions(system) == had
    assert (await audit_proof.verify(system)).problem == "forged"
