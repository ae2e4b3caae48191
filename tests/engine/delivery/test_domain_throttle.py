"""Writing more slowly to a domain that takes no more, and as fast as ever to all others."""

import asyncio

import pytest

from support.clocks import Time
from support.fakes import Call, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.senders import learned_limits
from ums.core.senders.learned_limits import DomainRate
from ums.engine.delivery import domain_throttle
from ums.engine.delivery.domain_throttle import DomainThrottle
from ums.engine.worker import running

SLOW = b"450 4.7.1 too many messages for this domain, recipient domain rate limit\r\n"
A, B = "a@slow.cn", "b@fast.cn"


def test_half_as_fast_as_it_was(time: Time) -> None:
    domain_rates = DomainThrottle()
    for _ in range(30):
        assert domain_rates.due(A, urgent=False) is None
        domain_rates.took(A)
        time.at += 1000
    domain_rates.refused("x@SLOW.cn", 0)
    assert domain_rates.changed() == [DomainRate("slow.cn", 15, time.at + clock.MINUTE)]
    assert domain_rates.changed() == []
    first = time.at + clock.MINUTE
    assert [domain_rates.due(A, urgent=False) for _ in range(3)] == [
        first,
        first + 4000,
        first + 8000,
    ]
    assert domain_rates.due(B, urgent=False) is None
    assert domain_rates.due(A, urgent=True) == first  # where nothing is taken, nothing goes
    time.at = first + 12_000
    assert domain_rates.due(A, urgent=True) is None
    assert domain_rates.due(A, urgent=False) is None
    assert domain_rates.due(A, urgent=False) == time.at + 4000


def test_one_burst_of_refusals_is_one_and_the_next_pause_is_longer(time: Time) -> None:
    domain_rates = DomainThrottle([DomainRate("slow.cn", 40, 0)])
    for _ in range(5):
        domain_rates.refused(A, 0)
    assert domain_rates.changed() == [DomainRate("slow.cn", 20, time.at + clock.MINUTE)]
    time.at += clock.MINUTE
    domain_rates.refused(A, 0)
    assert domain_rates.changed() == [DomainRate("slow.cn", 10, time.at + 2 * clock.MINUTE)]
    time.at += 2 * clock.MINUTE
    domain_rates.refused(A, 7 * clock.MINUTE)
    assert domain_rates.changed() == [DomainRate("slow.cn", 5, time.at + 7 * clock.MINUTE)]
    for _ in range(20):
        time.at += clock.HOUR
        domain_rates.refused(A, 0)
    assert domain_rates.changed() == [DomainRate("slow.cn", 1, time.at + clock.HOUR)]


def test_a_little_faster_each_good_minute_until_it_is_free(time: Time) -> None:
    domain_rates = DomainThrottle([DomainRate("slow.cn", 10, 0)])
    rates: list[int] = []
    for _ in range(40):
        rate = rates[-1] if rates else 10
        for _ in range(rate):
            domain_rates.took(A)
        rates += [one.per_minute for one in domain_rates.changed()]
        if rates[-1] == 0:
            break
    assert rates[:11] == [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22]
    assert max(rates) < 40
    assert rates[-1] == 0
    assert not domain_rates.is_paced(A)
    assert domain_rates.due(A, urgent=False) is None


def test_nothing_is_put_off_for_longer_than_an_hour(time: Time) -> None:
    domain_rates = DomainThrottle([DomainRate("slow.cn", 1, 0)])
    turns = [domain_rates.due(A, urgent=False) or time.at for _ in range(200)]
    assert max(turns) == time.at + domain_throttle.AHEAD
    assert len(set(turns)) == 61


async def test_a_slow_domain_does_not_hold_up_the_others(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_throttle, "FIRST_PAUSE", 300)
    taken = 0

    def slow(call: Call) -> bytes | None:
        nonlocal taken
        if "slow.cn" not in call.line:
            return None
        taken += 1
        return SLOW if taken == 30 else None

    async with SmtpServer() as server:
        server.script["RCPT"] = slow
        with_settings(system, smtp_sessions=1)
        flow = await open_flow(system, server)
        monkeypatch.setattr("ums.mail.reply_classifier._wait", lambda *_: 0)
        async with running(system):
            mixed = [f"n{n}@{'slow.cn' if n % 2 else 'fast.cn'}" for n in range(100)]
            msgid = await flow.send(*mixed)

            async def fast_done() -> bool:
                rows = [row for row in await flow.deliveries(msgid) if "fast" in row.address]
                return bool(rows) and all(row.state == "sent" for row in rows)

            await until(fast_done)
            rows = [row for row in await flow.deliveries(msgid) if "slow" in row.address]
            waiting = [row for row in rows if row.state != "sent"]
            assert len(waiting) >= 19
            assert {row.reason for row in waiting} <= {"", "domain_rate"}  # "": not asked yet
            assert "domain_rate" in {row.reason for row in waiting}
            assert (await flow.sender()).cooldown_until is None
            (pace,) = await known(flow)
            assert pace.domain == "slow.cn"
            assert 1 <= pace.per_minute <= 14  # half of 29, or of those since the minute began
        # The next process knows it.
        before = len(server.mails)
        async with running(system):
            more = await flow.send(*(f"m{n}@slow.cn" for n in range(10)), "o@fast.cn")
            code = await flow.send("code@slow.cn", priority=1)
            assert await flow.until_settled(code) == {"sent": 1}
            await asyncio.sleep(1)
            counts = await flow.counts(more)
            assert counts["sent"] <= 3, counts
            assert sum(counts.values()) == 11
        assert len(server.mails) - before <= 20


async def known(flow: Flow) -> list[learned_limits.DomainRateInfo]:
    async def found() -> list[learned_limits.DomainRateInfo]:
        return await learned_limits.list_domain_rates(flow.system, "main")

    return await until(found)


async def test_sessions_that_a_server_takes_are_remembered(system: AppContext) -> None:
    most = 0

    def greet(call: Call) -> bytes | None:
        nonlocal most
        most = max(most, server.open)
        return b"421 4.7.0 too many connections\r\n" if server.open > 3 else None

    async with SmtpServer() as server:
        server.script["GREETING"] = greet
        with_settings(system, smtp_sessions=8)
        flow = await open_flow(system, server)
        async with running(system):
            await flow.until_settled(await flow.send(*(f"n{n}@example.cn" for n in range(200))))
        row = await flow.sender()
        assert row.session_limit in (2, 3)
        assert row.session_limit_until > clock.now()
        most = 0
        async with running(system):
            await flow.until_settled(await flow.send(*(f"m{n}@example.cn" for n in range(200))))
        assert most <= 3
