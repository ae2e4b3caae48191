"""SIGTERM under load: nothing lost, doubled or unknown, and the process ends in time (F49)."""

import asyncio
import random
import time

import pytest

from faults.audit import Record, audit, drained, states
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings

STOPS = 3
HALF = 1_500


@pytest.mark.faults
def test_sigterm_finishes_what_is_at_the_dot(
    settings: Settings, dialect: str, record_property: Record
) -> None:
    chance = random.Random(dialect)
    with Ledger() as ledger, Engine(settings) as engine:
        ledger.hold = 0.05
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        for _ in range(STOPS):
            before = len(ledger.entries)
            engine.start()
            ledger.wait_for(before + 20)
            time.sleep(chance.uniform(0.0, 0.3))
            engine.stop()
            left = asyncio.run(states(settings))
            assert left["queued"] > 0, "it was stopped in the middle of its work"
            assert set(left) <= {"queued", "sent"}  # all that was held is settled or given back
        ledger.hold = 0.0
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    record_property("faults", f"{dialect}, {STOPS} times SIGTERM: {result.summary()}")
    result.check(size=2 * HALF)
    assert {(row.state, row.copies, row.doubts) for row in result.rows} == {("sent", 1, 0)}
