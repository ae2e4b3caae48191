"""Warming a sender up: more each day that went well, and no more after one that did not."""

import pytest

from support.clocks import Time
from support.flow import Flow, open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.senders import cooldown, quota_ledger, reputation, warm_up
from ums.core.senders.quota_ledger import Reservation
from ums.core.senders.reputation import Count
from ums.errors import Invalid, NotFound
from ums.mail.outcomes import Outcome, Scope, Stage, Verdict
from ums.mail.send_limits import DAY, SendLimit
from ums.mail.warm_up_plan import WarmUp, caps_with

PLAN = WarmUp(start=50, growth=50, target=100, zone="Asia/Shanghai")
RATE = Outcome(Verdict.LATER, Stage.MAIL, "rate", Scope.SENDER, charged=False)


@pytest.fixture
async def flow(system: AppContext, time: Time) -> Flow:
    flow = await open_flow(system, 25)
    await warm_up.begin(system, "main", PLAN)
    return flow


async def caps(flow: Flow) -> tuple[SendLimit, ...]:
    flow.system.directory.forget()
    return (await flow.system.directory.now()).sender_codes["main"].caps


async def send(flow: Flow, want: int) -> Reservation:
    flow.system.directory.forget()
    sender = (await flow.system.directory.now()).sender_codes["main"]
    async with flow.system.database.write() as tx:
        return await quota_ledger.take(tx, sender.id, sender.caps, want, share=0, urgent=False)


async def next_day(flow: Flow, time: Time) -> int | None:
    """Mails of the next day; None where it is warmed up."""
    until = (await flow.sender()).warm_up_day_ends_at
    time.at = until - 1
    await warm_up.grow(flow.system)  # not a moment too early
    time.at = until + 7 * clock.SECOND
    await send(flow, 1)  # whoever sends first must not make us forget what yesterday came to
    await warm_up.grow(flow.system)
    await warm_up.grow(flow.system)
    found = await warm_up.show(flow.system, "main")
    return None if found is None else found.today


async def test_good_days_grow_to_the_target(flow: Flow, time: Time) -> None:
    assert (await send(flow, 60)).count == 50
    assert (await send(flow, 60)).count == 0
    assert (await flow.sender()).cap_reached_until is not None
    shown = await warm_up.show(flow.system, "main")
    assert shown is not None
    assert (shown.today, shown.days, shown.held) == (50, 2, False)
    assert await next_day(flow, time) == 75
    assert (await flow.sender()).cap_reached_until is None
    assert (await send(flow, 75)).count == 74
    assert await next_day(flow, time) == 100
    assert (await send(flow, 100)).count == 99
    assert await next_day(flow, time) is None
    assert await caps(flow) == ()


async def test_a_day_of_few_mails_proves_nothing(flow: Flow, time: Time) -> None:
    await send(flow, 24)
    assert await next_day(flow, time) == 50
    await send(flow, 24)
    assert await next_day(flow, time) == 75


async def test_no_more_after_the_server_said_too_much(flow: Flow, time: Time) -> None:
    await send(flow, 50)
    id = (await flow.sender()).id
    async with flow.system.database.write() as tx:
        await cooldown.rest(tx, id, RATE)
        time.at += 7 * clock.HOUR
        await cooldown.worked(tx, id)
    shown = await warm_up.show(flow.system, "main")
    assert shown is not None
    assert shown.held
    assert await next_day(flow, time) == 50
    await send(flow, 49)
    assert await next_day(flow, time) == 75


async def test_no_more_while_many_addresses_do_not_exist(flow: Flow, time: Time) -> None:
    id = (await flow.sender()).id
    await send(flow, 50)
    assert await next_day(flow, time) == 75
    await send(flow, 74)
    await reputation.note(flow.system, {id: Count(200, 12, 0)})
    assert await next_day(flow, time) == 75
    await send(flow, 74)
    await reputation.note(flow.system, {id: Count(200, 100, 0)})
    assert await next_day(flow, time) == 50  # stopped: it begins again


async def test_it_can_be_ended_and_refuses_nonsense(flow: Flow) -> None:
    await warm_up.end(flow.system, "main")
    assert await warm_up.show(flow.system, "main") is None
    assert await caps(flow) == ()
    for plan, field in (
        (WarmUp(start=0, target=10), "start"),
        (WarmUp(growth=201, target=100), "growth"),
        (WarmUp(start=50, target=49), "target"),
        (WarmUp(target=100, zone="Mars/Olympus"), "zone"),
        (WarmUp(target=100, zone="../etc/passwd"), "zone"),
    ):
        with pytest.raises(Invalid) as refused:
            await warm_up.begin(flow.system, "main", plan)
        assert refused.value.values["field"] == field
    for verb in (warm_up.show, warm_up.end):
        with pytest.raises(NotFound):
            await verb(flow.system, "nobody")


def test_the_smaller_of_two_caps_of_one_day_holds() -> None:
    own = (
        SendLimit(count=30, seconds=DAY, reset="00:00 Asia/Shanghai"),
        SendLimit(count=5, seconds=60),
    )
    text = '{"start": 50, "growth": 50, "target": 100, "zone": "Asia/Shanghai"}'
    assert [cap.count for cap in caps_with(own, text, 50)] == [5, 30]
    assert [cap.count for cap in caps_with(own, text, 20)] == [5, 20]
    assert caps_with(own, None, 0) is own
