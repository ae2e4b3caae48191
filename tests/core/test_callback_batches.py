"""Batches: when they are tried again, and whose they are."""

import pytest
from sqlalchemy import update

from telling import (
    expanded,
    rows,
    told_flow,
)
from ums import clock
from ums.core import queue
from ums.core.callbacks import batches, schedule, wire
from ums.core.callbacks.batches import Limits
from ums.core.context.app_context import System
from ums.core.tables import callback_addresses, callback_batches, callback_records


def test_the_steps() -> None:
    assert [schedule.pause("hosted", n) for n in range(1, 5)] == [50_000, 50_000, 50_000, None]
    assert schedule.pause("hosted", 1, hint=3_600_000) == 50_000
    total = sum(schedule.STEPS["standard"])
    assert (len(schedule.STEPS["standard"]), total) == (9, (75 * 60 + 35) * 60_000 + 5_000)
    for n, step in enumerate(schedule.STEPS["standard"], 1):
        pause = schedule.pause("standard", n)
        assert pause is not None
        assert 0.8 * step <= pause <= 1.2 * step
    assert schedule.pause("standard", 10) is None
    assert schedule.pause("standard", 1, hint=600_000) == 600_000
    assert schedule.pause("standard", 1, hint=10**9) == clock.HOUR
    assert [schedule.rest("standard", n) for n in (1, 2, 3, 50)] == [5000, 10_000, 20_000, 300_000]
    assert schedule.rest("hosted", 9) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("0", 0), ("-1", 0), ("1.5", 0), ("soon", 0), ("", 0), ("9" * 30, 0)],
)
def test_retry_after(text: str, seconds: int) -> None:
    assert wire._retry_after({"retry-after": text}) == seconds * 1000


def test_retry_after_as_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_700_000_000_000)
    asked = {"retry-after": "Tue, 14 Nov 2023 22:15:20 GMT"}
    assert wire._retry_after(asked) == 120_000
    assert wire._retry_after({"retry-after": "Tue, 14 Nov 2000 22:15:20 GMT"}) == 0


LIMITS = Limits(most=100, age=0)


async def some_records(system: System, count: int) -> None:
    flow = await told_flow(system)
    await flow.send(*(f"a{n}@example.cn" for n in range(count)))
    await expanded(system)


async def taken(system: System, owner: str) -> batches.Batch | None:
    async with system.database.write() as tx:
        return await batches.take(tx, owner, 1, LIMITS)


async def test_a_dead_worker_s_batch_is_taken_over_with_its_id(system: System) -> None:
    await some_records(system, 3)
    async with system.database.write() as tx:
        await queue.beat(tx, "one", 3_600_000)
        await queue.beat(tx, "two", 3_600_000)
    first = await taken(system, "one")
    assert first is not None
    assert await taken(system, "two") is None
    again = await taken(system, "one")  # ours, of which nobody here knows any more
    assert again == first
    async with system.database.write() as tx:
        await queue.bury(tx, "one")
    other = await taken(system, "two")
    assert other is not None
    assert (other.id, other.webhook_id) == (first.id, first.webhook_id)
    async with system.database.write() as tx:
        reply = wire.Reply(True, 200, "")
        assert await batches.settle(tx, "one", first, reply) is None  # too late
        assert await batches.settle(tx, "two", other, reply) == "done"
    found = await rows(system, callback_records)
    assert [row.batch_id for row in found] == [first.id] * 3


async def test_what_is_due_is_seen(system: System) -> None:
    async def due(owner: str = "one", age: int = 0) -> list[int]:
        async with system.database.read() as tx:
            return [one.id for one in await batches.due(tx, owner, Limits(5, age))]

    await some_records(system, 3)
    assert (await due(), await due(age=3_600_000)) == ([1], [])
    async with system.database.write() as tx:
        await queue.beat(tx, "one", 3_600_000)
    batch = await taken(system, "one")
    assert batch is not None
    assert (await due(), await due("two")) == ([1], [])
    async with system.database.write() as tx:
        await batches.settle(tx, "one", batch, wire.Reply(False, 500, "no"))
    assert await due() == []
    async with system.database.write() as tx:
        await tx.run(update(callback_batches).values(due_at=0))
    assert await due("two") == [1]
    async with system.database.write() as tx:
        await tx.run(update(callback_addresses).values(rest_until=clock.now() + 3_600_000))
    assert (await due(), await taken(system, "one")) == ([], None)
