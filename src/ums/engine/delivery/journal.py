"""The engine's writes, grouped: intents, verdicts and releases of all sessions share commits."""

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from ums.core.deliveries import queue
from ums.core.deliveries.queue import Claimed, Name, Result
from ums.db import Database, GroupCommit, Tx
from ums.errors import Unavailable

# Sessions answer a commit within about a millisecond: all of them then share the next one, where
# without the pause two halves take turns, in twice as many transactions.
LINGER = 0.001
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds until the database is asked again


class Intent(Struct):
    """This delivery is about to get its dot."""

    id: int
    epoch: int


class Release(Struct):
    """This delivery goes back unsent."""

    id: int
    epoch: int


Entry = Intent | Release | Result


class Journal:
    """What one worker writes about the deliveries it holds, and which those are.

    A row that is written as ours and that `held` does not know has been lost on the way, by an
    answer of the database that never came or by a defect; the deliverer looks for such rows.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._owner = owner
        self._database = database
        self._group: GroupCommit[Entry, bool] = GroupCommit(database, self._apply, linger=LINGER)
        self._held: set[Name] = set()

    def take(self, claimed: Iterable[Claimed]) -> None:
        """These are ours until they are recorded, released or forgotten."""
        self._held.update((row.id, row.epoch) for row in claimed)

    def held(self) -> set[Name]:
        """(id, epoch) of all that is ours at this moment."""
        return self._held.copy()

    def forget(self, claimed: Claimed) -> None:
        """Nobody here knows any more how far this delivery came; what is written decides."""
        self._held.discard((claimed.id, claimed.epoch))

    async def lose(self, names: set[Name]) -> set[Name]:
        """Which of these (id, epoch) are no longer ours; they are forgotten. Raises Unavailable."""
        async with self._database.read() as tx:
            lost = names.difference(await queue.held(tx, self._owner))
        self._held -= lost
        return lost

    async def intend(self, claimed: Claimed) -> bool:
        """Write down the intent, durable on return. False: the delivery is no longer ours, and
        its dot must not be written (invariant I3). Raises Unavailable."""
        return await self._group.submit(Intent(claimed.id, claimed.epoch))

    async def record(self, result: Result) -> bool:
        """Store a verdict. False: the row had been taken from us, and nothing was stored.

        What a server said must not be lost because the database is away, so this waits for it.
        """
        return await self._last(result)

    async def release(self, claimed: Claimed) -> None:
        """Give the delivery back; only when it certainly got no dot. Waits for the database."""
        await self._last(Release(claimed.id, claimed.epoch))

    async def drain(self) -> None:
        await self._group.drain()

    async def _last(self, entry: Release | Result) -> bool:
        """Write the last we have to say about a delivery."""
        tries = 0
        try:
            while True:
                try:
                    return await self._group.submit(entry)
                except Unavailable:
                    await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                    tries += 1
        finally:
            self._held.discard((entry.id, entry.epoch))

    async def _apply(self, tx: Tx, entries: Sequence[Entry]) -> list[bool | Exception]:
        intents = [(e.id, e.epoch) for e in entries if isinstance(e, Intent)]
        results = [e for e in entries if isinstance(e, Result)]
        released = [(e.id, e.epoch) for e in entries if isinstance(e, Release)]
        good: set[Name] = set()
        if results:
            good |= await queue.record(tx, self._owner, results)
        if intents:
            good |= await queue.intend(tx, self._owner, intents)
        if released:
            await queue.release(tx, self._owner, released)
        return [isinstance(e, Release) or (e.id, e.epoch) in good for e in entries]
