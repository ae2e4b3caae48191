"""The daily quota of broadcasts: exact with many callers and processes, by the channel's day."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from support.flow import Flow, accept_body, open_flow
from support.ruling import rule
from ums import clock
from ums.core.channels import broadcast_quota, channels
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.core.senders import senders
from ums.core.tables import broadcast_usage, idempotency, messages
from ums.engine.maintenance import tidy
from ums.errors import Refused

BODY = b'{"msg_email":[{"subject":"s","text":"t"}]}'
NOON = 20_000 * clock.DAY + 12 * clock.HOUR


@pytest.fixture
async def flow(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    return await open_flow(system, 25)


async def broadcast(flow: Flow, key: str | None = None, intake: Intake | None = None) -> str:
    """The msgid of an accepted broadcast, or the reason it is refused for."""
    try:
        taking = intake or flow.intake
        accepted = await accept_body(taking, await flow.channel(), BODY, broadcast=True, key=key)
    except Refused as error:
        return {(1015029, "broadcast_quota"): "broadcast_quota"}[error.code, error.reason]
    return accepted.msgid


async def count(flow: Flow, table: Any) -> int:
    async with flow.system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(table)))


async def used(flow: Flow) -> dict[str, int]:
    async with flow.system.database.read() as tx:
        return {row.day: row.broadcasts for row in await tx.rows(select(broadcast_usage))}


async def test_ten_a_day_unless_it_is_said_otherwise(flow: Flow) -> None:
    answers = [await broadcast(flow) for _ in range(12)]
    assert answers[10:] == ["broadcast_quota"] * 2
    assert len(set(answers)) == 11
    assert await flow.send("a@x.cn")  # no broadcast
    assert await count(flow, messages) == 11
    assert await used(flow) == {"2024-10-04": 10}


async def test_no_quota(flow: Flow) -> None:
    await rule(flow.system, "1234", broadcasts_per_day=0)
    assert "broadcast_quota" not in [await broadcast(flow) for _ in range(12)]
    assert await used(flow) == {}


@pytest.fixture
async def second(flow: Flow) -> AsyncIterator[AppContext]:
    """Another process of the same PostgreSQL; on SQLite there is only one."""
    if flow.system.database.dialect == "sqlite":
        yield flow.system
        return
    async with open_system(flow.system.settings) as opened:
        yield opened


async def test_many_callers_and_processes_together_get_what_there_is(
    flow: Flow, second: AppContext
) -> None:
    await rule(flow.system, "1234", broadcasts_per_day=7)
    intakes = [flow.intake, Intake(second)]
    answers = await asyncio.gather(*(broadcast(flow, None, intakes[i % 2]) for i in range(40)))
    assert sorted(answers).count("broadcast_quota") == 33
    assert await count(flow, messages) == 7
    assert await used(flow) == {"2024-10-04": 7}


async def test_others_of_the_same_commit_are_not_refused(flow: Flow) -> None:
    await rule(flow.system, "1234", broadcasts_per_day=1)
    sent = [flow.send(f"a{i}@x.cn") for i in range(20)]
    answers = await asyncio.gather(*(broadcast(flow) for _ in range(5)), *sent)
    assert sorted(answers[:5]).count("broadcast_quota") == 4
    assert len(set(answers[5:])) == 20
    assert await count(flow, messages) == 21


async def test_a_repeat_counts_once_and_is_answered_when_nothing_is_left(flow: Flow) -> None:
    await rule(flow.system, "1234", broadcasts_per_day=2)
    first = await asyncio.gather(*(broadcast(flow, "k") for _ in range(10)))
    assert len(set(first)) == 1
    assert await used(flow) == {"2024-10-04": 1}
    await broadcast(flow)
    assert await broadcast(flow, "k") == first[0]
    assert await broadcast(flow, "new") == "broadcast_quota"


async def test_a_refused_request_leaves_no_key_behind(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rule(flow.system, "1234", broadcasts_per_day=1)
    # Nobody sees that the quota is used up before the commit, as when processes race.
    monkeypatch.setattr(broadcast_quota, "used", _looks_free)
    answers = await asyncio.gather(*(broadcast(flow, f"k{i}") for i in range(6)))
    assert sorted(answers).count("broadcast_quota") == 5
    assert (await count(flow, messages), await count(flow, idempotency)) == (1, 1)
    late = f"k{answers.index('broadcast_quota')}"
    monkeypatch.setattr(clock, "now", lambda: NOON + clock.DAY)
    assert (await broadcast(flow, late)).startswith("v:1t:")
    assert await count(flow, messages) == 2


async def _looks_free(_system: AppContext, _quota: broadcast_quota.Quota) -> int:
    return 0


async def test_a_day_is_the_channels_own(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    other = Flow(flow.system, "5678")
    await rule(flow.system, "1234", broadcasts_per_day=1, zone="Asia/Shanghai")
    await rule(flow.system, "5678", broadcasts_per_day=1, zone="America/New_York")
    for one in (flow, other):
        assert (await broadcast(one)).startswith("v:1t:")
        assert await broadcast(one) == "broadcast_quota"
    monkeypatch.setattr(clock, "now", lambda: NOON + 4 * clock.HOUR)  # midnight in Shanghai
    assert (await broadcast(flow)).startswith("v:1t:")
    assert await broadcast(other) == "broadcast_quota"


async def test_old_days_are_forgotten(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    await broadcast(flow)
    await tidy(flow.system, 0)
    assert await used(flow) == {"2024-10-04": 1}
    monkeypatch.setattr(clock, "now", lambda: NOON + 50 * clock.DAY)
    await tidy(flow.system, 0)
    assert await used(flow) == {}
