"""A mail that kills each worker that makes it is given up, and the others go out."""

import asyncio
import time

from faults.audit import audit, drained
from faults.engines import LEASE_SECONDS, Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings

SIZE = 30
DEATHS = 3


def test_after_three_deaths_the_others_go_out(settings: Settings) -> None:
    with Ledger() as ledger, Engine(settings, smtp_sessions=1) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=SIZE, single=0))
        for _ in range(DEATHS):
            engine.start(fail_point="making")  # always the first of the queue
            engine.wait_killed()
            time.sleep(LEASE_SECONDS + 0.5)  # the next one finds all that this one held
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    ends = sorted((row.state, row.copies) for row in result.rows)
    assert ends == [("failed", 0)] + [("sent", 1)] * (SIZE - 1)
