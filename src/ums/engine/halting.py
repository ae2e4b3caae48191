"""Parking the rows of halted messages, and letting those of resumed ones go."""

from ums.core import parking
from ums.db import Database, Hot
from ums.engine.failpoints import reach

_ANY = Hot("SELECT 1 FROM halts LIMIT 1")


async def settle_halts(database: Database) -> bool:
    """Do a chunk of the work; False when there is nothing that could be done now."""
    async with database.read() as tx:
        if await tx.value(_ANY) is None:
            return False
    async with database.write() as tx:
        moved, over = await parking.work(tx)
        reach("parking")
    reach("parked")
    return bool(moved or over)
