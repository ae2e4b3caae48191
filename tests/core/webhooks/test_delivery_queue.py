"""Batches: when they are tried again, and whose they are."""

import pytest
from sqlalchemy import update

from support.telling import expanded, rows, told_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.net import http_client
from ums.core.tables import callback_addresses, callback_batches, callback_records
from ums.core.webhooks import backoff, client, delivery_queue
from ums.core.webhooks.delivery_queue import Limits


def test_the_steps() -> None:
    assert [backoff.pause("hosted", n) for n in range(1, 5)] == [50_000, 50_000, 50_000, None]
    assert backoff.pause("hosted", 1, hint=3_600_000) == 50_000
    total = sum(backoff.STEPS["standard"])
    assert (len(backoff.STEPS["standard"]), total) == (9, (75 * 60 + 35) * 60_000 + 5_000)
    for n, step in enumerate(backoff.STEPS["standard"], 1):
        pause = backoff.pause("standard", n)
        assert pause is not None
        assert 0.8 * step <= pause <= 1.2 * step
    assert backoff.pause("standard", 10) is None
    assert backoff.pause("standard", 1, hint=600_000) == 600_000
    assert backoff.pause("standard", 1, hint=10**9) == clock.HOUR
    assert [backoff.rest("standard", n) for n in (1, 2, 3, 50)] == [5000, 10_000, 20_000, 300_000]
    assert backoff.rest("hosted", 9) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("0", 0), ("-1", 0), ("1.5", 0), ("soon", 0), ("", 0), ("9" * 30, 0)],
)
def test_retry_after(text: str, seconds: int) -> None:
    assert http_client.retry_after({"retry-after": text}) == seconds * 1000


def test_retry_after_as_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_700_000_000_000)
    asked = {"retry-after": "Tue, 14 Nov 2023 22:15:20 GMT"}
    assert http_client.retry_after(asked) == 120_000
    assert http_client.retry_after({"retry-after": "Tue, 14 Nov 2000 22:15:20 GMT"}) == 0


LIMITS = Limits(most=100, age=0)


async def some_records(system: AppContext, count: int) -> None:
    flow = await told_flow(system)
    await flow.send(*(f"a{n}@example.cn" for n in range(count)))
    await expanded(system)


async def taken(system: AppContext, owner: str) -> delivery_queue.Batch | None:
    async with system.database.write() as tx:
        return await delivery_queue.take(tx, owner, 1, LIMITS)


async def test_a_dead_worker_s_batch_is_taken_over_with_its_id(system: AppContext) -> None:
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
        reply = client.Reply(True, 200, "")
        assert await delivery_queue.settle(tx, "one", first, reply) is None  # too late
        assert await delivery_queue.settle(tx, "two", other, reply) == "done"
    found = await rows(system, callback_records)
    assert [row.batch_id for row in found] == [first.id] * 3


async def test_what_is_due_is_seen(system: AppContext) -> None:
    async def due(owner: str = "one", age: int = 0) -> list[int]:
        async with system.database.read() as tx:
            return [one.id for one in await delivery_queue.due(tx, owner, Limits(5, age))]

    await some_records(system, 3)
    assert (await due(), await due(age=3_600_000)) == ([1], [])
    async with system.database.write() as tx:
        await queue.beat(tx, "one", 3_600_000)
    batch = await taken(system, "one")
    assert batch is not None
    assert (await due(), await due("two")) == ([1], [])
    async with system.database.write() as tx:
        await delivery_queue.settle(tx, "one", batch, client.Reply(False, 500, "no"))
    assert await due() == []
    async with system.database.write() as tx:
        await tx.run(update(callback_batches).values(due_at=0))
    assert await due("two") == [1]
    async with system.database.write() as tx:
        await tx.run(update(callback_addresses).values(cooldown_until=clock.now() + 3_600_000))
    assert (await due(), await taken(system, "one")) == ([], None)
