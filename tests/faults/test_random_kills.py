"""`kill -9` at random moments while mail flows (reliability.md 2.3, F1 to F10, and 3.1)."""

import asyncio
import random
import time

import pytest

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings
from ums.core.tables.states import OnUnknown

SEED = 20261123
SESSIONS = 5  # per sender; each kind of mail has a sender of its own
PACE = (0.0, 0.005, 0.02, 0.05)  # seconds the server takes to answer a dot
PER_KILL = 400  # mails put in for each kill, so that the flow does not run dry


@pytest.mark.timeout(0)  # as long as --kills asks; each wait inside has its own end
def test_nothing_is_lost_and_no_broadcast_doubled(
    settings: Settings, dialect: str, kills: int, record_property: Record
) -> None:
    half = max(10_000, kills * PER_KILL // 2) // 100 * 100
    chance = random.Random(f"{SEED} {dialect}")
    with Ledger() as ledger, Engine(settings, smtp_sessions=SESSIONS) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=half, single=half))
        for _ in range(kills):
            _kill_once(engine, ledger, chance)
        # A slow machine may still be at the messages that go first.
        while len(ledger.entries) < 1.5 * half and not asyncio.run(_met(settings, ledger)):
            _kill_once(engine, ledger, chance)
            kills += 1
        ledger.hold = 0.0
        engine.start()
        asyncio.run(drained(settings, 120 + half / 100))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    record_property("faults", f"{dialect}, {kills} random kills: {result.summary()}")
    result.check(size=2 * half)
    for policy in (OnUnknown.HOLD, OnUnknown.RESEND):
        # Kills that never met a mail at its dot would prove nothing.
        assert any(row.unknown_count for row in result.of(policy)) or kills < 25
    at_risk = kills * SESSIONS
    assert sum(row.copies > 1 for row in result.of(OnUnknown.HOLD)) == 0
    assert sum(row.state == "unknown" for row in result.of(OnUnknown.HOLD)) <= at_risk
    assert sum(row.copies > 1 for row in result.of(OnUnknown.RESEND)) <= at_risk


def _kill_once(engine: Engine, ledger: Ledger, chance: random.Random) -> None:
    ledger.hold = chance.choice(PACE)
    before = len(ledger.entries)
    engine.start()
    ledger.wait_for(before + 1)
    time.sleep(chance.uniform(0.0, 0.5))
    engine.kill()


async def _met(settings: Settings, ledger: Ledger) -> bool:
    """Whether kills have met mails of both policies at their dot, as the next start finds them."""
    result = await audit(settings, ledger)
    return all(
        any(row.unknown_count for row in result.of(policy))
        for policy in (OnUnknown.HOLD, OnUnknown.RESEND)
    )
