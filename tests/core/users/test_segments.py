"""Segments: kept, changed and deleted; and whom a message to one reaches."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from support.flow import Flow, open_flow
from support.ruling import rule
from support.transition_guard import any_transition
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion
from ums.core.deliveries.expansion import expand
from ums.core.identity import operators
from ums.core.reporting import reports
from ums.core.tables import deliveries, messages
from ums.core.tables import segments as table
from ums.core.tables import users as user_table
from ums.core.users import segments, users
from ums.core.users.segment_conditions import read
from ums.core.users.segment_sql import compile_conditions
from ums.errors import Invalid, NotFound

ADULTS = {"attribute": {"name": "age", "op": "ge", "value": 18}}


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    flow = await open_flow(system, 25)
    await rule(system, "1234", broadcasts_per_day=0)
    entries: list[object] = [
        {
            "userid": f"u{age}",
            "email": {"all": f"u{age}@x.cn"},
            "attributes": {"age": age},
            "tag": {"all": ["even" if age % 2 == 0 else "odd"]},
        }
        for age in range(10, 26)
    ]
    await users.opt(system, await flow.channel(), entries)
    return flow


async def reached(flow: Flow, msgid: str) -> list[str]:
    while await expand(flow.system.database):
        pass
    return [row.userid for row in await flow.deliveries(msgid) if row.state == "queued"]


def names(*ages: int) -> list[str]:
    return [f"u{age}" for age in ages]


async def test_a_message_reaches_whom_the_conditions_select(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 3)  # most chunks have none of them
    made = await segments.create(flow.system, "成年人", ADULTS)
    assert (made.conditions, made) == (ADULTS, await segments.show(flow.system, made.id))
    msgid = await flow.accept(aud_segment=[made.id])
    assert await reached(flow, msgid) == names(*range(18, 26))
    info = await shown(flow, msgid)
    assert (info.audience, info.state) == (8, "sending")


async def shown(flow: Flow, msgid: str) -> reports.MessageInfo:
    async with flow.system.database.read() as tx:
        return await reports.message(tx, msgid)


async def test_a_segment_joins_tags_and_userids(flow: Flow) -> None:
    made = await segments.create(flow.system, "s", {"not": ADULTS})
    msgid = await flow.accept(aud_segment=[made.id], aud_tag=["odd"], aud_userid=["u20", "nobody"])
    assert await reached(flow, msgid) == names(*range(10, 18), 19, 20, 21, 23, 25)
    info = await shown(flow, msgid)
    assert info.counts == {"queued": 13, "invalid": 1}


async def test_the_size_is_known_while_it_is_expanded(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 10)
    made = await segments.create(flow.system, "s", ADULTS)
    msgid = await flow.accept(aud_segment=[made.id], aud_userid=["nobody"])
    await expand(flow.system.database)  # planned and counted
    await expand(flow.system.database)  # u10 to u19
    info = await shown(flow, msgid)
    assert info.state == "expanding"
    assert info.counts == {"queued": 2, "invalid": 1, "pending": 6}
    assert info.audience == 9


@pytest.mark.parametrize("nothing", [None, {}])
async def test_without_conditions_it_is_everyone(flow: Flow, nothing: object) -> None:
    made = await segments.create(flow.system, "s", nothing)
    assert made.conditions == {}
    msgid = await flow.accept(aud_segment=[made.id])
    assert len(await reached(flow, msgid)) == 16


async def test_conditions_that_nobody_meets_reach_nobody(flow: Flow) -> None:
    nobody = {"and": [ADULTS, {"not": ADULTS}]}
    made = await segments.create(flow.system, "s", nobody)
    msgid = await flow.accept(aud_segment=[made.id])
    assert await reached(flow, msgid) == []
    info = await shown(flow, msgid)
    assert (info.state, info.audience) == ("done", 0)


async def test_a_change_in_the_middle_changes_nothing(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 5)
    made = await segments.create(flow.system, "s", ADULTS)
    msgid = await flow.accept(aud_segment=[made.id])
    for _ in range(2):
        await expand(flow.system.database)
    await segments.change(flow.system, made.id, conditions={"not": ADULTS})
    await segments.remove(flow.system, made.id)
    assert await reached(flow, msgid) == names(*range(18, 26))


async def test_a_segment_that_is_gone_is_nobody_and_never_everyone(flow: Flow) -> None:
    made = await segments.create(flow.system, "s")
    msgid = await flow.accept(aud_segment=[made.id], aud_userid=["u10"])
    async with flow.system.database.write() as tx:
        await tx.run(delete(table))
    assert await reached(flow, msgid) == names(10)


async def test_a_segment_that_a_message_waits_for_stays(flow: Flow) -> None:
    await operators.create(flow.system, "zhao", "correct horse battery")
    await rule(flow.system, "1234", approval=True)
    made, other = [await segments.create(flow.system, name) for name in ("s", "t")]
    msgid = await flow.accept(aud_segment=[made.id], option={"owner": "zhao"})
    await expand(flow.system.database)
    with pytest.raises(Invalid) as refused:
        await segments.remove(flow.system, made.id)
    assert (refused.value.reason, refused.value.values["msgid"]) == ("segment_used", msgid)
    await segments.remove(flow.system, other.id)
    with pytest.raises(NotFound):
        await segments.remove(flow.system, other.id)


async def test_days_are_counted_from_when_the_expansion_began(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has got something of this very message is not left out of its rest for that."""
    monkeypatch.setattr(expansion, "CHUNK", 4)
    fresh = {"not": {"engagement": {"event": "sent", "within_days": 7}}}
    before = await flow.accept(aud_userid=names(12, 14))
    assert await reached(flow, before) == names(12, 14)
    await all_sent(flow)
    made = await segments.create(flow.system, "s", fresh)
    msgid = await flow.accept(aud_segment=[made.id])
    expected = [name for name in names(*range(10, 26)) if name not in ("u12", "u14")]
    for _ in range(3):
        await expand(flow.system.database)
        await all_sent(flow)
    while await expand(flow.system.database):
        pass
    assert [row.userid for row in await flow.deliveries(msgid)] == expected
    eighth = clock.now() + 8 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: eighth)
    assert len(await reached(flow, await flow.accept(aud_segment=[made.id]))) == 16


async def all_sent(flow: Flow) -> None:
    sent = {"state": "sent", "updated_at": clock.now()}
    async with flow.system.database.write() as tx, any_transition(tx):
        await tx.run(update(deliveries).where(deliveries.c.state == "queued").values(**sent))


async def test_deliveries_of_a_user_are_found_by_their_index(flow: Flow) -> None:
    if flow.system.database.dialect != "sqlite":
        return  # PostgreSQL reads a table this small as a whole
    tree = {"engagement": {"event": "failed", "within_days": 7, "channel": "1234"}}
    compiled = compile_conditions(read(tree), "sqlite", clock.now())
    asked = text(f"EXPLAIN QUERY PLAN SELECT count(*) FROM users u WHERE {compiled.sql}")
    async with flow.system.database.read() as tx:
        plan = " ".join(str(row.detail) for row in await tx.rows(asked, compiled.params))
    assert "ix_deliveries_userid (userid=?" in plan


async def test_names_and_conditions_change_apart(flow: Flow) -> None:
    one, two = [await segments.create(flow.system, name, ADULTS) for name in ("one", "two")]
    renamed = await segments.change(flow.system, one.id, name="eins")
    assert (renamed.name, renamed.conditions) == ("eins", ADULTS)
    changed = await segments.change(flow.system, one.id, conditions={})
    assert (changed.name, changed.conditions) == ("eins", {})
    assert await segments.change(flow.system, one.id, name="eins") == changed
    for id, values, reason in (
        (one.id, {"name": "two"}, "name_taken"),
        (one.id, {"name": " "}, "missing"),
        (one.id, {"conditions": {"x": 1}}, "bad_conditions"),
        (999, {"name": "x"}, "segment_unknown"),
    ):
        with pytest.raises(Invalid) as refused:
            await segments.change(flow.system, id, **values)
        assert refused.value.reason == reason
    with pytest.raises(Invalid):
        await segments.create(flow.system, "two")
    assert await segments.list_segments(flow.system) == [changed, two]
    first = await segments.page_segments(flow.system, limit=1)
    second = await segments.page_segments(flow.system, limit=1, after=first.next)
    assert [*first.items, *second.items] == [changed, two]
    assert second.next is None


ATTACKS = [
    "' OR '1'='1",
    '" OR 1=1 --',
    "'; DROP TABLE users; --",
    "age') OR ('1'='1",
    "$.age",
    "a' UNION SELECT secret FROM channels --",
    ":s0",
    "%(x)s",
    "$rows(r: id bigint)",
    "$now",
    "$lock(m)",
    "{segment}",
    "\\'",
    "a\u2028b",
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_names_and_values_are_only_that(flow: Flow, attack: str) -> None:
    """reliability.md, threat 21: nobody is selected who should not be, and nothing breaks."""
    trees: list[Any] = [
        {"attribute": {"name": "age", "op": op, "value": attack}}
        for op in ("eq", "lt", "gt", "contains", "starts_with")
    ]
    trees += [{"attribute": {"name": "age", "op": "in", "value": [attack, attack]}}]
    if '"' not in attack and "\\" not in attack:
        trees += [{"attribute": {"name": attack, "op": "exists"}}]
        trees += [{"attribute": {"name": attack, "op": "eq", "value": 20}}]
    for tree in trees:
        assert await segments.count(flow.system, tree) == 0
        made = await segments.create(flow.system, f"s{trees.index(tree)}", tree)
        msgid = await flow.accept(aud_segment=[made.id])
        assert await reached(flow, msgid) == []
    for place in ("bind_id", "channel"):
        named: dict[str, Any] = (
            {"tag": {"any": ["odd"], "bind_id": attack}}
            if place == "bind_id"
            else {"engagement": {"event": "sent", "within_days": 1, "channel": attack}}
        )
        with pytest.raises(Invalid):
            await segments.count(flow.system, named)
    async with flow.system.database.read() as tx:
        assert len(await tx.rows(select(user_table.c.id))) == 16


async def test_two_workers_expand_one_segment_once(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 2)
    made = await segments.create(flow.system, "s", ADULTS)
    msgids = [await flow.accept(aud_segment=[made.id]) for _ in range(3)]

    async def work() -> None:
        while await expand(flow.system.database):
            pass

    await asyncio.gather(*(work() for _ in range(3)))
    for msgid in msgids:
        assert await reached(flow, msgid) == names(*range(18, 26))
    async with flow.system.database.read() as tx:
        sizes = await tx.rows(select(messages.c.audience_size, messages.c.state))
    assert {tuple(row) for row in sizes} == {(8, "expanded")}
