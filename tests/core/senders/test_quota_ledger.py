"""What is counted against a sender's caps, and what that leaves."""

import asyncio
from collections.abc import Sequence

import pytest

from support.clocks import Time
from support.flow import Flow, account, open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.senders import quota_ledger, senders
from ums.core.senders.quota_ledger import Reservation
from ums.core.senders.senders import NewSender
from ums.core.tables import cap_usage as table
from ums.errors import Invalid
from ums.mail.send_limits import DAY, SendLimit

HOUR = SendLimit(count=20, seconds=3600)
BY_DAY = SendLimit(count=100, seconds=DAY, reset="00:00 Asia/Shanghai")


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def take(
    flow: Flow, caps: Sequence[SendLimit], want: int, *, share: int = 0, urgent: bool = False
) -> Reservation:
    id = (await flow.sender()).id
    async with flow.system.database.write() as tx:
        return await quota_ledger.take(tx, id, caps, want, share=share, urgent=urgent)


async def test_a_rolling_cap_lets_go_what_it_has_left(flow: Flow, time: Time) -> None:
    assert (await take(flow, [HOUR], 15)).count == 15
    time.at += 30 * clock.MINUTE
    assert (await take(flow, [HOUR], 15)).count == 5
    spent = await take(flow, [HOUR], 15)
    assert (spent.count, spent.free_at) == (0, (await flow.sender()).cap_reached_until)
    assert spent.free_at is not None
    assert 29 * clock.MINUTE < spent.free_at - time.at < 32 * clock.MINUTE
    time.at = spent.free_at - 1
    assert (await take(flow, [HOUR], 15)).count == 0
    time.at += 1
    assert (await take(flow, [HOUR], 100)).count == 15  # what was sent at first


async def test_no_rolling_time_ever_sees_more_than_its_cap(flow: Flow, time: Time) -> None:
    cap = SendLimit(count=7, seconds=1)
    sent: list[int] = []
    begin = time.at
    while time.at < begin + 8_000:
        grant = await take(flow, [cap], 3)
        sent += [grant.good_until - 1] * grant.count if grant.count else []
        time.at += 17
    assert len(sent) > 7 * 8 * 0.8  # it does not give much away either
    for moment in sent:
        assert sum(moment <= other < moment + 1000 for other in sent) <= 7


async def test_a_cap_by_the_clock_begins_anew(flow: Flow, time: Time) -> None:
    assert (await take(flow, [BY_DAY], 500)).count == 100
    spent = await take(flow, [BY_DAY], 1)
    assert spent.free_at == BY_DAY.period(time.at)[1]
    time.at = BY_DAY.period(time.at)[1] - 500
    late = SendLimit(count=101, seconds=DAY, reset=BY_DAY.reset)
    grant = await take(flow, [late], 5)
    assert (grant.count, grant.good_until) == (1, time.at + 500)  # not into the next day
    time.at += 500
    assert (await take(flow, [BY_DAY], 500)).count == 100


async def test_every_cap_counts(flow: Flow, time: Time) -> None:
    minute = SendLimit(count=4, seconds=60)
    assert (await take(flow, [HOUR, minute], 10)).count == 4
    time.at += 62 * clock.SECOND + 1200
    assert [(await take(flow, [HOUR, minute], 10)).count for _ in range(2)] == [4, 0]
    time.at += 30 * clock.MINUTE
    async with flow.system.database.read() as tx:
        used = await quota_ledger.report(tx, (await flow.sender()).id, [HOUR, minute, BY_DAY])
    assert [(one.used, one.left) for one in used] == [(8, 12), (0, 4), (0, 100)]


async def test_a_share_is_kept_for_urgent_mail(flow: Flow, time: Time) -> None:
    assert (await take(flow, [HOUR], 30, share=25)).count == 15
    assert (await take(flow, [HOUR], 30, share=25)).count == 0
    row = await flow.sender()
    assert (row.cap_reached_until is not None, row.urgent_cap_reached_until) == (True, None)
    assert (await take(flow, [HOUR], 30, share=25, urgent=True)).count == 5
    assert (await take(flow, [HOUR], 30, share=25, urgent=True)).count == 0
    assert (await flow.sender()).urgent_cap_reached_until is not None


async def test_what_is_given_back_can_be_sent_by_another(flow: Flow, time: Time) -> None:
    grant = await take(flow, [HOUR], 20)
    assert (await take(flow, [HOUR], 1)).count == 0
    id = (await flow.sender()).id
    async with flow.system.database.write() as tx:
        await quota_ledger.give_back(tx, id, grant, 6)
    assert (await flow.sender()).cap_reached_until is None
    assert (await take(flow, [HOUR], 20)).count == 6


async def test_two_who_take_at_once_never_take_the_same(flow: Flow, time: Time) -> None:
    grants = await asyncio.gather(*(take(flow, [HOUR, BY_DAY], 3) for _ in range(12)))
    assert sum(grant.count for grant in grants) == 20


async def test_what_counts_no_more_is_not_kept(flow: Flow, time: Time) -> None:
    cap = SendLimit(count=100, seconds=1)
    for _ in range(300):
        await take(flow, [cap], 1)
        time.at += 20
    async with flow.system.database.read() as tx:
        assert len(await tx.rows(table.select())) < 70


async def test_when_the_last_of_many_goes(flow: Flow, time: Time) -> None:
    id = (await flow.sender()).id
    await take(flow, [BY_DAY], 30)
    midnight = BY_DAY.period(time.at)[1]
    for mails, until in (
        (70, time.at),
        (71, midnight),
        (170, midnight),
        (171, midnight + 86_400_000),
    ):
        async with flow.system.database.read() as tx:
            assert await quota_ledger.through_at(tx, id, [BY_DAY], 0, mails) == until, mails
    async with flow.system.database.read() as tx:
        assert await quota_ledger.through_at(tx, id, [HOUR], 0, 41) == time.at + 2 * clock.HOUR


@pytest.mark.parametrize(
    ("caps", "share", "reason"),
    [
        ([HOUR, HOUR], None, "caps_twice"),
        ([SendLimit(count=1, seconds=n) for n in range(1, 14)], None, "caps_many"),
        ([SendLimit(count=1, seconds=DAY, reset="noon")], None, "cap_reset"),
        ([SendLimit(count=1, seconds=7, reset="00:00 UTC")], None, "cap_seconds"),
        (None, 91, "urgent_reserve_percent"),
        (None, -1, "urgent_reserve_percent"),
    ],
)
async def test_caps_that_cannot_be(
    flow: Flow, caps: list[SendLimit] | None, share: int | None, reason: str
) -> None:
    wrong = account(25, caps=caps, urgent_reserve_percent=share)
    with pytest.raises(Invalid) as caught:
        await senders.change(flow.system, wrong)
    assert caught.value.reason == reason


async def test_caps_are_kept_until_others_are_given(flow: Flow) -> None:
    given: NewSender = account(25, caps=[HOUR, BY_DAY], urgent_reserve_percent=20)
    made = await senders.change(flow.system, given)
    assert (made.caps, made.urgent_reserve_percent) == ([HOUR, BY_DAY], 20)
    kept = await senders.change(flow.system, account(25, name="Other"))
    assert (kept.caps, kept.urgent_reserve_percent) == ([HOUR, BY_DAY], 20)
    assert (await senders.change(flow.system, account(25, caps=[]))).caps == []
