"""What a sender's last mails lead to: a warning, one session, a stop."""

import pytest
from sqlalchemy import select

from support.clocks import Time
from support.flow import Flow, open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.messages import auto_pause
from ums.core.senders import reputation
from ums.core.senders.reputation import SLOT, Count, Reputation
from ums.core.tables import audit, sender_outcomes
from ums.errors import NotFound


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def note(flow: Flow, time: Time, total: int, bounced: int = 0, unknown: int = 0) -> None:
    id = (await flow.sender()).id
    time.at += SLOT
    await reputation.note(flow.system, {id: Count(total, bounced, unknown)})


async def verdict(flow: Flow) -> tuple[int, int, str]:
    found = await reputation.standing_of(flow.system, "main")
    return found.mails, found.bounced, found.verdict


async def test_few_mails_prove_nothing(flow: Flow, time: Time) -> None:
    assert await reputation.standing_of(flow.system, "main") == Reputation(0, 0, 0, 0, "good")
    await note(flow, time, 199, bounced=199)
    assert await verdict(flow) == (199, 199, "good")
    assert (await flow.sender()).suspended_at is None
    await note(flow, time, 1)
    assert await verdict(flow) == (200, 199, "stop")
    assert (await flow.sender()).suspended_at == time.at


async def test_a_twentieth_is_told_and_a_tenth_stops(flow: Flow, time: Time) -> None:
    await note(flow, time, 400, bounced=19)
    assert (await verdict(flow))[2] == "good"
    await note(flow, time, 100, bounced=20)
    assert (await verdict(flow))[2] == "warn"
    assert (await flow.sender()).suspended_at is None
    await note(flow, time, 20, bounced=13)
    assert (await verdict(flow))[2] == "stop"
    stopped = (await flow.sender()).suspended_at
    assert stopped == time.at
    await note(flow, time, 2000)  # it stays stopped until somebody confirms
    assert (await flow.sender()).suspended_at == stopped


async def test_only_the_last_thousand_count(flow: Flow, time: Time) -> None:
    await note(flow, time, 500, bounced=40)
    for _ in range(12):
        await note(flow, time, 100)
    assert await verdict(flow) == (1000, 0, "good")
    async with flow.system.database.read() as tx:
        kept = await tx.rows(sender_outcomes.select())
    assert len(kept) == 10


async def test_mails_in_doubt_slow_it_down_for_a_while(flow: Flow, time: Time) -> None:
    await note(flow, time, 20, unknown=10)
    assert (await flow.sender()).throttled_until is None
    await note(flow, time, 20, unknown=1)
    first = (await flow.sender()).throttled_until
    assert first == time.at + 15 * clock.MINUTE
    await note(flow, time, 1, unknown=1)
    assert (await flow.sender()).throttled_until == first
    time.at += 16 * clock.MINUTE
    await note(flow, time, 1)  # no better yet
    assert (await flow.sender()).throttled_until == time.at + 15 * clock.MINUTE
    time.at += 16 * clock.MINUTE
    await note(flow, time, 200)
    slowed = (await flow.sender()).throttled_until
    assert slowed is not None
    assert slowed < time.at


async def test_who_confirms_begins_anew(flow: Flow, time: Time) -> None:
    await note(flow, time, 300, bounced=100)
    await auto_pause.confirm(flow.system, "main")
    assert await verdict(flow) == (0, 0, "good")
    assert (await flow.sender()).suspended_at is None
    with pytest.raises(NotFound):
        await auto_pause.confirm(flow.system, "nobody")
    with pytest.raises(NotFound):
        await reputation.standing_of(flow.system, "nobody")


async def test_two_workers_add_up(flow: Flow, time: Time) -> None:
    id = (await flow.sender()).id
    for _ in range(2):
        await reputation.note(flow.system, {id: Count(150, 9, 0)})
    assert await verdict(flow) == (300, 18, "warn")


async def complained(flow: Flow, time: Time, total: int, complained: int) -> str:
    id = (await flow.sender()).id
    time.at += SLOT
    await reputation.note(flow.system, {id: Count(total, complained=complained)})
    return (await reputation.standing_of(flow.system, "main")).verdict


async def test_complaints_are_told_and_stop_it(flow: Flow, time: Time) -> None:
    assert await complained(flow, time, 600, 0) == "good"
    assert await complained(flow, time, 10, 1) == "warn"
    assert await complained(flow, time, 10, 3) == "warn"
    assert (await flow.sender()).suspended_at is None
    assert await complained(flow, time, 0, 1) == "stop"  # five, of a window of 1,000
    assert (await flow.sender()).suspended_at == time.at
    async with flow.system.database.read() as tx:
        noted = await tx.rows(select(audit).where(audit.c.action == "sender.stop"))
    assert [row.detail for row in noted] == ["5 complaints about 620 mails"]
    await auto_pause.confirm(flow.system, "main")
    assert (await flow.sender()).suspended_at is None
