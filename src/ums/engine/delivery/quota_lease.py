"""What a lane may still send of its sender's caps (core.senders.quota_ledger)."""

import asyncio

from ums import clock
from ums.core.context.directory import Sender
from ums.core.senders import quota_ledger
from ums.core.senders.quota_ledger import Reservation
from ums.core.tables.states import Priority
from ums.db import Database, Tx

FIRST, MOST = 5, 200  # mails that are taken at a time: twice as many when they did not suffice


class QuotaLease:
    """Mails that are counted already and not sent yet. A sender without caps needs none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._grant: Reservation | None = None
        self._is_urgent = False  # whether it may be of what is kept for urgent mail
        self._left = 0
        self._step = FIRST

    def spend(self, sender: Sender, priority: int) -> bool:
        """Whether a mail may go at once; it is then spent."""
        if not sender.caps:
            return True
        if not self._fits(priority):
            return False
        self._left -= 1
        return True

    def refund(self, sender: Sender) -> None:
        """The mail that was spent last did not go."""
        if sender.caps and self._grant is not None and self._left < self._grant.count:
            self._left += 1

    async def get(self, sender: Sender, priority: int, want: int) -> int | None:
        """Spend a mail, taking up to `want` more for those that follow it; the moment (ms) when
        there is one again where there is none, else None. Raises Unavailable."""
        if self.spend(sender, priority):
            return None
        async with self._lock:
            if self.spend(sender, priority):
                return None  # somebody took some meanwhile
            urgent = priority == Priority.URGENT
            grown = self._step * 2 if self._grant is not None and not self._left else FIRST
            self._step = min(grown, MOST)
            async with self._database.write() as tx:
                await self._return(tx, sender.id)
                grant = await quota_ledger.take(
                    tx,
                    sender.id,
                    sender.caps,
                    max(1, min(want, self._step)),
                    share=sender.urgent_reserve_percent,
                    urgent=urgent,
                )
            self._grant, self._left, self._is_urgent = grant, grant.count, urgent
            return None if self.spend(sender, priority) else grant.free_at

    async def close(self, sender: Sender) -> None:
        """Give back what is not sent. Raises Unavailable."""
        async with self._lock:
            if self._left:
                async with self._database.write() as tx:
                    await self._return(tx, sender.id)
                self._grant, self._left = None, 0

    async def _return(self, tx: Tx, sender: int) -> None:
        if self._grant is not None and self._left:
            await quota_ledger.give_back(tx, sender, self._grant, self._left)

    def _fits(self, priority: int) -> bool:
        if self._grant is None or self._left <= 0 or self._grant.good_until <= clock.now():
            return False
        return priority == Priority.URGENT or not self._is_urgent
