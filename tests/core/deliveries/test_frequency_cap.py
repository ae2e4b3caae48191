"""The frequency cap: at most so many messages to one address of a channel within some hours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from support.flow import Flow, open_flow
from support.ruling import rule
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion
from ums.core.deliveries.expansion import expand
from ums.core.maintenance.startup import open_system
from ums.core.senders import senders
from ums.core.tables import frequency_cap_log
from ums.engine.maintenance import tidy

NOON = 20_000 * clock.DAY + 12 * clock.HOUR


@pytest.fixture
async def flow(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    flow = await open_flow(system, 25)
    await capped(flow, count=2, hours=24)
    return flow


async def capped(flow: Flow, *, count: int, hours: float) -> None:
    cap = {"count": count, "hours": hours}
    await rule(flow.system, flow.key, frequency_cap=cap, broadcasts_per_day=0)


async def reasons(flow: Flow, *msgids: str) -> list[list[str]]:
    while await expand(flow.system.database):
        pass
    return [[row.reason for row in await flow.deliveries(msgid)] for msgid in msgids]


async def test_an_address_over_the_cap_gets_no_more_until_time_has_passed(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In one expansion and in several: neither lets a third through.
    msgids = [await flow.send("a@x.cn", f"b{i}@x.cn") for i in range(3)]
    assert await reasons(flow, *msgids) == [["", ""], ["", ""], ["frequency_cap", ""]]
    late = await flow.send("a@x.cn")
    assert await reasons(flow, late) == [["frequency_cap"]]
    assert {row.state for row in await flow.deliveries(late)} == {"invalid"}
    monkeypatch.setattr(clock, "now", lambda: NOON + 24 * clock.HOUR)
    assert await reasons(flow, await flow.send("a@x.cn")) == [[""]]


async def test_users_and_broadcasts_count_by_their_address(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 2)
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(5)})
    first = [await flow.send("u3@x.cn"), await flow.accept(aud_userid=["u3", "u4"])]
    assert await reasons(flow, *first) == [[""], ["", ""]]
    one, two = [await flow.accept(broadcast=True) for _ in range(2)]
    assert await reasons(flow, one, two) == [
        ["", "", "", "frequency_cap", ""],
        ["", "", "", "frequency_cap", "frequency_cap"],
    ]


async def test_a_second_user_of_an_address_is_a_duplicate_and_not_over_the_cap(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 1)
    await capped(flow, count=1, hours=1)
    await flow.add_users({"a": "same@x.cn", "b": "same@x.cn"})
    broadcast, listed = await flow.accept(broadcast=True), await flow.accept(aud_userid=["a", "b"])
    found = await reasons(flow, broadcast, listed)
    assert sorted(found) == [["", "duplicate"], ["frequency_cap", "frequency_cap"]]


async def test_a_cap_is_its_channels_own(flow: Flow) -> None:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    other = Flow(flow.system, "5678")
    for _ in range(3):
        await reasons(flow, await flow.send("a@x.cn"))
    assert await reasons(other, *[await other.send("a@x.cn") for _ in range(3)]) == [[""]] * 3
    assert await contacted(flow) == 2  # nothing is written down without a cap


async def contacted(flow: Flow) -> int:
    async with flow.system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(frequency_cap_log)))


async def test_two_workers_do_not_both_give_the_last_place(flow: Flow) -> None:
    msgids = [await flow.send("a@x.cn", f"b{i}@x.cn") for i in range(30)]
    async with open_other(flow) as second:

        async def work(system: AppContext) -> None:
            while await expand(system.database):
                pass

        await asyncio.gather(*(work(system) for system in (flow.system, second) * 2))
    found = await reasons(flow, *msgids)
    assert sorted(one[0] for one in found) == [""] * 2 + ["frequency_cap"] * 28
    assert {one[1] for one in found} == {""}


@asynccontextmanager
async def open_other(flow: Flow) -> AsyncIterator[AppContext]:
    """Another process of the same PostgreSQL; on SQLite only one has the file."""
    if flow.system.database.dialect == "sqlite":
        yield flow.system
        return
    async with open_system(flow.system.settings) as opened:
        yield opened


async def test_what_no_cap_can_count_is_forgotten(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reasons(flow, await flow.send("a@x.cn", "b@x.cn"))
    await tidy(flow.system, 0)
    assert await contacted(flow) == 2
    monkeypatch.setattr(clock, "now", lambda: NOON + 32 * clock.DAY)
    await tidy(flow.system, 0)
    assert await contacted(flow) == 0
