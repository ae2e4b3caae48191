"""What is told of which deliveries, written with the state it tells of."""

from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import DBAPIError

from support.fakes import SmtpServer
from support.flow import open_flow
from support.telling import (
    attempt,
    claimed,
    expanded,
    message,
    result,
    rows,
    set_rules,
    told,
    told_flow,
)
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.deliveries import queue, suppressions
from ums.core.deliveries.expansion import expand
from ums.core.deliveries.queue import Result
from ums.core.tables import callback_addresses, callback_records, deliveries, messages
from ums.core.tables.states import EventType
from ums.core.webhooks import outbox
from ums.core.webhooks.outbox import FOLLOWS, wanted
from ums.db import Statement
from ums.engine.worker import running
from ums.errors import Invalid

# -- what a message wants ---------------------------------------------------------------------


def test_a_channel_chooses_what_it_is_told() -> None:
    assert wanted(ChannelPolicy()) == 0b1_1111_1111
    assert wanted(ChannelPolicy(statuses=(2, 3))) == 0b1100
    assert wanted(ChannelPolicy(statuses=(2, 2, 99, -1))) == 0b100
    assert wanted(ChannelPolicy(statuses=())) == 0
    assert wanted(ChannelPolicy(callbacks=False)) == 0
    assert (
        wanted(ChannelPolicy(statuses=(4,), submitted_is_delivered=True)) == 1 << FOLLOWS | 1 << 4
    )
    assert wanted(ChannelPolicy(statuses=(), submitted_is_delivered=True)) == 0


async def test_the_default_address_is_told(system: AppContext) -> None:
    flow = await told_flow(system)
    found = await message(system, await flow.send("a@example.cn"))
    assert (found.callback_id, found.event_mask) == (1, 0b1_1111_1111)


async def test_a_request_names_its_own_address(system: AppContext) -> None:
    flow = await told_flow(system)
    msgid = await flow.send("a@example.cn", callback={"url": "http://other.example/"})
    assert (await message(system, msgid)).callback_id == 2


@pytest.mark.parametrize("url", ["http://unknown.example/", "http://other.example", "x"])
async def test_an_unknown_address_refuses_the_request(system: AppContext, url: str) -> None:
    flow = await told_flow(system)
    with pytest.raises(Invalid) as refused:
        await flow.send("a@example.cn", callback={"url": url})
    assert (refused.value.code, refused.value.reason) == (4004, "callback_unknown")
    assert await rows(system, messages) == []


async def test_an_address_of_another_channel_is_unknown(system: AppContext) -> None:
    await told_flow(system)
    other = await open_flow(system, 1, "other", code="two", name="Two")
    with pytest.raises(Invalid) as refused:
        await other.send("a@example.cn", callback={"url": "http://other.example/"})
    assert refused.value.reason == "callback_unknown"
    assert (await message(system, await other.send("a@example.cn"))).callback_id is None


async def test_with_the_switch_off_nothing_is_told(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(callbacks=False))
    named = await flow.send("a@example.cn", callback={"url": "http://other.example/"})
    found = await message(system, named)
    assert (found.callback_id, found.event_mask) == (None, 0)
    await expanded(system)
    assert await told(system) == []


async def test_later_rules_do_not_matter(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(0, 2)))
    await flow.send("a@example.cn")
    await set_rules(system, flow.key, ChannelPolicy(callbacks=False))
    await expanded(system)
    assert await told(system) == [(1, 0)]


# -- expansion --------------------------------------------------------------------------------


async def test_the_valid_and_the_invalid_of_users(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.add_users({"u1": "a@example.cn", "u2": "a@example.cn"})
    await flow.accept(aud_userid=["u1", "u2", "u3"])
    await expanded(system)
    found = await rows(system, callback_records)
    assert [(row.type, row.code, row.error) for row in found] == [
        (0, 0, ""),
        (1, 4004, "duplicate"),
        (1, 4004, "no_user"),
    ]


async def test_a_suppressed_address_is_an_invalid_target(system: AppContext) -> None:
    flow = await told_flow(system)
    await suppressions.add(system, await flow.channel(), ["a@example.cn"])
    await flow.send("a@example.cn", "b@example.cn")
    await expanded(system)
    found = await rows(system, callback_records)
    assert [(row.type, row.error) for row in found] == [(1, "suppressed"), (0, "")]


async def test_a_broadcast_in_chunks_and_its_strangers(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.core.deliveries.expansion.CHUNK", 3)
    flow = await told_flow(system)
    await flow.add_users({f"u{n}": f"u{n}@example.cn" for n in range(8)})
    quiet = await open_flow(system, 1, "other", code="two", name="Two")
    await quiet.accept(broadcast=True)
    await flow.accept(broadcast=True)
    await expanded(system)
    mine = [row for row in await rows(system, deliveries) if row.message_id == 2]
    assert await told(system) == [(row.id, 0) for row in mine]
    assert len(mine) == 8


async def test_a_large_audience_with_unknown_userids(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.add_users({"u1": "a@example.cn"})
    await flow.accept(aud_userid=["nobody", "u1"], aud_tag=["vip"])
    await expanded(system)
    assert sorted(row.type for row in await rows(system, callback_records)) == [0, 1]


async def test_only_the_chosen_types(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(1,)))
    await flow.add_users({"u1": "a@example.cn"})
    await flow.accept(aud_userid=["u1", "u2"])
    await expanded(system)
    assert await told(system) == [(2, 1)]


async def test_an_expansion_that_fails_leaves_no_record(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await told_flow(system)
    await flow.send("a@example.cn")
    monkeypatch.setattr(
        "ums.core.deliveries.expansion._DONE", Statement("SELECT nothing FROM nowhere")
    )
    with pytest.raises(DBAPIError):
        await expand(system.database)
    assert (await told(system), await rows(system, deliveries)) == ([], [])


# -- verdicts ---------------------------------------------------------------------------------


async def test_verdicts_are_told(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(2, 3)))
    states = ["sent", "failed", "expired", "deferred", "unknown", "failed"]
    await flow.send(*(f"a{n}@example.cn" for n in range(len(states))))
    await expanded(system)
    mine = await claimed(system)
    tries = [attempt(250), attempt(550, "no such user"), attempt(451), attempt(451), None, None]
    results = [
        result(row, state, 0b1100, tried)
        for row, state, tried in zip(mine, states, tries, strict=True)
    ]
    async with system.database.write() as tx:
        assert len(await queue.record(tx, "me", results)) == len(states)
    found = await rows(system, callback_records)
    assert [(row.delivery_id, row.type, row.code, row.error) for row in found] == [
        (1, 2, 0, ""),
        (2, 3, 550, "why: 5.1.1 no such user"),
        (3, 3, 451, "why: 5.1.1 no"),
        (6, 3, 5000, "why"),
    ]


async def test_a_verdict_that_was_not_stored_is_not_told(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(2,)))
    await flow.send("a@example.cn")
    await expanded(system)
    [row] = await claimed(system)
    row.epoch += 1
    async with system.database.write() as tx:
        assert await queue.record(tx, "me", [result(row, "sent", 0b100)]) == set()
    assert await told(system) == []


async def test_an_unknown_outcome_is_told_when_it_is_known(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(2, 3)))
    await flow.send("a@example.cn")
    await expanded(system)
    [row] = await claimed(system)
    lost = Result(row.id, row.epoch, "unknown", "unknown_outcome", 0, 0, 1, 1, None, 0b1100)
    async with system.database.write() as tx:
        assert await queue.record(tx, "me", [lost]) == {(row.id, row.epoch)}
    assert await told(system) == []
    async with system.database.write() as tx:
        await queue.record(tx, "me", [result(row, "sent", 0b1100, attempt(250))])
        await queue.record(tx, "me", [result(row, "sent", 0b1100, attempt(250))])
    assert await told(system) == [(row.id, 2)]


async def test_submitted_may_count_as_delivered(system: AppContext) -> None:
    rules = ChannelPolicy(statuses=(2, 3, 4), submitted_is_delivered=True)
    flow = await told_flow(system, rules)
    await flow.send("a@example.cn", "b@example.cn")
    await expanded(system)
    one, two = await claimed(system)
    event_mask = wanted(rules)
    results = [
        result(one, "sent", event_mask, attempt(250)),
        result(two, "failed", event_mask, attempt(550)),
    ]
    async with system.database.write() as tx:
        await queue.record(tx, "me", results)
    assert await told(system) == [(1, 2), (1, 4), (2, 3)]


async def test_delivered_alone_may_be_wanted(system: AppContext) -> None:
    rules = ChannelPolicy(statuses=(4,), submitted_is_delivered=True)
    flow = await told_flow(system, rules)
    await flow.send("a@example.cn")
    await expanded(system)
    async with system.database.write() as tx:
        await outbox.note(tx, [(1, 2)])
    assert await told(system) == [(1, 4)]


async def test_without_the_choice_submitted_is_no_delivery(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(2, 4)))
    await flow.send("a@example.cn")
    await expanded(system)
    async with system.database.write() as tx:
        await outbox.note(tx, [(1, 2), (1, 7)])
    assert await told(system) == [(1, 2)]


async def test_messages_that_expire_are_told(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(statuses=(3,)))
    quiet = await open_flow(system, 1, "other", code="two", name="Two")
    await flow.send("a@example.cn", "b@example.cn")
    await quiet.send("a@example.cn")
    await expanded(system)
    async with system.database.write() as tx:
        await tx.run(update(messages).values(expires_at=clock.now() - 1))
        assert await queue.expire(tx, 0) == 3
        assert await queue.expire(tx, 0) == 0
    assert {row.state for row in await rows(system, deliveries)} == {"expired"}
    found = await rows(system, callback_records)
    assert [(row.delivery_id, row.type, row.code, row.error) for row in found] == [
        (1, 3, 5000, "expired"),
        (2, 3, 5000, "expired"),
    ]


async def test_retraction_is_told_once_of_each(system: AppContext) -> None:
    flow = await told_flow(system)
    msgid = await flow.send("a@example.cn", "b@example.cn", "c@example.cn")
    await expanded(system)
    found = await message(system, msgid)
    async with system.database.write() as tx:
        gone = {"state": "cancelled", "reason": "retracted"}
        await tx.run(update(deliveries).where(deliveries.c.id < 3).values(gone))
        for _ in range(2):
            await outbox.note_message(
                tx, found.id, EventType.RETRACTED, state="cancelled", reason="retracted"
            )
        await outbox.note(tx, [(3, EventType.RETRACTION_FAILED)])
    told_of = [row for row in await rows(system, callback_records) if row.type > 0]
    assert [(row.delivery_id, row.type, row.code) for row in told_of] == [
        (1, 7, 0),
        (2, 7, 0),
        (3, 8, 4004),
    ]


async def test_a_deleted_address_is_told_nothing_and_breaks_nothing(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.send("a@example.cn")
    async with system.database.write() as tx:
        await tx.run(update(callback_addresses).values(state="deleted"))
    await expanded(system)
    [row] = await claimed(system)
    async with system.database.write() as tx:
        assert len(await queue.record(tx, "me", [result(row, "sent", 0b100)])) == 1
    assert await told(system) == []


async def test_a_disabled_address_keeps_its_records(system: AppContext) -> None:
    flow = await told_flow(system)
    async with system.database.write() as tx:
        await tx.run(update(callback_addresses).values(state="disabled"))
    await flow.send("a@example.cn")
    await expanded(system)
    assert await told(system) == [(1, 0)]


# -- the price --------------------------------------------------------------------------------


@pytest.mark.parametrize("event_mask", [0, 0b1_1111_1111])
async def test_recording_costs_a_statement_more_only_where_somebody_is_told(
    system: AppContext, dialect: str, event_mask: int
) -> None:
    flow = await told_flow(system, ChannelPolicy(callbacks=bool(event_mask)))
    await flow.send(*(f"a{n}@example.cn" for n in range(200)))
    await expanded(system)
    mine = await claimed(system)
    results = [result(row, "sent", event_mask, attempt(250)) for row in mine]
    statements: list[str] = []
    async with system.database.write() as tx:
        engine = _engine(tx)
        event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        await queue.record(tx, "me", results)
    assert len(statements) == (3 if event_mask else 2), statements
    assert len(await told(system)) == (400 if event_mask else 0)


def _engine(tx: Any) -> Any:
    connection = getattr(tx, "connection", None)
    return tx._connection.sync_connection if connection is None else connection


async def test_the_engine_tells_in_order(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await told_flow(system, port=server.port)
        async with system.database.write() as tx:
            await tx.run(update(callback_addresses).values(state="disabled"))  # told nothing now
        async with running(system):
            await flow.until_settled(await flow.send("a@example.cn"))
    assert await told(system) == [(1, 0), (1, 2)]
