"""The deliveries table as a queue: who may take, change and give back a row."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text

from support.flow import Flow, open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, queue
from ums.core.deliveries.queue import Attempt, Claimed, Result
from ums.core.tables import attempts, deliveries, messages, workers
from ums.core.tables import senders as sender_table
from ums.engine.delivery.journal import Journal


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def filled(flow: Flow, count: int, *, broadcast: bool = False, priority: int = 2) -> str:
    """A message with `count` deliveries in the queue."""
    if broadcast:
        msgid = await flow.broadcast(count, priority)
    else:
        addresses = [f"n{i}@example.cn" for i in range(count)]
        msgid = await flow.send(*addresses, priority=priority)
    while await expansion.expand(flow.system.database):
        pass
    return msgid


async def take(flow: Flow, owner: str = "me", limit: int = 10, priority: int = 2) -> list[Claimed]:
    sender = await flow.sender()
    async with flow.system.database.write() as tx:
        return await queue.claim(tx, owner, sender.id, priority, limit)


def sent(claimed: Claimed, state: str = "sent") -> Result:
    attempt = Attempt(1, clock.now(), 5, "dot", state, state, 250, "2.0.0", "ok")
    tries = claimed.tries + 1
    return Result(claimed.id, claimed.epoch, state, "", clock.now(), tries, tries, 0, attempt)


async def change(flow: Flow, **values: Any) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(deliveries.update().values(**values))


async def states(flow: Flow, msgid: str) -> list[str]:
    return [row.state for row in await flow.deliveries(msgid)]


async def test_a_claim_takes_what_is_due_longest_first(flow: Flow) -> None:
    msgid = await filled(flow, 5)
    rows = await flow.deliveries(msgid)
    async with flow.system.database.write() as tx:
        for place, row in enumerate(rows):
            due = clock.now() + (3_600_000 if place == 4 else -1000 * place)
            await tx.run(deliveries.update().where(deliveries.c.id == row.id).values(due_at=due))
    claimed = await take(flow, limit=3)
    assert [c.id for c in claimed] == sorted(row.id for row in rows[1:4])
    assert {c.epoch for c in claimed} == {1}
    assert [c.id for c in await take(flow)] == [rows[0].id]
    assert await take(flow) == []


async def test_claims_at_the_same_time_share_no_row(flow: Flow) -> None:
    await filled(flow, 60)
    parts = await asyncio.gather(*(take(flow, f"w{i}", 10) for i in range(8)))
    ids = [claimed.id for part in parts for claimed in part]
    assert len(ids) == len(set(ids)) == 60


async def test_only_senders_that_may_send_are_ready(flow: Flow) -> None:
    await filled(flow, 2, priority=3)
    await filled(flow, 2, priority=1)
    sender = await flow.sender()

    async def ready() -> list[tuple[int, int]]:
        async with flow.system.database.read() as tx:
            return await queue.ready(tx)

    async def set_sender(**values: Any) -> None:
        async with flow.system.database.write() as tx:
            await tx.run(sender_table.update().values(**values))

    assert await ready() == [(sender.id, 1), (sender.id, 3)]
    await set_sender(cooldown_until=clock.now() + 60_000)
    assert await ready() == []
    await set_sender(cooldown_until=clock.now() - 1, open=False)
    assert await ready() == []
    await set_sender(open=True)
    await take(flow, priority=1)
    assert await ready() == [(sender.id, 3)]
    await change(flow, due_at=clock.now() + 60_000)
    assert await ready() == []


async def test_an_intent_is_written_only_for_what_is_still_held(flow: Flow) -> None:
    await filled(flow, 4)
    mine, other, later, free = await take(flow, limit=4)
    async with flow.system.database.write() as tx:
        where = deliveries.update().where
        await tx.run(where(deliveries.c.id == other.id).values(owner="you"))
        await tx.run(where(deliveries.c.id == later.id).values(epoch=later.epoch + 1))
        await tx.run(where(deliveries.c.id == free.id).values(state="deferred", owner=None))
        asked = [(c.id, c.epoch) for c in (mine, other, later, free)]
        assert await queue.intend(tx, "me", asked) == {(mine.id, mine.epoch)}
        assert await queue.intend(tx, "me", asked) == set()  # and once


async def test_a_verdict_and_its_attempt_are_stored_together_or_not_at_all(flow: Flow) -> None:
    msgid = await filled(flow, 3)
    mine, stolen, again = await take(flow)
    async with flow.system.database.write() as tx:
        await tx.run(
            deliveries.update().where(deliveries.c.id == stolen.id).values(epoch=stolen.epoch + 1)
        )
        results = [sent(mine), sent(stolen), sent(again)]
        assert await queue.record(tx, "me", results) == {(c.id, c.epoch) for c in (mine, again)}
        assert await queue.record(tx, "me", results) == set()  # told twice, stored once
    assert await states(flow, msgid) == ["sent", "claimed", "sent"]
    assert [a.delivery_id for a in await flow.attempts(msgid)] == [mine.id, again.id]


async def test_a_delivery_that_was_claimed_twice_gets_one_dot(flow: Flow) -> None:
    """A worker that was taken for dead may claim anew what it still holds: of the two claims the
    first is nothing any more, also where both are asked about at once."""
    msgid = await filled(flow, 1)
    (old,) = await take(flow)
    async with flow.system.database.write() as tx:
        await queue.bury(tx, "me")
    (new,) = await take(flow)
    assert (old.id, old.epoch + 1) == (new.id, new.epoch)
    journal = Journal(flow.system.database, "me")
    dots = await asyncio.gather(journal.intend(old), journal.intend(new))
    assert dots == [False, True]
    stored = await asyncio.gather(journal.record(sent(old)), journal.record(sent(new)))
    assert stored == [False, True]
    assert len(await flow.attempts(msgid)) == 1


async def test_what_is_released_goes_back_as_it_was(flow: Flow) -> None:
    msgid = await filled(flow, 3)
    fresh, tried, at_dot = await take(flow)
    async with flow.system.database.write() as tx:
        await tx.run(deliveries.update().where(deliveries.c.id == tried.id).values(tries=2))
        await queue.intend(tx, "me", [(at_dot.id, at_dot.epoch)])
        await queue.release(tx, "you", [(fresh.id, fresh.epoch)])
        await queue.release(tx, "me", [(fresh.id, fresh.epoch + 1)])
    assert await states(flow, msgid) == ["claimed", "claimed", "at_dot"]
    async with flow.system.database.write() as tx:
        await queue.release(tx, "me", [(c.id, c.epoch) for c in (fresh, tried, at_dot)])
    assert await states(flow, msgid) == ["queued", "deferred", "queued"]
    rows = await flow.deliveries(msgid)
    assert {(row.owner, row.counted_tries) for row in rows} == {(None, 0)}
    assert await flow.attempts(msgid) == []


@pytest.mark.parametrize("broadcast", [True, False])
async def test_the_dead_give_back_what_they_held(flow: Flow, broadcast: bool) -> None:
    msgid = await filled(flow, 3, broadcast=broadcast)
    _waiting, at_dot, doubted = await take(flow, "dead")
    async with flow.system.database.write() as tx:
        await queue.beat(tx, "dead", -1)
        await queue.beat(tx, "alive", 60_000)
        await queue.intend(tx, "dead", [(c.id, c.epoch) for c in (at_dot, doubted)])
        await tx.run(
            deliveries.update().where(deliveries.c.id == doubted.id).values(unknown_count=1)
        )
    async with flow.system.database.write() as tx:
        assert await queue.recover(tx, "me", pause=5_000) == 1
    async with flow.system.database.write() as tx:
        await queue.recover(tx, "me")
        assert [row.owner for row in await tx.rows(select(workers))] == ["alive"]
    # Held back, or sent once more and never a third time (I4).
    expected = ["queued", "unknown" if broadcast else "deferred", "unknown"]
    assert await states(flow, msgid) == expected
    rows = await flow.deliveries(msgid)
    assert {row.owner for row in rows} == {None}
    assert [row.tries for row in rows] == [0, 1, 1]
    assert [row.unknown_count for row in rows] == ([0, 0, 1] if broadcast else [0, 1, 1])
    if not broadcast:
        assert rows[1].due_at >= rows[1].updated_at + 5_000
    told = await flow.attempts(msgid)
    assert [(a.delivery_id, a.stage, a.verdict) for a in told] == [
        (at_dot.id, "dot", "unknown"),
        (doubted.id, "dot", "unknown"),
    ]


async def test_doubt_is_not_resolved_by_a_copy_after_the_messages_end(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    (claimed,) = await take(flow, "dead")
    async with flow.system.database.write() as tx:
        await queue.intend(tx, "dead", [(claimed.id, claimed.epoch)])
        await tx.run(messages.update().values(expires_at=clock.now() + 1_000))
        await queue.bury(tx, "dead", 2_000)
    assert await states(flow, msgid) == ["unknown"]


async def test_a_living_worker_keeps_its_rows(flow: Flow) -> None:
    msgid = await filled(flow, 2)
    await take(flow, "alive")
    async with flow.system.database.write() as tx:
        await queue.beat(tx, "alive", 60_000)
        assert await queue.recover(tx, "me") == 0
    assert await states(flow, msgid) == ["claimed", "claimed"]
    async with flow.system.database.write() as tx:
        assert await queue.recover(tx, "me", everyone=True) == 1
    assert await states(flow, msgid) == ["queued", "queued"]


async def test_a_beat_renews_the_lease(flow: Flow) -> None:
    async def lease() -> int:
        async with flow.system.database.read() as tx:
            return await tx.value(select(workers.c.lease_until))

    async with flow.system.database.write() as tx:
        await queue.beat(tx, "me", 1_000)
    first = await lease()
    async with flow.system.database.write() as tx:
        await queue.beat(tx, "me", 60_000)
    assert await lease() >= first + 50_000


async def test_what_a_worker_lost_sight_of_goes_by_what_is_written(flow: Flow) -> None:
    msgid = await filled(flow, 4, broadcast=True)
    kept, lost, at_dot, gone = await take(flow)
    async with flow.system.database.write() as tx:
        await queue.intend(tx, "me", [(at_dot.id, at_dot.epoch)])
        await queue.record(tx, "me", [sent(gone)])
        assert sorted(await queue.held(tx, "me")) == [(c.id, 1) for c in (kept, lost, at_dot)]
        await queue.disown(tx, "me", [(c.id, c.epoch) for c in (lost, at_dot, gone)], 0)
        assert await queue.held(tx, "me") == [(kept.id, kept.epoch)]
    assert await states(flow, msgid) == ["claimed", "queued", "unknown", "sent"]


@pytest.mark.parametrize("state", ["unknown", "deferred"])
async def test_a_late_yes_is_believed_until_somebody_claims_the_row(flow: Flow, state: str) -> None:
    msgid = await filled(flow, 2)
    late, again = await take(flow, "dead")
    given_up = {"state": state, "reason": "unknown_outcome", "owner": None}
    await change(flow, **given_up)
    async with flow.system.database.write() as tx:
        await tx.run(deliveries.update().where(deliveries.c.id == again.id).values(epoch=2))
        no = sent(late, "failed")
        assert await queue.record(tx, "dead", [no]) == set()
        stored = await queue.record(tx, "dead", [sent(late), sent(again)])
        assert stored == {(late.id, late.epoch)}
    assert await states(flow, msgid) == ["sent", state]


async def test_expiry_ends_what_waits_and_nothing_else(flow: Flow) -> None:
    over, fresh = await filled(flow, 4), await filled(flow, 1)
    held, at_dot = await take(flow, limit=2)
    ids = [row.id for row in await flow.deliveries(over)]
    assert [held.id, at_dot.id] == ids[:2]
    async with flow.system.database.write() as tx:
        await tx.run(deliveries.update().where(deliveries.c.id == ids[3]).values(reason="greylist"))
        now = clock.now()
        await tx.run(messages.update().where(messages.c.msgid == over).values(expires_at=now - 5))
        assert await queue.expire(tx, now) == 0  # seen to before
        assert await queue.expire(tx, now - 1_000) == 2
    assert await states(flow, over) == ["claimed", "claimed", "expired", "expired"]
    assert [row.reason for row in await flow.deliveries(over)][2:] == ["expired", "greylist"]
    assert await states(flow, fresh) == ["queued"]


async def test_the_due_deliveries_are_found_by_an_index(flow: Flow, dialect: str) -> None:
    await filled(flow, 3)
    sql = (
        "SELECT id FROM deliveries WHERE sender_id = 1 AND priority = 2"
        " AND state IN ('queued', 'deferred') AND due_at <= 5 ORDER BY due_at, id LIMIT 5"
    )
    async with flow.system.database.read() as tx:
        if dialect == "sqlite":
            plan = " ".join(row.detail for row in await tx.rows(text(f"EXPLAIN QUERY PLAN {sql}")))
        else:
            await tx.run(text("SET LOCAL enable_seqscan = off"))
            plan = " ".join(row[0] for row in await tx.rows(text(f"EXPLAIN {sql}")))
    assert "ix_deliveries_due" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


async def test_hostile_reply_text_can_be_stored(flow: Flow) -> None:
    msgid = await filled(flow, 1)
    (claimed,) = await take(flow)
    reply = "quote ' \" \\ \U0001f4a9 \u2028 {} $1 :x"
    result = sent(claimed)
    assert result.attempt is not None
    result.attempt.reply = reply
    async with flow.system.database.write() as tx:
        await queue.record(tx, "me", [result])
        assert await tx.value(select(attempts.c.reply)) == reply
    assert await states(flow, msgid) == ["sent"]
