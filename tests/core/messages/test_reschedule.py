"""Moving the start of a scheduled message: exactly, or not at all."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from core.messages.test_scheduling import pass_time, row_of
from support.flow import Flow, open_flow
from support.queues import expanded, take
from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy, QuietHours
from ums.core.deliveries.expansion import expand
from ums.core.messages import control
from ums.core.messages.reschedule import reschedule
from ums.core.messages.scheduling import BULK_LIFE, SINGLE_LIFE
from ums.core.reporting import reports
from ums.core.reporting.reports import MessageInfo
from ums.core.tables import messages
from ums.errors import Invalid, NotFound, Refused


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def shown(flow: Flow, msgid: str) -> MessageInfo:
    async with flow.system.database.read() as tx:
        return await reports.message(tx, msgid)


@pytest.mark.parametrize(("broadcast", "life"), [(False, SINGLE_LIFE), (True, BULK_LIFE)])
async def test_it_starts_at_the_new_time_and_lives_from_there(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, broadcast: bool, life: int
) -> None:
    await flow.add_users({"u1": "u1@x.cn"})
    msgid = await take(flow, broadcast=broadcast, starts_at=clock.now() + clock.HOUR)
    later = clock.now() + 3 * clock.HOUR
    await reschedule(flow.system, None, msgid, later)
    info = await shown(flow, msgid)
    assert (info.state, info.starts_at) == ("scheduled", clock.iso(later))
    assert info.expires_at == clock.iso(later + life)
    await pass_time(flow, monkeypatch, clock.HOUR + clock.MINUTE)
    await expanded(flow)
    assert await flow.deliveries(msgid) == []
    await pass_time(flow, monkeypatch, 2 * clock.HOUR)
    await expanded(flow)
    assert await flow.counts(msgid) == {"queued": 1}


async def test_it_may_come_sooner_and_the_log_says_who_moved_it(flow: Flow) -> None:
    start = clock.now() + clock.DAY
    msgid = await take(flow, starts_at=start)
    sooner = clock.now() + clock.HOUR
    with audit_log.acting("operator:anna"):
        await reschedule(flow.system, None, msgid, sooner)
    async with flow.system.database.read() as tx:
        (entry,) = (await audit_log.list_audit(tx, action="message.reschedule")).items
    assert (entry.actor, entry.subject) == ("operator:anna", msgid)
    assert clock.iso(start) in str(entry)
    assert clock.iso(sooner) in str(entry)


async def test_the_end_that_was_named_stays_unless_another_is(flow: Flow) -> None:
    now = clock.now()
    end = now + 5 * clock.HOUR
    msgid = await take(flow, starts_at=now + clock.HOUR, deliver_by=end)
    await reschedule(flow.system, None, msgid, now + 2 * clock.HOUR)
    assert (await row_of(flow, msgid)).expires_at == end
    with pytest.raises(Invalid, match="deliver_by"):
        await reschedule(flow.system, None, msgid, now + 6 * clock.HOUR)
    await reschedule(flow.system, None, msgid, now + 6 * clock.HOUR, now + 7 * clock.HOUR)
    row = await row_of(flow, msgid)
    assert (row.starts_at, row.expires_at) == (now + 6 * clock.HOUR, now + 7 * clock.HOUR)


@pytest.mark.parametrize("broadcast", [True, False])
async def test_what_has_begun_is_not_moved(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, broadcast: bool
) -> None:
    await flow.add_users({"u1": "u1@x.cn"})
    msgid = await take(flow, broadcast=broadcast, starts_at=clock.now() + clock.HOUR)
    await pass_time(flow, monkeypatch, clock.HOUR + 1)
    await expand(flow.system.database)  # of a broadcast this is the plan alone
    before = await row_of(flow, msgid)
    with pytest.raises(Invalid) as refused:
        await reschedule(flow.system, None, msgid, clock.now() + clock.HOUR)
    assert refused.value.reason == "already_begun"
    after = await row_of(flow, msgid)
    assert (after.starts_at, after.expires_at) == (before.starts_at, before.expires_at)


async def test_expansion_and_a_move_at_the_same_time_agree(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes first: a message that was moved has no deliveries, one that was not has."""
    start = clock.now() + clock.HOUR
    msgids = [await take(flow, starts_at=start) for _ in range(20)]
    await pass_time(flow, monkeypatch, clock.HOUR - 5 * clock.SECOND)
    at = clock.now() + clock.DAY

    async def move(msgid: str) -> bool:
        try:
            await reschedule(flow.system, None, msgid, at)
        except Invalid as error:
            if error.reason != "already_begun":
                raise
            return False
        return True

    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 5 * clock.SECOND)
    moves = [move(msgid) for msgid in msgids]
    _, *moved = await asyncio.gather(expanded(flow), *moves)
    async with flow.system.database.read() as tx:
        rows = await tx.rows(select(messages.c.msgid, messages.c.starts_at, messages.c.state))
    told: dict[str, Any] = {row.msgid: row for row in rows}
    for msgid, was_moved in zip(msgids, moved, strict=True):
        assert (told[msgid].starts_at == at) == was_moved
        assert bool(await flow.deliveries(msgid)) == (not was_moved)


async def test_what_cannot_be_moved(flow: Flow) -> None:
    now = clock.now()
    for start, reason in (
        (now - clock.HOUR, "starts_in_past"),
        (now + 400 * clock.DAY, "starts_too_late"),
    ):
        msgid = await take(flow, starts_at=now + clock.HOUR)
        with pytest.raises(Invalid) as refused:
            await reschedule(flow.system, None, msgid, start)
        assert (refused.value.reason, refused.value.values["field"]) == (reason, "starts_at")
    later = now + 2 * clock.HOUR
    with pytest.raises(Invalid, match="at once"):
        await reschedule(flow.system, None, await take(flow), later)
    await control.cancel(flow.system, None, msgid)
    with pytest.raises(Invalid) as stopped:
        await reschedule(flow.system, None, msgid, later)
    assert stopped.value.reason == "message_stopped"
    with pytest.raises(NotFound):
        await reschedule(flow.system, 4711, msgid, later)


async def test_quiet_hours_put_the_new_start_off_or_refuse_it(flow: Flow) -> None:
    key = (await flow.channel()).key
    msgid = await take(flow, starts_at=clock.now() + clock.MINUTE)
    start = clock.now() + 2 * clock.DAY
    hour = int(clock.iso(start)[11:13])
    begin, end = f"{hour:02}:00", f"{(hour + 1) % 24:02}:00"
    await channels.set_rules(
        flow.system, key, ChannelPolicy(quiet_hours=QuietHours(begin, end, "delay"))
    )
    await reschedule(flow.system, None, msgid, start)
    info = await shown(flow, msgid)
    assert info.starts_at is not None
    assert info.starts_at[11:16] == end
    await channels.set_rules(
        flow.system, key, ChannelPolicy(quiet_hours=QuietHours(begin, end, "refuse"))
    )
    with pytest.raises(Refused):
        await reschedule(flow.system, None, msgid, start)
