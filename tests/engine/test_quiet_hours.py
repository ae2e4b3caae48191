"""Quiet hours: what is put off at acceptance, at expansion and in the queue, and what is not."""

from typing import Any

import pytest
from sqlalchemy import select, update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow, until
from support.ruling import rule
from support.transition_guard import any_transition
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue, quiet_hours
from ums.core.deliveries.expansion import expand
from ums.core.senders import senders
from ums.core.tables import deliveries, messages
from ums.core.tables import senders as sender_table
from ums.engine import worker
from ums.engine.quiet_hours import keep_quiet
from ums.engine.worker import running
from ums.errors import Refused

DAY = 20_000 * clock.DAY
EVENING, NIGHT, MORNING = (DAY + hours * clock.HOUR for hours in (21, 23, 32))
QUIET = {"start": "22:00", "end": "08:00", "action": "delay"}


class Clock:
    """The time of UMS, which a test moves."""

    def __init__(self) -> None:
        self.offset = 0
        self.real = clock.now

    def set(self, moment: int) -> None:
        self.offset = moment - self.real()

    def now(self) -> int:
        return self.real() + self.offset


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.now)
    monkeypatch.setattr(worker, "QUIET_POLL", 0.05)
    return moved


async def dues(flow: Flow, msgid: str) -> list[int]:
    return [row.due_at for row in await flow.deliveries(msgid)]


async def expanded(flow: Flow, msgid: str) -> list[int]:
    """When its deliveries are due."""
    while await expand(flow.system.database):
        pass
    return await dues(flow, msgid)


async def test_what_comes_in_quiet_hours_begins_when_they_are_over(
    system: AppContext, time: Clock
) -> None:
    flow = await open_flow(system, 25)
    await rule(system, "1234", quiet_hours=QUIET)
    time.set(NIGHT)
    msgid, urgent = await flow.send("a@x.cn"), await flow.send("a@x.cn", priority=1)
    loud = await flow.accept(broadcast=True, option={"priority": 1})
    assert await expanded(flow, msgid) == []
    assert len(await dues(flow, urgent)) == 1
    async with system.database.read() as tx:
        rows = {row.msgid: row for row in await tx.rows(select(messages))}
    assert {one: rows[one].starts_at for one in rows} == {msgid: MORNING, urgent: 0, loud: MORNING}
    # Its lifetime begins when it may begin.
    assert rows[msgid].expires_at == MORNING + 24 * clock.HOUR
    assert rows[loud].expires_at == MORNING + 72 * clock.HOUR
    time.set(MORNING)
    assert len(await expanded(flow, msgid)) == 1


async def test_what_comes_in_quiet_hours_is_refused_where_that_is_the_rule(
    system: AppContext, time: Clock
) -> None:
    flow = await open_flow(system, 25)
    await rule(system, "1234", quiet_hours={**QUIET, "action": "refuse"})
    time.set(NIGHT)
    for work in (flow.send("a@x.cn"), flow.accept(broadcast=True)):
        with pytest.raises(Refused) as refused:
            await work
        assert (refused.value.code, refused.value.reason) == (1015038, "quiet_hours")
        assert clock.iso(MORNING) in str(refused.value)
    assert await flow.send("a@x.cn", priority=1)
    time.set(MORNING)
    assert await flow.send("a@x.cn")


async def test_what_is_expanded_in_quiet_hours_is_due_when_they_are_over(
    system: AppContext, time: Clock
) -> None:
    flow = await open_flow(system, 25)
    await flow.add_users({"u1": "u1@x.cn"})
    await rule(system, "1234", quiet_hours=QUIET)
    time.set(EVENING)
    sent = [
        await flow.send("a@x.cn"),
        await flow.accept(aud_userid=["u1"]),
        await flow.accept(broadcast=True),
    ]
    urgent = await flow.send("a@x.cn", priority=1)
    time.set(NIGHT)
    assert [await expanded(flow, msgid) for msgid in sent] == [[MORNING]] * 3
    assert (await dues(flow, urgent))[0] < MORNING


@pytest.fixture
async def shared(system: AppContext) -> tuple[Flow, Flow]:
    """Two channels with one sender; the first is quiet at night."""
    flow = await open_flow(system, 25)
    await channels.create(system, "Other", "5678")
    await senders.authorise(system, "main", "5678")
    await rule(system, "1234", quiet_hours=QUIET)
    return flow, Flow(system, "5678")


async def test_what_waits_already_is_put_off_when_quiet_hours_begin(
    shared: tuple[Flow, Flow], time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_hours, "FRONT", 7)
    monkeypatch.setattr(quiet_hours, "AT_ONCE", 3)
    flow, other = shared
    time.set(EVENING)
    names = [f"a{i}@x.cn" for i in range(30)]
    waiting, theirs = await flow.send(*names), await other.send(*names)
    urgent, later = await flow.send("u@x.cn", priority=1), await flow.send("l@x.cn")
    for msgid in (waiting, theirs, urgent, later):
        await expanded(flow, msgid)
    await changed(flow, later, due_at=NIGHT + clock.HOUR)
    async with flow.system.database.write() as tx:
        held = await queue.claim(tx, "somebody", 1, 2, 4)
    await changed(flow, waiting, number=-1, state="deferred", tries=1)
    before = await dues(flow, theirs), await dues(flow, urgent)
    assert not await keep_quiet(flow.system)
    time.set(NIGHT - clock.HOUR - 1000)  # a second before they begin
    assert await keep_quiet(flow.system)
    rows = await flow.deliveries(waiting)
    moved = [row.due_at == MORNING for row in rows]
    assert moved == [row.id not in {one.id for one in held} for row in rows]
    assert (await dues(flow, theirs), await dues(flow, urgent)) == before
    assert await dues(flow, later) == [NIGHT + clock.HOUR]
    assert not await keep_quiet(flow.system)
    # A retry that comes due in the night waits as well: it is put off before it is due, and as
    # soon as it stands so far in front that it could be claimed.
    time.set(NIGHT + clock.HOUR - 5000)
    assert not await keep_quiet(flow.system)
    async with flow.system.database.write() as tx:
        assert len(await queue.claim(tx, "somebody", 1, 2, 30)) == 30
    assert await keep_quiet(flow.system)
    assert await dues(flow, later) == [MORNING]


async def changed(flow: Flow, msgid: str, number: int = 0, **values: Any) -> None:
    id = (await flow.deliveries(msgid))[number].id
    async with flow.system.database.write() as tx, any_transition(tx):
        await tx.run(update(deliveries).where(deliveries.c.id == id).values(**values))


async def test_a_broadcast_stops_for_the_night_and_goes_on_in_the_morning(
    system: AppContext, time: Clock
) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        await rule(system, "1234", quiet_hours=QUIET)
        time.set(EVENING)
        await resting(flow, 2 * MORNING)  # none of it goes out before the night
        async with running(system):
            msgid = await flow.broadcast(40)
            await until(lambda: _has(flow, msgid, 40))
            time.set(NIGHT)
            system.directory.forget()
            await until(lambda: _all_due(flow, msgid, MORNING))
            await resting(flow, None)
            # The engine claims, as an urgent message shows, and leaves the broadcast alone.
            assert await flow.until_settled(await flow.send("x@x.cn", priority=1)) == {"sent": 1}
            assert await flow.counts(msgid) == {"queued": 40}
            time.set(MORNING)
            assert await flow.until_settled(msgid) == {"sent": 40}


async def _has(flow: Flow, msgid: str, count: int) -> bool:
    return len(await flow.deliveries(msgid)) == count


async def _all_due(flow: Flow, msgid: str, moment: int) -> bool:
    return set(await dues(flow, msgid)) == {moment}


async def resting(flow: Flow, until_then: int | None) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(update(sender_table).values(cooldown_until=until_then))
