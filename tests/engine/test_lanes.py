"""Urgent mail goes first and finds a session; what comes after it is never kept out for good; and
a lane has as many sessions as its server bears."""

import asyncio

import pytest

from support.fakes import Act, Call, SmtpServer
from support.flow import open_flow, until, with_settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries.queue import Claimed
from ums.core.deliveries.retry_policy import Rules
from ums.core.transports.protocol import MessageFacts
from ums.engine.delivery.concurrency_limit import PAUSE, START, ConcurrencyLimit
from ums.engine.delivery.job_queue import TURN, DeliveryJob, JobQueue
from ums.engine.delivery.message_cache import PreparedMessage
from ums.engine.worker import running

MAIL = PreparedMessage(None, "", "{}", MessageFacts(0), Rules("hold", 0))


def jobs(priority: int, count: int, first: int = 0) -> list[DeliveryJob]:
    return [
        DeliveryJob(Claimed(first + n, 1, "", 1, 0, 0, 0), MAIL, priority) for n in range(count)
    ]


def taken(waiting: JobQueue, count: int) -> list[int]:
    found: list[int] = []
    for _ in range(count):
        first = waiting.first()
        job = waiting.take()
        assert job is first
        assert job is not None
        found.append(job.priority)
    return found


def test_the_urgent_go_first_and_the_others_have_their_turns() -> None:
    waiting = JobQueue()
    waiting.add(jobs(3, 10))
    waiting.add(jobs(1, 100))
    waiting.add(jobs(2, 10))
    first = taken(waiting, TURN + 2)
    assert first == [1] * TURN + [3, 2]
    assert taken(waiting, 2 * TURN).count(1) >= 2 * TURN - 4
    rest = taken(waiting, len(waiting))
    assert sorted(rest) == rest or rest.count(3) >= 8
    assert waiting.take() is None


def test_the_urgent_alone() -> None:
    waiting = JobQueue()
    waiting.add(jobs(2, 3))
    assert waiting.take(urgent_only=True) is None
    waiting.add(jobs(1, 1, 10))
    job = waiting.take(urgent_only=True)
    assert (job and job.claimed.id, len(waiting)) == (10, 3)


class Time:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def limits(concurrency: ConcurrencyLimit, mails: int, most: int) -> list[int]:
    """The limit before each of so many mails that go well."""
    found: list[int] = []
    for _ in range(mails):
        found.append(concurrency.usual(most))
        concurrency.worked(most)
    return found


def test_sessions_grow_with_what_goes_well() -> None:
    concurrency = ConcurrencyLimit(Time())
    assert limits(concurrency, 12, 5) == [2, 2, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5]
    concurrency.slowed()
    assert limits(concurrency, 10, 5) == [2, 2, 3, 3, 3, 4, 4, 4, 4, 5]
    assert concurrency.usual(1) == 1  # whatever was learnt, the operator's word counts


def test_urgent_mail_may_have_a_few_more_sessions() -> None:
    time = Time()
    concurrency = ConcurrencyLimit(time)
    for _ in range(200):
        concurrency.worked(10)
    counts = [(concurrency.usual(most), concurrency.urgent(most)) for most in (1, 4, 10)]
    assert counts == [(1, 1), (4, 5), (10, 12)]  # one is what the operator says: one
    concurrency.refused(10)  # where the server takes no more, some of them are kept
    assert (concurrency.usual(10), concurrency.urgent(10)) == (8, 10)
    assert (concurrency.usual(3), concurrency.urgent(3)) == (3, 3)
    time.at += PAUSE
    assert (concurrency.usual(10), concurrency.urgent(10)) == (10, 12)


def test_sessions_shrink_once_in_a_round() -> None:
    concurrency = ConcurrencyLimit(Time())
    for _ in range(30):
        concurrency.worked(6)
    assert concurrency.usual(6) == 6
    for _ in range(5):
        concurrency.broke()
    assert concurrency.usual(6) == 5
    for _ in range(5):  # a round in which one broke lets none in
        concurrency.worked(6)
    assert concurrency.usual(6) == 5
    concurrency.slowed()
    assert concurrency.usual(6) == 2
    concurrency.slowed()
    concurrency.slowed()
    assert concurrency.usual(6) == 1


def test_what_the_server_takes_is_kept_for_a_while() -> None:
    time = Time()
    concurrency = ConcurrencyLimit(time)
    for _ in range(30):
        concurrency.worked(6)
    concurrency.refused(3)
    for _ in range(30):
        concurrency.worked(6)
    assert concurrency.usual(6) == 3
    time.at += PAUSE
    for _ in range(3):
        concurrency.worked(6)
    assert concurrency.usual(6) == 4
    assert START == 2


async def test_urgent_mail_finds_a_session_while_all_others_hang(system: AppContext) -> None:
    """A server on which each bulk mail takes for ever; the code goes out all the same."""
    hanging = asyncio.Event()

    async def slow(call: Call) -> Act | None:
        if "code" in call.line or not hanging.is_set():
            return None
        return Act(after=3600)

    async with SmtpServer() as server:
        server.script["RCPT"] = slow
        with_settings(system, smtp_sessions=5, shutdown_seconds=0.2)
        flow = await open_flow(system, server)
        async with running(system):
            warm = await flow.send(*(f"w{n}@example.cn" for n in range(40)))
            await flow.until_settled(warm)  # it has all its sessions now
            hanging.set()
            bulk = await flow.send(*(f"b{n}@example.cn" for n in range(60)), priority=3)

            async def stuck() -> bool:
                return server.counts["RCPT"] >= 44

            await until(stuck)
            code = await flow.send("code@example.cn", priority=1)
            assert await flow.until_settled(code, 30) == {"sent": 1}
            assert "sent" not in await flow.counts(bulk)


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_sessions_than_the_server_takes(system: AppContext, most: int) -> None:
    opened = 0

    def greet(call: Call) -> bytes | None:
        nonlocal opened
        if server.open > most:
            opened += 1
            return b"421 4.7.0 too many connections\r\n"
        return None

    async with SmtpServer() as server:
        server.script["GREETING"] = greet
        with_settings(system, smtp_sessions=6)
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{n}@example.cn" for n in range(200)))
            assert await flow.until_settled(msgid) == {"sent": 200}
        assert 1 <= opened <= 2
