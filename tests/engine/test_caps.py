"""Senders with caps: what they let go goes, and the rest waits for its time."""

from contextlib import AsyncExitStack

import msgspec
import pytest

from support.fakes import SmtpServer
from support.flow import Flow, account, open_flow, until
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries.expansion import expand
from ums.core.maintenance.startup import open_system
from ums.core.messages.requests import parse
from ums.core.reporting import reports
from ums.core.reporting.delivery_eta import estimate, forecast
from ums.core.senders import quota_ledger, routing, senders
from ums.engine.worker import running
from ums.mail.send_limits import DAY, SendLimit

HOUR = 3600
ONE = parse(
    b'{"aud_email": [{"data": ["a@example.cn"]}], "msg_email": [{"subject": "s", "text": "t"}]}',
    broadcast=False,
)


async def used(flow: Flow) -> list[int]:
    return [one.used for one in await quota_ledger.caps_of(flow.system, "main")]


async def until_spent(flow: Flow) -> None:
    async def spent() -> bool:
        row = await flow.sender()
        counts = await flow.counts(waiting)
        return row.cap_reached_until is not None and set(counts) <= {"sent", "queued"}

    waiting = flow.waiting
    await until(spent)


class Capped(Flow):
    """A flow whose last message waits for the caps of its sender."""

    waiting: str

    async def cap(self, server: SmtpServer, *caps: SendLimit, share: int = 0) -> None:
        given = account(server, caps=list(caps), urgent_reserve_percent=share)
        await senders.change(self.system, given)
        self.system.directory.forget()


async def open_capped(
    system: AppContext, server: SmtpServer | int, *caps: SendLimit, share: int = 0
) -> Capped:
    await open_flow(system, server, caps=list(caps), urgent_reserve_percent=share)
    return Capped(system, "1234")


def addresses(count: int, name: str = "n") -> list[str]:
    return [f"{name}{i}@example.cn" for i in range(count)]


async def test_no_more_goes_than_the_cap_and_the_rest_waits(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_capped(system, server, SendLimit(count=7, seconds=HOUR))
        async with running(system):
            flow.waiting = await flow.send(*addresses(40))
            await until_spent(flow)
            assert await flow.counts(flow.waiting) == {"sent": 7, "queued": 33}
            assert len(server.mails) == 7
            assert all(
                row.tries == row.counted_tries == 0
                for row in await flow.deliveries(flow.waiting)
                if row.state == "queued"
            )
            async with system.database.read() as tx:
                info = await reports.message(tx, flow.waiting)
                told = await forecast(tx, await system.directory.now(), info)
            assert told is not None
            assert (told.bottleneck, told.left, told.until) == (
                "quota",
                33,
                (await senders.show(system, "main")).cap_reached_until,
            )
            await flow.cap(server, SendLimit(count=500, seconds=HOUR))
            assert await flow.until_settled(flow.waiting) == {"sent": 40}
        assert await used(flow) == [40]  # of an hour, whatever the cap was


async def test_what_was_taken_and_not_sent_is_given_back(system: AppContext) -> None:
    async with SmtpServer() as server:
        caps = (
            SendLimit(count=1000, seconds=HOUR),
            SendLimit(count=3000, seconds=DAY, reset="00:00 UTC"),
        )
        flow = await open_capped(system, server, *caps)
        async with running(system):
            for count in (1, 30, 4):
                msgid = await flow.send(*addresses(count, f"m{count}."))
                assert await flow.until_settled(msgid) == {"sent": count}
        assert await used(flow) == [35, 35]


async def test_urgent_mail_goes_while_the_rest_waits(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_capped(system, server, SendLimit(count=10, seconds=HOUR), share=30)
        async with running(system):
            flow.waiting = await flow.send(*addresses(20))
            await until_spent(flow)
            assert (await flow.counts(flow.waiting))["sent"] == 7
            codes = await flow.send(*addresses(3, "code"), priority=1)
            assert await flow.until_settled(codes) == {"sent": 3}
            late = await flow.send("late@example.cn", priority=1)

            async def spent() -> bool:
                return (await flow.sender()).urgent_cap_reached_until is not None

            await until(spent)
            assert set(await flow.counts(late)) <= {"queued", "claimed"}
            assert len(server.mails) == 10


async def test_mails_of_a_second_come_second_by_second(system: AppContext) -> None:
    """Moments are waited for by the session itself; nothing is given back meanwhile."""
    async with SmtpServer() as server:
        flow = await open_capped(system, server, SendLimit(count=20, seconds=1))
        async with running(system):
            msgid = await flow.send(*addresses(50))
            assert await flow.until_settled(msgid) == {"sent": 50}
            assert {row.epoch for row in await flow.deliveries(msgid)} == {1}


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_all_workers_together_stay_within_a_cap(settings: Settings) -> None:
    async with SmtpServer() as server, AsyncExitStack() as stack:
        systems = [await stack.enter_async_context(open_system(settings)) for _ in range(3)]
        flow = await open_capped(systems[0], server, SendLimit(count=101, seconds=HOUR))
        for system in systems:
            await stack.enter_async_context(running(system))
        flow.waiting = await flow.send(*addresses(400))
        await until_spent(flow)
        assert (await flow.counts(flow.waiting))["sent"] == len(server.mails) == 101
        assert await used(flow) == [101]


async def test_without_a_pace_the_caps_still_say_something(system: AppContext) -> None:
    flow = await open_capped(system, 25, SendLimit(count=10, seconds=HOUR))
    async with system.database.read() as tx:
        few, many = [
            await estimate(tx, await flow.channel(), "main", ONE, count) for count in (10, 11)
        ]
    assert (few.seconds, many.seconds) == (None, HOUR)


async def test_the_estimate_knows_the_route(system: AppContext) -> None:
    flow = await open_capped(system, 25, SendLimit(count=10, seconds=HOUR))
    given = {"code": "two", "name": "two", "caps": [SendLimit(count=30, seconds=HOUR)]}
    await senders.create(system, account(25, **given, urgent_reserve_percent=0))
    await routing.set_leg(system, "1234", "two", rank=2)
    named = msgspec.structs.replace(ONE, instance="main")
    async with system.database.read() as tx:
        channel = await flow.channel()
        times = [(await estimate(tx, channel, "main", ONE, n)).seconds for n in (40, 41, 70)]
        alone = (await estimate(tx, channel, "main", named, 40)).seconds
    assert (times, alone) == ([None, HOUR, 2 * HOUR], 3 * HOUR)


async def test_the_estimate_knows_the_caps(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_capped(system, server, SendLimit(count=10, seconds=HOUR))
        async with running(system):
            assert await flow.until_settled(await flow.send(*addresses(6))) == {"sent": 6}
        async with system.database.read() as tx:
            few = await estimate(tx, await flow.channel(), "main", ONE, 4)
            many = await estimate(tx, await flow.channel(), "main", ONE, 15)
        assert few.seconds is not None
        assert few.seconds < 60
        assert many.seconds is not None
        assert 2 * HOUR - 60 < many.seconds <= 2 * HOUR + 60


async def test_what_waits_has_what_is_left_reserved(system: AppContext) -> None:
    flow = await open_capped(
        system, 1, SendLimit(count=50, seconds=HOUR), SendLimit(count=90, seconds=DAY)
    )

    async def left() -> list[tuple[int, int]]:
        return [(one.left, one.reserved) for one in await quota_ledger.caps_of(system, "main")]

    assert await left() == [(50, 0), (90, 0)]
    for size, reserved in ((33, (33, 33)), (40, (50, 73))):
        await flow.send(*addresses(size, f"{size}-"))
        while await expand(system.database):
            pass
        assert await left() == [*zip((50, 90), reserved, strict=True)]
