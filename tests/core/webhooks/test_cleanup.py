"""What is kept of callbacks, who may look at it, and what is removed."""

from typing import Any

import pytest
from sqlalchemy import update

from support.flow import open_flow, with_settings
from support.telling import expanded, rows, told_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.deliveries import queue
from ums.core.maintenance import health_checks
from ums.core.tables import callback_addresses, callback_batches, callback_records
from ums.core.webhooks import administration, client, delivery_queue, endpoint_rows, endpoints
from ums.core.webhooks.cleanup import sweep
from ums.core.webhooks.delivery_queue import Batch, Limits
from ums.errors import Invalid, NotFound

OLD = 40 * 24 * clock.HOUR


async def ended(system: AppContext, *states: str) -> Channel:
    """A channel with a batch of two records in each of these states."""
    flow = await told_flow(system)
    async with system.database.write() as tx:
        await queue.beat(tx, "me", 3_600_000)
    for state in states:
        await flow.send("a@example.cn", "b@example.cn")
        await expanded(system)
        batch = await take(system)
        async with system.database.write() as tx:
            await delivery_queue.settle(tx, "me", batch, client.Reply(True, 200, ""))
            mine = callback_batches.update().where(callback_batches.c.id == batch.id)
            await tx.run(mine.values(state=state))
    return await flow.channel()


async def take(system: AppContext) -> Batch:
    async with system.database.write() as tx:
        batch = await delivery_queue.take(tx, "me", 1, Limits(100, 0))
    assert batch is not None
    return batch


async def states(system: AppContext) -> list[str]:
    return [row.state for row in await rows(system, callback_batches)]


async def age(system: AppContext, **values: Any) -> None:
    async with system.database.write() as tx:
        await tx.run(update(callback_batches).values(**values))


# -- looking ----------------------------------------------------------------------------------


async def test_a_list_in_pages(system: AppContext) -> None:
    channel = await ended(system, "dead", "done", "dead")
    other = await (await open_flow(system, None, "other")).channel()
    async with system.database.read() as tx:
        page = await administration.list_batches(tx, channel, limit=2)
        assert ([one.id for one in page.items], page.next) == ([1, 2], "2")
        page = await administration.list_batches(tx, channel, after="2")
        assert ([one.id for one in page.items], page.next) == ([3], None)
        page = await administration.list_batches(tx, channel, state="dead", address_id=1)
        assert [one.id for one in page.items] == [1, 3]
        assert (await administration.list_batches(tx, channel, address_id=2)).items == []
        assert (await administration.list_batches(tx, other)).items == []
        detail = await administration.show_batch(tx, channel, 1)
        assert [(record.type, record.sender_id) for record in detail.records] == [
            (0, "a@example.cn"),
            (0, "b@example.cn"),
        ]
        assert (detail.size, detail.state) == (2, "dead")
        with pytest.raises(NotFound):
            await administration.show_batch(tx, other, 1)
        for wrong in ({"limit": 0}, {"limit": 501}, {"state": "x"}):
            with pytest.raises(Invalid):
                await administration.list_batches(tx, channel, **wrong)  # type: ignore[arg-type]


async def test_replaying(system: AppContext) -> None:
    channel = await ended(system, "dead", "done", "dead", "dead")
    other = await (await open_flow(system, None, "other")).channel()
    with pytest.raises(NotFound):
        await administration.replay(system, other, first=1, last=1)
    assert (await administration.replay(system, other, first=1)).batches == 0
    with pytest.raises(NotFound):
        await administration.replay(system, channel, first=2, last=2)  # it is done
    with pytest.raises(Invalid):
        await administration.replay(system, channel)
    assert (await administration.replay(system, channel, first=1, last=1)).batches == 1
    assert (await administration.replay(system, channel, last=3)).batches == 1
    assert await states(system) == ["waiting", "done", "waiting", "dead"]
    assert (await administration.replay(system, channel, address_id=1)).batches == 1
    assert {row.tries for row in await rows(system, callback_batches)} == {0, 1}
    before = (await rows(system, callback_batches))[0].webhook_id
    assert (await take(system)).webhook_id == before


# -- removing ---------------------------------------------------------------------------------


async def test_what_ended_long_ago_is_removed(system: AppContext) -> None:
    await ended(system, "dead", "done", "waiting")
    await sweep(system)
    assert await states(system) == ["dead", "done", "waiting"]
    await age(system, ended_at=clock.now() - 10 * 24 * clock.HOUR)
    await sweep(system)
    assert await states(system) == ["dead", "waiting"]
    await age(system, ended_at=clock.now() - OLD)
    await sweep(system)
    assert await states(system) == ["waiting"]
    assert {row.batch_id for row in await rows(system, callback_records)} == {3}


async def test_many_are_removed_in_parts(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.core.webhooks.cleanup.AT_ONCE", 2)
    monkeypatch.setattr("ums.core.webhooks.cleanup.RECORDS_AT_ONCE", 1)
    channel = await ended(system, "done", "done", "dead", "done", "done")
    with_settings(system, done_callback_retention_days=0)
    await age(system, ended_at=clock.now() - 1000)
    await sweep(system)
    assert await states(system) == ["dead"]
    await endpoints.set_default(system, channel, 2)
    await endpoints.delete(system, channel, 1)
    await sweep(system)
    assert (await states(system), await rows(system, callback_records)) == ([], [])


async def test_what_was_to_be_told_to_a_deleted_address_is_removed(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.send("a@example.cn")
    await expanded(system)
    channel = await flow.channel()
    await endpoints.set_default(system, channel, 2)
    await endpoints.delete(system, channel, 1)
    assert [one.id for one in await endpoint_rows.list_addresses(system, channel)] == [2]
    await sweep(system)
    assert await rows(system, callback_records) == []
    assert len(await rows(system, callback_addresses)) == 2  # stragglers may come yet
    async with system.database.write() as tx:
        gone = callback_addresses.update().where(callback_addresses.c.id == 1)
        await tx.run(gone.values(state_changed_at=clock.now() - 2 * clock.HOUR))
    await sweep(system)
    assert [row.id for row in await rows(system, callback_addresses)] == [2]


async def test_a_disabled_address_keeps_what_is_not_too_old(system: AppContext) -> None:
    await ended(system, "waiting")
    flow_records = await rows(system, callback_records)
    async with system.database.write() as tx:
        await tx.run(update(callback_addresses).values(state="disabled"))
    await sweep(system)
    assert len(await rows(system, callback_records)) == len(flow_records) == 2
    await age(system, last_at=clock.now() - OLD)
    await sweep(system)
    assert await rows(system, callback_records) == []


# -- keys -------------------------------------------------------------------------------------


async def test_a_secret_of_a_lost_key_is_found_and_can_be_replaced(system: AppContext) -> None:
    channel = await ended(system)
    bad, _ = await health_checks.unreadable(system)
    assert bad == ["1234 callback 1", "1234 callback 2"]
    made = await endpoints.rotate(system, channel, 1)
    bad, _ = await health_checks.unreadable(system)
    assert bad == ["1234 callback 2"]
    [row, _] = await rows(system, callback_addresses)
    assert endpoints.secrets_of(system, channel, row) == [made.secret]
