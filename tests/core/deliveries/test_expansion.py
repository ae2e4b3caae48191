"""From audience to deliveries: who gets the message, at which address, and once."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select

from support.flow import Flow, open_flow
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion
from ums.core.deliveries.expansion import expand
from ums.core.reporting import reports
from ums.core.senders import senders
from ums.core.tables import addresses, deliveries, messages
from ums.core.tables import users as user_table
from ums.core.users import segments, users
from ums.db import Database, Tx, open_database


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def expanded(flow: Flow, msgid: str) -> list[Any]:
    while await expand(flow.system.database):
        pass
    return await flow.deliveries(msgid)


async def opt(flow: Flow, *entries: dict[str, Any]) -> None:
    report = await users.opt(flow.system, await flow.channel(), list(entries))
    assert not report.fail, report.fail


def reached(rows: Sequence[Any]) -> dict[str, str]:
    return {row.userid: row.address for row in rows if row.state == "queued"}


def left_out(rows: Sequence[Any]) -> dict[str, str]:
    return {row.userid or row.address: row.reason for row in rows if row.state == "invalid"}


async def test_direct_addresses_are_taken_once_each_in_order(flow: Flow) -> None:
    msgid = await flow.send("b@x.cn", "a@x.cn", "b@x.cn", "c@X.CN", "c@x.cn")
    rows = await expanded(flow, msgid)
    assert [(row.address, row.state, row.reason) for row in rows] == [
        ("b@x.cn", "queued", ""),
        ("a@x.cn", "queued", ""),
        ("b@x.cn", "invalid", "duplicate"),
        ("c@x.cn", "queued", ""),
        ("c@x.cn", "invalid", "duplicate"),
    ]
    assert {(row.priority, row.epoch, row.tries) for row in rows} == {(2, 0, 0)}


async def test_the_channels_own_address_comes_before_the_one_for_all(flow: Flow) -> None:
    """ums-spec 7.5, item 3."""
    await channels.create(flow.system, "Other", "5678")
    other = await open_flow_beside(flow, "5678")
    await opt(flow, {"userid": "z", "email": {"all": "all@x.cn", "1234": "own@x.cn"}})
    assert reached(await expanded(flow, await flow.accept(aud_userid=["z"]))) == {"z": "own@x.cn"}
    msgid = await other.accept(aud_userid=["z"])
    assert reached(await expanded(other, msgid)) == {"z": "all@x.cn"}
    broadcasts = [await flow.accept(broadcast=True), await other.accept(broadcast=True)]
    assert reached(await expanded(flow, broadcasts[0])) == {"z": "own@x.cn"}
    assert reached(await expanded(flow, broadcasts[1])) == {"z": "all@x.cn"}
    await opt(flow, {"userid": "z", "del": {"email": {"1234": "own@x.cn"}}})
    assert reached(await expanded(flow, await flow.accept(aud_userid=["z"]))) == {"z": "all@x.cn"}


async def open_flow_beside(flow: Flow, key: str) -> Flow:
    await senders.authorise(flow.system, "main", key)
    return Flow(flow.system, key)


async def test_users_who_cannot_be_reached_are_accounted_for(flow: Flow) -> None:
    await opt(
        flow,
        {"userid": "a", "email": {"all": "same@x.cn"}},
        {"userid": "b", "email": {"all": "same@x.cn"}},
        {"userid": "mute", "attributes": {"x": 1}},
    )
    msgid = await flow.accept(aud_userid=["a", "nobody", "b", "mute", "stranger"])
    rows = await expanded(flow, msgid)
    assert reached(rows) == {"a": "same@x.cn"}
    assert left_out(rows) == {
        "nobody": "no_user",
        "stranger": "no_user",
        "b": "duplicate",
        "mute": "no_address",
    }
    info = await shown(flow, msgid)
    assert (info.audience, info.counts) == (5, {"queued": 1, "invalid": 4})


async def shown(flow: Flow, msgid: str) -> reports.MessageInfo:
    async with flow.system.database.read() as tx:
        return await reports.message(tx, msgid)


async def tagged(flow: Flow) -> None:
    for number, tags in enumerate([["red"], ["red", "blue"], ["blue"], ["green"]]):
        own = [tag for tag in tags if tag == "red"]
        shared = [tag for tag in tags if tag != "red"]
        entry: dict[str, Any] = {"userid": f"u{number}", "email": {"all": f"u{number}@x.cn"}}
        entry["tag"] = {**({"1234": own} if own else {}), **({"all": shared} if shared else {})}
        await opt(flow, entry)


async def test_tags_are_joined_and_each_user_comes_once(flow: Flow) -> None:
    await tagged(flow)
    rows = await expanded(flow, await flow.accept(aud_tag=["red", "blue"]))
    assert sorted(reached(rows)) == ["u0", "u1", "u2"]
    assert left_out(rows) == {}


async def test_a_tag_of_the_channels_own_hides_the_one_for_all(flow: Flow) -> None:
    await opt(
        flow,
        {"userid": "own", "email": {"all": "own@x.cn"}, "tag": {"1234": ["vip"]}},
        {"userid": "all", "email": {"all": "all@x.cn"}, "tag": {"all": ["vip", "other"]}},
    )
    assert sorted(reached(await expanded(flow, await flow.accept(aud_tag=["vip"])))) == ["own"]
    assert sorted(reached(await expanded(flow, await flow.accept(aud_tag=["other"])))) == ["all"]
    both = await flow.accept(aud_tag=["vip", "other"])
    assert sorted(reached(await expanded(flow, both))) == ["all", "own"]


async def test_tags_and_userids_are_one_audience(flow: Flow) -> None:
    await tagged(flow)
    msgid = await flow.accept(aud_tag=["blue"], aud_userid=["u2", "u3", "nobody"])
    rows = await expanded(flow, msgid)
    assert sorted(reached(rows)) == ["u1", "u2", "u3"]
    assert left_out(rows) == {"nobody": "no_user"}
    assert (await shown(flow, msgid)).audience == 4


async def test_a_tag_nobody_has_reaches_nobody(flow: Flow) -> None:
    await tagged(flow)
    msgid = await flow.accept(aud_tag=["unheard"])
    assert await expanded(flow, msgid) == []
    info = await shown(flow, msgid)
    assert (info.state, info.audience, info.counts) == ("done", 0, {})


async def test_a_segment_without_conditions_is_everyone(flow: Flow) -> None:
    await tagged(flow)
    segment = await segments.create(flow.system, "All of them")
    rows = await expanded(flow, await flow.accept(aud_segment=[segment.id]))
    assert sorted(reached(rows)) == ["u0", "u1", "u2", "u3"]


async def many(flow: Flow, count: int, start: int = 0) -> None:
    """Users as an import makes them, quicker than one by one; every 5,000th has no address."""
    async with flow.system.database.write() as tx:
        await _rows(tx, range(start, start + count))


async def _rows(tx: Tx, numbers: range) -> None:
    rows = [
        {"userid": f"u{i}", "attributes": {}, "created_at": 1, "updated_at": 1} for i in numbers
    ]
    await tx.run(insert(user_table), rows)
    ids = {
        row.userid: row.id for row in await tx.rows(select(user_table.c.id, user_table.c.userid))
    }
    mails = [
        {"user_id": ids[f"u{i}"], "kind": "email", "bind_id": "all", "value": f"u{i}@x.cn"}
        for i in numbers
        if i % 5_000
    ]
    await tx.run(insert(addresses), mails)


async def test_a_large_broadcast_survives_a_death_between_and_within_chunks(flow: Flow) -> None:
    await many(flow, 25_000)
    msgid = await flow.accept(broadcast=True)
    await expand(flow.system.database)  # the plan, and the first chunk
    info = await shown(flow, msgid)
    assert (info.audience, info.state) == (25_000, "expanding")
    assert sum(info.counts.values()) == 25_000
    assert info.counts["pending"] == 15_000
    await many(flow, 10, start=30_000)  # who comes later does not join
    with pytest.raises(DiedError):
        await expand(Dying(flow.system.database))
    assert len(await flow.deliveries(msgid)) == 10_000
    # Another process goes on where the first one was.
    other = open_database(flow.system.settings.database_url, flow.system.settings.data_dir)
    try:
        while await expand(other):
            pass
    finally:
        await other.close()
    info = await shown(flow, msgid)
    assert (info.audience, info.counts) == (25_000, {"queued": 24_995, "invalid": 5})
    copies = Counter(row.userid for row in await flow.deliveries(msgid))
    assert copies == {f"u{i}": 1 for i in range(25_000)}


class DiedError(Exception):
    """The process ended before its transaction was committed."""


class Dying(Database):
    """Rolls back whatever changed something."""

    def __init__(self, database: Database) -> None:
        self.database, self.dialect = database, database.dialect

    def write(self) -> Any:
        return _Undone(self.database.write())

    def read(self) -> Any:
        return self.database.read()

    async def exclusively(self, function: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None: ...


class _Undone:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aenter__(self) -> Tx:
        self.tx = await self.inner.__aenter__()
        self.before = await self.tx.value(select(messages.c.cursor))
        return self.tx

    async def __aexit__(self, *error: object) -> Any:
        moved = await self.tx.value(select(messages.c.cursor)) != self.before
        if moved and error[0] is None:
            died = DiedError()
            await self.inner.__aexit__(DiedError, died, None)
            raise died
        return await self.inner.__aexit__(*error)


async def test_a_chunk_ends_at_its_limit_and_at_the_last_member(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 3)
    await tagged(flow)
    await many(flow, 7, start=100)
    msgid = await flow.accept(aud_tag=["red", "blue", "green"], aud_userid=["u106", "nobody"])
    sizes = []
    while await expand(flow.system.database):
        sizes.append(len(await flow.deliveries(msgid)))
    assert sizes[-1] == 6
    assert max(b - a for a, b in zip([1, *sizes], sizes, strict=False)) <= 3
    rows = await flow.deliveries(msgid)
    assert sorted(reached(rows)) == ["u0", "u1", "u106", "u2", "u3"]
    assert left_out(rows) == {"nobody": "no_user"}


async def test_users_who_leave_in_the_middle_are_not_missed_in_the_counts(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 2)
    await many(flow, 6, start=1)
    msgid = await flow.accept(broadcast=True)
    await expand(flow.system.database)
    async with flow.system.database.write() as tx:
        gone = user_table.c.userid.in_(["u5", "u6"])
        if flow.system.database.dialect == "postgresql":
            await tx.run(addresses.delete())
        await tx.run(user_table.delete().where(gone))
    rows = await expanded(flow, msgid)
    info = await shown(flow, msgid)
    assert info.audience == len(rows) == sum(info.counts.values()) == 4
    assert info.state in ("sending", "done")


async def test_small_messages_do_not_wait_for_a_large_one(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 10)
    await many(flow, 100, start=1)
    large = await flow.accept(broadcast=True)
    await expand(flow.system.database)
    small = await flow.send("a@x.cn")
    await expand(flow.system.database)
    assert len(await flow.deliveries(small)) == 1
    assert len(await flow.deliveries(large)) == 20


async def test_one_transaction_expands_no_more_than_a_chunk(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 5)
    msgids = [await flow.send(*(f"n{j}@x.cn" for j in range(4))) for _ in range(6)]
    await expand(flow.system.database)
    assert [len(await flow.deliveries(msgid)) for msgid in msgids] == [4, 4, 0, 0, 0, 0]
    for msgid in msgids:
        assert len(await expanded(flow, msgid)) == 4


async def test_expansion_with_nothing_to_do_says_so(flow: Flow) -> None:
    assert await expand(flow.system.database) is False
    await expanded(flow, await flow.send("a@x.cn"))
    assert await expand(flow.system.database) is False
    async with flow.system.database.read() as tx:
        assert len(await tx.rows(select(deliveries.c.id))) == 1
