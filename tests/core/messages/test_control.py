"""Retract, pause, resume and cancel: who may, when, and what the counts say."""

from typing import Any

import pytest
from sqlalchemy import select, text

from support.flow import Flow, open_flow
from support.queues import change, claim, expanded, filled, intend, parked, record
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, holds
from ums.core.messages import control
from ums.core.messages.control import Tally
from ums.core.reporting import reports
from ums.core.tables import audit, deliveries, messages
from ums.db import database
from ums.errors import CODES, Invalid, NotFound, Refused, Unavailable

STOPS = (control.retract, control.cancel, control.pause)


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def set_message(flow: Flow, **values: Any) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(messages.update().values(**values))


def numbers(tally: Tally) -> dict[str, int]:
    """Those that are not 0; they must add up."""
    names = ("stopped", "waiting", "in_flight", "sent", "unknown", "ended")
    found = {name: getattr(tally, name) for name in names}
    assert sum(found.values()) == tally.audience
    return {name: count for name, count in found.items() if count}


async def mixed(flow: Flow) -> str:
    """A message with deliveries in every state that a running one can have."""
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(12)})
    msgid = await flow.accept(aud_userid=[f"u{i}" for i in range(12)] + ["nobody"])
    await expanded(flow)
    jobs = await claim(flow, 8)
    await intend(flow, jobs[:5])
    await record(flow, jobs[1], "sent")
    await record(flow, jobs[2], "failed")
    await record(flow, jobs[3], "deferred")
    await record(flow, jobs[4], "unknown")
    await record(flow, jobs[5], "deferred", unknown_count=1)
    return msgid


@pytest.mark.parametrize("stop", STOPS)
async def test_the_counts_of_a_message_in_the_middle(flow: Flow, stop: Any) -> None:
    msgid = await mixed(flow)
    tally = await stop(flow.system, None, msgid)
    doubt = 0 if stop is control.pause else 1
    expected = {"stopped": 8 - doubt, "in_flight": 1, "sent": 1, "unknown": 1 + doubt, "ended": 2}
    assert numbers(tally) == expected
    await parked(flow)
    async with flow.system.database.read() as tx:
        assert await control.tally(tx, await control.message_id(tx, None, msgid)) == tally
        info = await reports.message(tx, msgid)
    assert (info.state, info.halt) == (tally.halt, tally.halt)
    assert info.audience == sum(info.counts.values()) == 13


async def test_a_resumed_message_counts_what_will_go_out(flow: Flow) -> None:
    msgid = await mixed(flow)
    await control.pause(flow.system, None, msgid)
    await parked(flow)
    tally = await control.resume(flow.system, None, msgid)
    assert numbers(tally) == {"waiting": 8, "in_flight": 1, "sent": 1, "unknown": 1, "ended": 2}
    assert tally.halt == ""


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("some", [False, True])
async def test_what_is_not_expanded_yet_is_counted(
    flow: Flow, stop: Any, some: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.core.deliveries.expansion.CHUNK", 10)
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(25)})
    msgid = await flow.accept(broadcast=True)
    if some:
        await expansion.expand(flow.system.database)
        assert len(await flow.deliveries(msgid)) == 10
    assert numbers(await stop(flow.system, None, msgid)) == {"stopped": 25}
    await expanded(flow)
    await parked(flow)
    state = "paused" if stop is control.pause else "cancelled"
    assert await flow.counts(msgid) == {state: 25}


async def test_a_second_retraction_has_its_code(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    await control.retract(flow.system, None, msgid)
    with pytest.raises(Refused) as refused:
        await control.retract(flow.system, None, msgid)
    assert (refused.value.status, refused.value.code) == (400, 1015055)
    assert CODES["message_retracted"] == 1015055


@pytest.mark.parametrize("before", ["paused", "cancelled", "refused", "approval"])
async def test_whatever_keeps_a_message_it_can_be_retracted(flow: Flow, before: str) -> None:
    msgid = await flow.send("a@x.cn")
    async with flow.system.database.write() as tx:
        await holds.halt(tx, await control.message_id(tx, None, msgid), before)
    assert numbers(await control.retract(flow.system, None, msgid)) == {"stopped": 1}
    with pytest.raises(Refused):
        await control.retract(flow.system, None, msgid)
    await expanded(flow)
    assert await flow.counts(msgid) == {"cancelled": 1}


async def test_a_retraction_comes_within_24_hours(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    old = clock.now() - control.WINDOW
    await set_message(flow, accepted_at=old - clock.SECOND)
    with pytest.raises(Invalid, match="24 hours"):
        await control.retract(flow.system, None, msgid)
    assert await flow.counts(msgid) == {"queued": 1}
    await set_message(flow, accepted_at=old + clock.MINUTE)
    assert (await control.retract(flow.system, None, msgid)).stopped == 1


async def test_the_24_hours_of_a_scheduled_message_begin_when_it_starts(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    now = clock.now()
    await set_message(flow, accepted_at=now - 5 * clock.DAY, starts_at=now - clock.HOUR)
    assert (await control.retract(flow.system, None, msgid)).stopped == 1


async def test_cancelling_has_no_limit_and_can_be_repeated(flow: Flow) -> None:
    msgid = await filled(flow, 2)
    await set_message(flow, accepted_at=clock.now() - 5 * clock.DAY)
    tally = await control.cancel(flow.system, None, msgid)
    assert (tally.stopped, tally.halt) == (2, "cancelled")
    assert await control.cancel(flow.system, None, msgid) == tally


async def test_cancelling_a_retracted_message_changes_nothing(flow: Flow) -> None:
    msgid = await filled(flow, 2)
    tally = await control.retract(flow.system, None, msgid)
    assert await control.cancel(flow.system, None, msgid) == tally
    assert tally.halt == "retracted"


async def test_pause_and_resume_can_be_repeated(flow: Flow) -> None:
    msgid = await filled(flow, 2)
    paused = await control.pause(flow.system, None, msgid)
    assert await control.pause(flow.system, None, msgid) == paused
    resumed = await control.resume(flow.system, None, msgid)
    assert await control.resume(flow.system, None, msgid) == resumed
    assert (paused.stopped, resumed.waiting) == (2, 2)


@pytest.mark.parametrize("work", [control.pause, control.resume])
@pytest.mark.parametrize(
    ("halt", "reason"),
    [
        ("cancelled", "message_stopped"),
        ("retracted", "message_stopped"),
        ("refused", "message_stopped"),
        ("approval", "awaits_approval"),
    ],
)
async def test_what_makes_no_sense_is_said(flow: Flow, work: Any, halt: str, reason: str) -> None:
    msgid = await filled(flow, 1)
    await set_message(flow, halt=halt)
    with pytest.raises(Invalid) as refused:
        await work(flow.system, None, msgid)
    assert refused.value.reason == reason
    assert halt in refused.value.words() or halt == "approval"


async def test_what_is_over_cannot_be_paused_but_stopped(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    [job] = await claim(flow)
    await intend(flow, [job])
    await record(flow, job, "sent")
    with pytest.raises(Invalid, match="over"):
        await control.pause(flow.system, None, msgid)
    assert numbers(await control.retract(flow.system, None, msgid)) == {"sent": 1}


async def test_a_channel_sees_only_its_own_messages(flow: Flow) -> None:
    other = await open_flow(flow.system, None, "5678")
    stranger, owner = (await other.channel()).id, (await flow.channel()).id
    msgid = await filled(flow, 1)
    for work in (*STOPS, control.resume):
        for name in (msgid, "v:1t:1p:1n:1", "a\x00b", ""):
            with pytest.raises(NotFound):
                await work(flow.system, stranger, name)
    assert await flow.counts(msgid) == {"queued": 1}
    assert (await control.pause(flow.system, owner, msgid)).stopped == 1


async def test_who_did_it_is_written_down_and_who_changed_nothing(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    for work in (control.pause, control.resume, control.cancel):
        for _ in range(2):
            await work(flow.system, None, msgid, actor="somebody")
    async with flow.system.database.read() as tx:
        notes = await tx.rows(select(audit).where(audit.c.actor == "somebody"))
    done = ["message.pause", "message.resume", "message.cancel"]
    assert [note.action for note in notes] == [action for action in done for _ in range(2)]
    assert [note.after for note in notes][1::2] == ["{}"] * 3
    assert "{}" not in [note.after for note in notes][::2]
    assert {note.subject for note in notes} == {msgid}


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_what_a_stopped_process_holds_is_called_in_flight(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped in the middle of its intent may write the dot when it goes on."""
    monkeypatch.setattr(control, "PATIENCE", 0.2)
    msgid = await filled(flow, 3)
    [job, *_] = await claim(flow)
    async with flow.system.database.write() as frozen:
        one = deliveries.c.id == job.id
        await frozen.run(deliveries.update().where(one).values(state="at_dot"))
        tally = await control.retract(flow.system, None, msgid)
        assert numbers(tally) == {"stopped": 2, "in_flight": 1}
    await parked(flow)
    assert await flow.counts(msgid) == {"at_dot": 1, "cancelled": 2}


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_halt_does_not_wait_for_ever_for_claims_that_began_before(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have been stopped in its claim, and who waits here makes all others wait."""
    soon = text("SELECT set_config('lock_timeout', '200ms', true)")
    monkeypatch.setattr(database, "_PATIENCE", soon)
    msgid = await filled(flow, 3)
    async with flow.system.database.write() as frozen:
        await frozen.share(holds.CLAIMING)
        with pytest.raises(Unavailable):
            await control.retract(flow.system, None, msgid)
    assert len(await claim(flow)) == 3
    assert (await control.retract(flow.system, None, msgid)).stopped == 3


async def test_only_the_named_deliveries_are_touched(flow: Flow) -> None:
    one, two = await filled(flow, 3, "one"), await filled(flow, 3, "two")
    await change(flow, deliveries.c.address == "two0@example.cn", state="failed")
    await control.retract(flow.system, None, one)
    await parked(flow)
    assert await flow.counts(one) == {"cancelled": 3}
    assert await flow.counts(two) == {"failed": 1, "queued": 2}
