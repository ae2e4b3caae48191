"""A worker of an older version beside a newer one (F42): the newer one's migrations add to the
tables while it sends, and states appear that it does not know."""

import asyncio

from sqlalchemy import select, text

from faults.audit import Record, audit, drained, states
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from support.transition_guard import any_transition
from ums.config import Settings
from ums.core import tables
from ums.db import open_database

HALF = 300
NEWER = 5  # deliveries in a state of the newer version
_PARK = text(
    "UPDATE deliveries SET state = 'newer' WHERE id IN (SELECT id FROM deliveries"
    " WHERE state = 'queued' ORDER BY id DESC LIMIT :count)"
)


def test_the_database_grows_under_a_worker(settings: Settings, record_property: Record) -> None:
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.05
        engine.start()
        ledger.wait_for(50)
        asyncio.run(_grow(settings))
        ledger.hold = 0.0
        asyncio.run(drained(settings, 60))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
        found = asyncio.run(states(settings))
    assert found == {"newer": NEWER, "sent": 2 * HALF - NEWER}
    known = result._replace(rows=[row for row in result.rows if row.state != "newer"])
    kind = "sqlite" if settings.is_sqlite else "postgresql"
    record_property("faults", f"{kind}, the database grows meanwhile: {known.summary()}")
    known.check(size=2 * HALF - NEWER)
    assert {(row.copies, row.unknown_count) for row in known.rows} == {(1, 0)}
    assert all(row.copies == 0 for row in result.rows if row.state == "newer")


async def _grow(settings: Settings) -> None:
    """One column more in each table, and some deliveries of whom only a newer version knows."""
    database = open_database(settings.database_url, settings.data_dir)
    for table in tables.metadata.sorted_tables:
        async with database.write() as tx:
            await tx.run(text(f"ALTER TABLE {table.name} ADD COLUMN newer integer DEFAULT 7"))
    async with database.write() as tx, any_transition(tx):
        await tx.run(_PARK, {"count": NEWER})
        parked = select(tables.deliveries.c.id).where(tables.deliveries.c.state == "newer")
        assert len(await tx.rows(parked)) == NEWER
    await database.close()
