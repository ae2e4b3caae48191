"""Many workers at one database (F36): each mail goes out once, and most of them take part."""

import asyncio
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from faults.audit import Record, audit, counted, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings

HALF = 2_000


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("count", [2, 4, 8])
def test_each_mail_goes_out_once(settings: Settings, count: int, record_property: Record) -> None:
    with Ledger() as ledger, ExitStack() as stack:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 5.0  # so that nobody is done before the last one has started
        # Nobody dies here, and on a busy machine nobody is to be taken for dead.
        further = {"smtp_sessions": 2, "lease_seconds": 20}
        workers = [stack.enter_context(Engine(settings, **further)) for _ in range(count)]
        for worker in workers:
            worker.start()
        asyncio.run(_all_here(settings, count))
        ledger.hold = 0.0
        asyncio.run(drained(settings, 120))
        for worker in workers:
            worker.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"postgresql, {count} workers: {result.summary()}")
    result.check(size=2 * HALF)
    assert {(row.state, row.copies, row.unknown_count) for row in result.rows} == {("sent", 1, 0)}


async def _all_here(settings: Settings, count: int) -> None:
    """Wait until so many workers hold mail."""
    query = text("SELECT count(DISTINCT owner) FROM deliveries WHERE owner IS NOT NULL")
    await counted(settings, query, lambda found: found >= count, 90)
