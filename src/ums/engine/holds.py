"""Parking the rows of halted messages, and letting those of resumed ones go."""

from ums.core.deliveries import holds
from ums.db import Database, Statement
from ums.engine.failpoints import reach

_ANY = Statement("SELECT 1 FROM pending_halts LIMIT 1")


class HoldWatcher:
    """The work that halts leave behind, done chunk by chunk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = 0

    async def step(self) -> bool:
        """Do a chunk; False when there is nothing that could be done now."""
        async with self._database.read() as tx:
            if await tx.value(_ANY) is None:
                return False
        async with self._database.write() as tx:
            done = await holds.work(tx, self._after)
            reach("parking")
        reach("parked")
        began, self._after = self._after, done.last
        return bool(done.moved or done.over or done.last or began)
