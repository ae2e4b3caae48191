"""A server that takes so many mails in a time (F33), and a sender that was told so: how near it
comes to what the server takes, and how often it is refused."""

import time

import pytest

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings
from ums.mail.send_limits import SendLimit
from ums.simulator.profiles import Profile, Rule, Simulator

RATE, SECONDS = 20, 4
SIZE = 120  # mails
SLOWER = "451 4.7.1 Rate limit exceeded, try again in 1 minute"


async def test_what_the_server_takes_is_used_and_not_overdrawn(
    settings: Settings, dialect: str, request: pytest.FixtureRequest, record_property: Record
) -> None:
    strict: bool = request.config.getoption("--targets")
    times: list[float] = []

    def asked() -> float:
        times.append(time.monotonic())
        return times[-1]

    # Where other tests run beside it, the server may read late what came in time: it is patient.
    counted = SECONDS if strict else SECONDS / 2
    profile = Profile(rules=(Rule("MAIL", SLOWER, over=RATE, seconds=counted),))
    async with Simulator(profile, clock=asked) as server:
        caps = [SendLimit(count=RATE, seconds=SECONDS)]
        await fill(settings, server.port, broadcast=0, single=SIZE, caps=caps)
        with Engine(settings) as engine, Engine(settings) as other:
            engine.start()
            if not settings.is_sqlite:
                other.start()
            await drained(settings, 120)
    refused = sum(server.said.values())
    # The first of them go at once, so they tell nothing of the rate.
    rate = (len(times) - refused - RATE) / (times[-1] - times[0])
    told = f"refused {refused} of {len(times)}, accepted {rate * SECONDS / RATE:.0%} of the rate"
    record_property("faults", f"{dialect}, a server that takes {RATE} in {SECONDS} s: {told}")
    assert refused <= SIZE * 0.02
    with Ledger() as nothing:
        result = await audit(settings, nothing)
    assert {row.state for row in result.rows} == {"sent"}
    assert len(result.rows) == SIZE
