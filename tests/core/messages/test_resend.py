"""Sending failed deliveries again: which ones, how often, and for how long."""

from typing import Any

import pytest
from sqlalchemy import select

from support.flow import Flow, open_flow
from support.queues import change, claim, filled, intend, parked, record
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.messages import control
from ums.core.messages import resend as resending
from ums.core.messages.resend import resend
from ums.core.messages.scheduling import BULK_LIFE, SINGLE_LIFE
from ums.core.tables import audit, deliveries, messages
from ums.errors import Invalid, NotFound


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


STATES = ("sent", "failed", "expired", "unknown", "cancelled", "invalid", "suppressed", "failed")
REASONS = ("", "refused", "expired", "no_answer", "retracted", "no_user", "blocked", "policy")


async def ended(flow: Flow) -> str:
    """A message with a delivery in every final state, each tried three times but the expired."""
    msgid = await filled(flow, len(STATES))
    for row, state, reason in zip(await flow.deliveries(msgid), STATES, REASONS, strict=True):
        tries = 0 if state == "expired" else 3
        values = {"state": state, "reason": reason, "tries": tries, "counted_tries": tries}
        await change(flow, deliveries.c.id == row.id, **values, due_at=1)
    return msgid


async def states(flow: Flow, msgid: str) -> list[str]:
    return [row.state for row in await flow.deliveries(msgid)]


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({}, {1, 7}),
        ({"states": ["failed"]}, {1, 7}),
        ({"states": ["expired", "unknown"]}, {2, 3}),
        ({"states": ["failed"], "reasons": ["policy"]}, {7}),
        ({"reasons": ["policy", "no_answer"]}, {3, 7}),
        ({"reasons": ["retracted", "no_user", "", "nothing"]}, set()),
        ({"states": ["failed", "unknown", "expired", "failed"]}, {1, 2, 3, 7}),
    ],
)
async def test_only_what_is_asked_for_goes_back(
    flow: Flow, given: dict[str, Any], places: set[int]
) -> None:
    msgid = await ended(flow)
    result = await resend(flow.system, None, msgid, **given)
    after = await states(flow, msgid)
    assert {i for i, state in enumerate(after) if state in ("queued", "deferred")} == places
    kept = [(a, b) for i, (a, b) in enumerate(zip(after, STATES, strict=True)) if i not in places]
    assert all(a == b for a, b in kept)
    assert (result.resent, result.waiting) == (len(places), len(places))
    assert result.audience == len(STATES)


async def test_the_schedule_begins_anew_and_the_history_stays(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    [job] = await claim(flow)
    await record(flow, job, "failed")
    before = clock.now()
    await resend(flow.system, None, msgid)
    row = await flow.delivery(msgid)
    assert (row.state, row.counted_tries, row.tries, row.reason) == ("deferred", 0, 1, "busy")
    assert row.due_at >= before
    assert len(await flow.attempts(msgid)) == 1
    [again] = await claim(flow)
    assert (again.tries, again.epoch) == (1, job.epoch + 1)


async def test_what_was_never_tried_is_as_new(flow: Flow) -> None:
    msgid = await ended(flow)
    await resend(flow.system, None, msgid, states=["expired"])
    row = (await flow.deliveries(msgid))[2]
    assert (row.state, row.reason, row.unknown_count) == ("queued", "", 0)


async def test_one_more_copy_and_no_second_by_itself(flow: Flow) -> None:
    """The message would resend by itself what is in doubt; here somebody has decided."""
    msgid = await ended(flow)
    await resend(flow.system, None, msgid, states=["unknown"])
    row = (await flow.deliveries(msgid))[3]
    assert (row.state, row.unknown_count) == ("deferred", 1)
    # What may have arrived is not called stopped, also when its new copy was.
    await control.cancel(flow.system, None, msgid)
    await parked(flow)
    assert (await flow.deliveries(msgid))[3].state == "unknown"


async def test_a_late_yes_still_counts(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    [job] = await claim(flow)
    await intend(flow, [job])
    unknown = {"state": "unknown", "reason": "unknown_outcome", "owner": None}
    await change(flow, deliveries.c.id == job.id, **unknown, tries=1)
    await resend(flow.system, None, msgid, states=["unknown"])
    assert await record(flow, job, "sent")
    assert await flow.counts(msgid) == {"sent": 1}


@pytest.mark.parametrize(("broadcast", "life"), [(False, SINGLE_LIFE), (True, BULK_LIFE)])
async def test_a_message_that_is_over_gets_a_new_life(
    flow: Flow, broadcast: bool, life: int
) -> None:
    msgid = await ended(flow)
    async with flow.system.database.write() as tx:
        await tx.run(messages.update().values(expires_at=clock.now() - 1, broadcast=broadcast))
    before = clock.now()
    await resend(flow.system, None, msgid)
    async with flow.system.database.read() as tx:
        end = await tx.value(select(messages.c.expires_at))
    assert before + life <= end <= clock.now() + life


async def test_a_life_that_lasts_is_not_changed(flow: Flow) -> None:
    msgid = await ended(flow)
    end = clock.now() + clock.MINUTE
    async with flow.system.database.write() as tx:
        await tx.run(messages.update().values(expires_at=end))
    await resend(flow.system, None, msgid)
    async with flow.system.database.read() as tx:
        assert await tx.value(select(messages.c.expires_at)) == end


async def test_each_is_sent_again_once_however_fast_it_fails(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunk by chunk, while the engine makes what was resent fail again."""
    monkeypatch.setattr(resending, "CHUNK", 3)
    msgid = await filled(flow, 8)
    await change(flow, deliveries.c.id > 0, state="failed", tries=1)
    chunks: list[int] = []
    revive = resending._revive

    async def and_fail(tx: Any, row: Any) -> None:
        again = deliveries.c.state == "deferred"
        done = await tx.run(deliveries.update().where(again).values(state="unknown"))
        chunks.append(done.count)
        await revive(tx, row)

    monkeypatch.setattr(resending, "_revive", and_fail)
    result = await resend(flow.system, None, msgid, states=["failed", "unknown"])
    assert (result.resent, chunks) == (8, [0, 3, 3])
    assert await flow.counts(msgid) == {"unknown": 6, "deferred": 2}


@pytest.mark.parametrize(
    ("halt", "reason"),
    [
        ("paused", "message_paused"),
        ("approval", "awaits_approval"),
        ("retracted", "message_stopped"),
        ("cancelled", "message_stopped"),
    ],
)
async def test_a_halted_message_is_not_resent(flow: Flow, halt: str, reason: str) -> None:
    msgid = await ended(flow)
    async with flow.system.database.write() as tx:
        await tx.run(messages.update().values(halt=halt))
    with pytest.raises(Invalid) as refused:
        await resend(flow.system, None, msgid)
    assert refused.value.reason == reason
    assert tuple(await states(flow, msgid)) == STATES


@pytest.mark.parametrize("state", ["sent", "cancelled", "invalid", "suppressed", "queued", "x", ""])
async def test_other_states_are_refused(flow: Flow, state: str) -> None:
    msgid = await ended(flow)
    with pytest.raises(Invalid) as refused:
        await resend(flow.system, None, msgid, states=["failed", state])
    assert refused.value.reason == "resend_states"
    assert tuple(await states(flow, msgid)) == STATES


async def test_a_null_byte_is_refused(flow: Flow) -> None:
    with pytest.raises(Invalid) as refused:
        await resend(flow.system, None, await ended(flow), reasons=["a\x00"])
    assert refused.value.reason == "bad_value"


async def test_a_channel_resends_only_its_own(flow: Flow) -> None:
    other = await open_flow(flow.system, None, "5678")
    msgid = await ended(flow)
    with pytest.raises(NotFound):
        await resend(flow.system, (await other.channel()).id, msgid)
    assert tuple(await states(flow, msgid)) == STATES


async def test_it_is_written_down(flow: Flow) -> None:
    msgid = await ended(flow)
    await resend(flow.system, None, msgid, actor="somebody")
    async with flow.system.database.read() as tx:
        [note] = await tx.rows(select(audit).where(audit.c.actor == "somebody"))
    assert (note.action, note.subject, note.detail) == ("message.resend", msgid, "2 deliveries")
