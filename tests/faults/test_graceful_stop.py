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

HALF_PER_STOP = 500


@pytest.mark.timeout(0)  # as long as --stops asks; each wait inside has its own end
def test_sigterm_finishes_what_is_at_the_dot(
    settings: Settings, dialect: str, stops: int, record_property: Record
) -> None:
    chance, half = random.Random(dialect), stops * HALF_PER_STOP
    with Ledger() as ledger, Engine(settings, anew=True) as engine:
        ledger.hold = 0.05
        asyncio.run(fill(settings, ledger.port, broadcast=half, single=half))
        for _ in range(stops):
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
        asyncio.run(drained(settings, 60 + half / 100))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    record_property("faults", f"{dialect}, {stops} times SIGTERM: {result.summary()}")
    result.check(size=2 * half)
    assert {(row.state, row.copies, row.unknown_count) for row in result.rows} == {("sent", 1, 0)}
