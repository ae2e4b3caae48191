"""Halting: from which moment on what may still happen to a message's deliveries."""

import pytest

from support.flow import Flow, open_flow
from support.queues import change, claim, expanded, filled, intend, parked, record, standing
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import holds, queue
from ums.core.messages import control
from ums.core.tables import deliveries, messages
from ums.db import Tx


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def locked(tx: Tx, msgid: str) -> int:
    return (await control.locked(tx, None, msgid)).id


async def halt(flow: Flow, msgid: str, kind: str) -> None:
    """The halt alone: as if its process had died right after it."""
    async with flow.system.database.write() as tx:
        await holds.halt(tx, await locked(tx, msgid), kind)


async def resume(flow: Flow, msgid: str) -> None:
    async with flow.system.database.write() as tx:
        await holds.resume(tx, await locked(tx, msgid))


async def caught(flow: Flow, msgid: str) -> bool:
    async with flow.system.database.write() as tx:
        return await holds.caught(tx, await control.message_id(tx, None, msgid))


async def test_no_claim_touches_a_halted_message(flow: Flow) -> None:
    stopped, other = await filled(flow, 5, "s"), await filled(flow, 3, "o")
    await halt(flow, stopped, "retracted")
    assert len(await claim(flow)) == 3
    assert await flow.counts(stopped) == {"queued": 5}
    assert await flow.counts(other) == {"claimed": 3}


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("paused", "paused", ""),
        ("cancelled", "cancelled", "cancelled"),
        ("retracted", "cancelled", "retracted"),
        ("refused", "cancelled", "not_approved"),
    ],
)
async def test_what_is_claimed_is_taken_and_gets_no_dot(
    flow: Flow, kind: str, state: str, reason: str
) -> None:
    msgid = await filled(flow, 6)
    jobs = await claim(flow, 4)
    assert await intend(flow, jobs[:1]) == {jobs[0].id}
    await halt(flow, msgid, kind)
    assert await caught(flow, msgid)
    assert await intend(flow, jobs[1:]) == set()
    assert not await record(flow, jobs[1], "sent")
    assert await flow.counts(msgid) == {"at_dot": 1, state: 3, "queued": 2}
    await parked(flow)
    assert await flow.counts(msgid) == {"at_dot": 1, state: 5}
    rows = await flow.deliveries(msgid)
    assert {(row.state, row.reason) for row in rows[1:]} == {(state, reason)}
    assert {row.owner for row in rows[1:]} == {None}
    assert await standing(flow) == [kind]  # what is at the dot may come back
    assert await record(flow, jobs[0], "deferred")
    await parked(flow)
    assert {row.state for row in await flow.deliveries(msgid)} == {state}
    assert await standing(flow) == []


async def test_parking_goes_in_chunks_and_says_what_it_parked(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "CHUNK", 4)
    msgid = await filled(flow, 10)
    await halt(flow, msgid, "cancelled")
    sizes: list[int] = []
    done = holds.Done([], [], 0)
    while not done.over:
        async with flow.system.database.write() as tx:
            done = await holds.work(tx)
        sizes.append(len(done.moved))
        assert {(row.state, row.reason) for row in done.moved} == {("cancelled", "cancelled")}
    assert sizes == [4, 4, 2]
    assert [row.kind for row in done.over] == ["cancelled"]


async def test_many_messages_are_parked_together(flow: Flow) -> None:
    msgids = [await filled(flow, 2, f"m{i}.") for i in range(4)]
    for msgid, kind in zip(msgids, ["paused", "cancelled", "retracted", "paused"], strict=True):
        await halt(flow, msgid, kind)
    assert await parked(flow) == 1
    assert [await flow.counts(msgid) for msgid in msgids] == [
        {"paused": 2},
        {"cancelled": 2},
        {"cancelled": 2},
        {"paused": 2},
    ]


async def test_a_large_message_does_not_keep_the_others_waiting(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "CHUNK", 4)
    monkeypatch.setattr(holds, "BATCH", 2)
    large, *small = [await filled(flow, count, f"m{count}.") for count in (20, 1, 2, 3)]
    for msgid in (large, *small):
        await halt(flow, msgid, "cancelled")
    after = 0
    for _ in range(3):
        async with flow.system.database.write() as tx:
            after = (await holds.work(tx, after)).last
    assert await flow.counts(large) == {"queued": 16, "cancelled": 4}
    for msgid, count in zip(small, (1, 2, 3), strict=True):
        assert await flow.counts(msgid) == {"cancelled": count}
    await parked(flow)
    assert await flow.counts(large) == {"cancelled": 20}


async def test_a_resumed_message_goes_on_where_it_was(flow: Flow) -> None:
    msgid = await filled(flow, 6)
    first, second, third, *_ = await claim(flow, 3)
    await intend(flow, [first])
    await record(flow, first, "sent")
    await record(flow, second, "deferred")
    later = clock.now() + clock.HOUR
    await change(flow, deliveries.c.id == second.id, due_at=later)
    before = await flow.deliveries(msgid)
    await halt(flow, msgid, "paused")
    await caught(flow, msgid)
    await parked(flow)
    assert await flow.counts(msgid) == {"sent": 1, "paused": 5}
    await resume(flow, msgid)
    await parked(flow)
    after = await flow.deliveries(msgid)
    assert [row.state for row in after] == ["sent", "deferred"] + ["queued"] * 4
    assert [(r.due_at, r.tries, r.counted_tries) for r in after] == [
        (r.due_at, r.tries, r.counted_tries) for r in before
    ]
    assert [job.id for job in await claim(flow)] == [third.id, *(row.id for row in after[3:])]
    assert await standing(flow) == []


async def test_a_resume_overtakes_the_parking(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "CHUNK", 3)
    msgid = await filled(flow, 8)
    await halt(flow, msgid, "paused")
    async with flow.system.database.write() as tx:
        await holds.work(tx)
    await resume(flow, msgid)
    assert len(await claim(flow, 2)) == 2  # what is not parked goes at once
    await parked(flow)
    assert await flow.counts(msgid) == {"claimed": 2, "queued": 6}


async def test_a_pause_overtakes_the_resuming(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "CHUNK", 3)
    msgid = await filled(flow, 8)
    await halt(flow, msgid, "paused")
    await parked(flow)
    await resume(flow, msgid)
    async with flow.system.database.write() as tx:
        await holds.work(tx)
    await halt(flow, msgid, "paused")
    assert await claim(flow) == []
    await parked(flow)
    assert await flow.counts(msgid) == {"paused": 8}


async def test_a_late_catch_leaves_a_resumed_message_alone(flow: Flow) -> None:
    """Somebody resumed it between the halt's transaction and the next."""
    msgid = await filled(flow, 3)
    await halt(flow, msgid, "paused")
    await resume(flow, msgid)
    await claim(flow)
    assert await caught(flow, msgid)
    assert await flow.counts(msgid) == {"claimed": 3}
    await parked(flow)
    assert await caught(flow, msgid)
    assert await flow.counts(msgid) == {"claimed": 3}


async def test_a_paused_message_can_be_stopped_for_good(flow: Flow) -> None:
    msgid = await filled(flow, 3)
    await halt(flow, msgid, "paused")
    await parked(flow)
    await halt(flow, msgid, "retracted")
    await parked(flow)
    rows = await flow.deliveries(msgid)
    assert {(row.state, row.reason) for row in rows} == {("cancelled", "retracted")}


@pytest.mark.parametrize("reason", ["no_answer", "unknown_outcome", "greylist"])
async def test_what_may_have_arrived_is_not_called_stopped(flow: Flow, reason: str) -> None:
    """It was sent with an unknown outcome and waits for its second try."""
    msgid = await filled(flow, 3)
    jobs = await claim(flow)
    await change(flow, deliveries.c.id == jobs[0].id, unknown_count=1, tries=1, reason=reason)
    await halt(flow, msgid, "cancelled")
    await parked(flow)
    assert await flow.counts(msgid) == {"unknown": 1, "cancelled": 2}
    row = (await flow.deliveries(msgid))[0]
    assert row.reason == ("no_answer" if reason == "no_answer" else "unknown_outcome")


@pytest.mark.parametrize(("kind", "state"), [("paused", "paused"), ("retracted", "unknown")])
async def test_a_late_yes_clears_the_doubt_of_a_halted_delivery(
    flow: Flow, kind: str, state: str
) -> None:
    msgid = await filled(flow, 1)
    jobs = await claim(flow)
    await intend(flow, jobs)
    async with flow.system.database.write() as tx:
        await queue.bury(tx, "me")
    assert await flow.counts(msgid) == {"deferred": 1}
    await halt(flow, msgid, kind)
    await parked(flow)
    assert await flow.counts(msgid) == {state: 1}
    assert await record(flow, jobs[0], "sent")
    assert await flow.counts(msgid) == {"sent": 1}


async def test_what_comes_back_from_a_dead_worker_is_parked(flow: Flow) -> None:
    msgid = await filled(flow, 4)
    jobs = await claim(flow, 3)
    await intend(flow, jobs[:1])
    await halt(flow, msgid, "cancelled")
    async with flow.system.database.write() as tx:
        await queue.bury(tx, "me")
    assert await claim(flow) == []
    await parked(flow)
    assert await flow.counts(msgid) == {"unknown": 1, "cancelled": 3}
    assert await standing(flow) == []


async def test_what_is_paused_ends_with_the_message_s_life(flow: Flow) -> None:
    msgid = await filled(flow, 2)
    await halt(flow, msgid, "paused")
    await parked(flow)
    async with flow.system.database.write() as tx:
        await tx.run(messages.update().values(expires_at=clock.now()))
        assert await queue.expire(tx, 0) == 2
    assert await flow.counts(msgid) == {"expired": 2}


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("paused", "paused", ""),
        ("retracted", "cancelled", "retracted"),
        ("refused", "cancelled", "not_approved"),
    ],
)
async def test_a_halted_message_is_expanded_into_parked_rows(
    flow: Flow, kind: str, state: str, reason: str
) -> None:
    await flow.add_users({"u1": "a@x.cn", "u2": "a@x.cn", "u3": "c@x.cn"})
    direct = await flow.send("d@x.cn")
    listed = await flow.accept(aud_userid=["u1", "nobody"])
    everyone = await flow.accept(broadcast=True)
    for msgid in (direct, listed, everyone):
        await halt(flow, msgid, kind)
    await expanded(flow)
    assert await claim(flow) == []
    assert await flow.counts(direct) == {state: 1}
    assert await flow.counts(listed) == {state: 1, "invalid": 1}
    assert await flow.counts(everyone) == {state: 2, "invalid": 1}
    rows = [row for msgid in (direct, listed, everyone) for row in await flow.deliveries(msgid)]
    assert {row.reason for row in rows} == {reason, "no_user", "duplicate"}
    await parked(flow)
    assert await standing(flow) == []


async def test_what_waits_for_approval_is_not_expanded(flow: Flow) -> None:
    msgid = await flow.send("a@x.cn")
    await halt(flow, msgid, "approval")
    await expanded(flow)
    assert await flow.deliveries(msgid) == []
    await resume(flow, msgid)
    await expanded(flow)
    await parked(flow)
    assert await flow.counts(msgid) == {"queued": 1}
    assert await standing(flow) == []
