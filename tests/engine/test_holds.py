"""Messages halted while they are expanded and sent: nothing goes out after the answer but what it
named as in flight, and at every look the counts add up."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from support.fakes import Call, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from support.queues import claim, filled, intend, parked, standing, take
from ums import clock
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion
from ums.core.maintenance.startup import open_system
from ums.core.messages import control
from ums.core.messages.control import Tally
from ums.core.messages.resend import resend
from ums.core.reporting import reports
from ums.core.tables import messages
from ums.engine import worker as loop
from ums.engine.worker import running

MANY, FEWER = 2500, 900


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "HALT_POLL", 0.05)


@asynccontextmanager
async def watched(flow: Flow, msgid: str, size: int) -> AsyncIterator[None]:
    """Look at the message all the time; its recipients are always all there."""

    async def look() -> None:
        while True:
            async with flow.system.database.read() as tx:
                info = await reports.message(tx, msgid)
                tally = await control.tally(tx, await control.message_id(tx, None, msgid))
            if info.state != "accepted":  # its audience is counted by then
                assert info.audience == sum(info.counts.values()) == size, info
                assert tally.audience == size
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        if not looking.cancelled():
            looking.result()


async def over(flow: Flow, msgid: str) -> bool:
    """Whether nothing is left to do for the halted message."""
    async with flow.system.database.read() as tx:
        info = await reports.message(tx, msgid)
    return not {"pending", "queued", "deferred", "claimed", "at_dot"} & set(info.counts)


def check(server: SmtpServer, taken: int, tally: Tally, final: dict[str, int], state: str) -> None:
    """`taken` mails had gone when the answer came; here is what was left in the end."""
    late = len(server.mails) - taken
    assert late <= tally.in_flight
    assert final["sent"] == len(server.mails) <= tally.sent + tally.in_flight
    assert final[state] == tally.stopped + tally.in_flight - (final["sent"] - tally.sent)
    assert sum(final.values()) == tally.audience
    assert max(Counter(mail.rcpt_to for mail in server.mails).values()) == 1


@asynccontextmanager
async def engines(settings: Settings, count: int) -> AsyncIterator[tuple[Flow, SmtpServer]]:
    """So many workers on one database, and a flow through them."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SmtpServer())
        systems = [await stack.enter_async_context(open_system(settings)) for _ in range(count)]
        flow = await open_flow(systems[0], server)
        for system in systems:
            await stack.enter_async_context(running(system))
        yield flow, server


WORKERS = pytest.mark.parametrize(
    ("dialect", "workers"), [("sqlite", 1), ("postgresql", 1), ("postgresql", 2)]
)


@WORKERS
@pytest.mark.parametrize("stop", [control.retract, control.cancel, control.pause])
async def test_a_running_send_is_stopped(settings: Settings, workers: int, stop: Any) -> None:
    async with engines(settings, workers) as (flow, server):
        await flow.add_users({f"u{i}": f"u{i}@example.cn" for i in range(MANY)})
        msgid = await flow.accept(broadcast=True)
        async with watched(flow, msgid, MANY):
            await until(lambda: _taken(server, 150), 60)
            tally = await stop(flow.system, None, msgid)
            taken = len(server.mails)
            await until(lambda: over(flow, msgid), 60)
        state = "paused" if stop is control.pause else "cancelled"
        check(server, taken, tally, await flow.counts(msgid), state)
        assert tally.stopped > 0
        await until(lambda: _idle(flow))


async def _taken(server: SmtpServer, count: int) -> bool:
    return len(server.mails) >= count


async def _idle(flow: Flow) -> bool:
    return await standing(flow) == []


@WORKERS
async def test_a_message_is_stopped_while_it_is_expanded(
    settings: Settings, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 50)
    async with engines(settings, workers) as (flow, server):
        await flow.add_users({f"u{i}": f"u{i}@example.cn" for i in range(MANY)})
        msgid = await flow.accept(broadcast=True)
        async with watched(flow, msgid, MANY):
            await until(lambda: _taken(server, 1), 60)
            tally = await control.retract(flow.system, None, msgid)
            taken = len(server.mails)
            await until(lambda: over(flow, msgid), 60)
        check(server, taken, tally, await flow.counts(msgid), "cancelled")


@WORKERS
async def test_pausing_loses_nothing_and_doubles_nothing(settings: Settings, workers: int) -> None:
    async with engines(settings, workers) as (flow, server):
        await flow.add_users({f"u{i}": f"u{i}@example.cn" for i in range(FEWER)})
        msgid = await flow.accept(broadcast=True)
        async with watched(flow, msgid, FEWER):
            for share in (1, 2, 3):
                await until(lambda share=share: _taken(server, share * 200), 60)
                tally = await control.pause(flow.system, None, msgid)
                taken = len(server.mails)
                if share == 2:
                    await until(lambda: over(flow, msgid))
                    check(server, taken, tally, await flow.counts(msgid), "paused")
                await control.resume(flow.system, None, msgid)
            await until(lambda: _taken(server, FEWER), 120)
        assert await flow.until_settled(msgid) == {"sent": FEWER}
        assert len({mail.rcpt_to for mail in server.mails}) == len(server.mails) == FEWER
        await until(lambda: _idle(flow))


async def test_only_the_halted_message_s_jobs_leave_the_lane(system: AppContext) -> None:
    """One session: a mail at its dot, the next one's commands ahead of it, and both messages
    claimed behind them."""
    with_settings(system, smtp_sessions=1)
    gate = asyncio.Event()

    async def hold(call: Call) -> None:
        await gate.wait()

    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        stopped = await flow.send(*(f"s{i}@example.cn" for i in range(12)))
        other = await flow.send(*(f"o{i}@example.cn" for i in range(8)))
        async with running(system):
            await until(lambda: _has(flow, stopped, "at_dot", 1))
            await until(lambda: _has(flow, other, "claimed", 8))
            tally = await control.retract(system, None, stopped)
            assert (tally.in_flight, tally.stopped) == (1, 11)
            gate.set()
            assert await flow.until_settled(stopped) == {"sent": 1, "cancelled": 11}
            assert await flow.until_settled(other) == {"sent": 8}
    # The session that had sent a body without its dot was closed; nothing else was even begun.
    assert server.connections == 2
    assert server.counts["BODY"] == 1 + 1 + 8
    assert {row.epoch for row in await flow.deliveries(other)} == {1}


async def _has(flow: Flow, msgid: str, state: str, count: int) -> bool:
    return (await flow.counts(msgid)).get(state) == count


async def test_what_was_at_the_dot_and_comes_back_is_stopped(system: AppContext) -> None:
    gate = asyncio.Event()

    async def hold(call: Call) -> bytes:
        await gate.wait()
        return b"451 4.3.0 later\r\n"

    with_settings(system, smtp_sessions=2)
    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.send(*(f"n{i}@example.cn" for i in range(30)))
        async with running(system):
            await until(lambda: _has(flow, msgid, "at_dot", 2))
            tally = await control.retract(system, None, msgid)
            assert (tally.in_flight, tally.stopped) == (2, 28)
            gate.set()
            assert await flow.until_settled(msgid) == {"cancelled": 30}
    assert server.mails == []


async def test_a_scheduled_message_starts_by_itself(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            start = clock.now() + 700
            msgid = await take(flow, starts_at=start)
            assert await flow.until_settled(msgid) == {"sent": 1}
            row = await flow.delivery(msgid)
    assert row.created_at >= start


async def test_failed_ones_are_sent_again_and_a_kept_mail_knows_its_new_life(
    system: AppContext,
) -> None:
    """The message's life was over; the engine has its mail in memory, with the old end."""
    async with SmtpServer() as server:
        server.script["RCPT"] = [b"550 5.1.1 no such user\r\n"]
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"failed": 1}
            await _end(system, msgid)
            assert (await resend(system, None, msgid)).resent == 1
            await flow.until_state(msgid, "sent")
    assert len(await flow.attempts(msgid)) == 2


async def _end(system: AppContext, msgid: str) -> None:
    async with system.database.write() as tx:
        mine = messages.update().where(messages.c.msgid == msgid)
        await tx.run(mine.values(expires_at=clock.now() - 1))


ROUNDS = 25


async def test_claims_and_intents_that_race_with_a_halt(settings: Settings) -> None:
    """However they meet: as many dots are written as the answer counts, and none after it."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_system(settings))
        flow = await open_flow(one, 25)
        flows = [flow]
        if not settings.is_sqlite:
            flows.append(Flow(await stack.enter_async_context(open_system(settings)), "1234"))
        chance = random.Random(7)
        for round in range(ROUNDS):
            stop = (control.retract, control.pause, control.cancel)[round % 3]
            await _race(flows, chance.random() * 0.04, f"r{round}.", stop)


async def _race(
    flows: list[Flow], moment: float, name: str, stop: Callable[..., Awaitable[Tally]]
) -> None:
    msgid = await filled(flows[0], 120, name)
    dots: list[int] = []
    answered = asyncio.Event()

    async def worker(flow: Flow, owner: str) -> None:
        while not answered.is_set() and (jobs := await claim(flow, 7, owner)):
            for start in range(0, len(jobs), 3):
                dots.extend(await intend(flow, jobs[start : start + 3], owner))
        # What it holds beyond the answer it still tries to bring to the dot.
        for start in range(0, 200, 7):
            if not (jobs := await claim(flow, 7, owner)):
                break
            dots.extend(await intend(flow, jobs, owner))
            assert start < 190

    async def halt() -> Tally:
        await asyncio.sleep(moment)
        tally = await stop(flows[0].system, None, msgid)
        answered.set()
        return tally

    workers = [worker(flow, f"w{i}") for i, flow in enumerate([*flows, *flows])]
    tally, *_ = await asyncio.gather(halt(), *workers)
    assert len(dots) == len(set(dots)) == tally.in_flight
    assert tally.stopped + tally.in_flight == tally.audience == 120
    await parked(flows[0])
    counts = await flows[0].counts(msgid)
    state = "paused" if stop is control.pause else "cancelled"
    assert counts.get("at_dot", 0) == tally.in_flight
    assert counts.get(state, 0) == tally.stopped
