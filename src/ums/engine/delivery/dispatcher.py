"""Delivering: claims what is due and hands it to the lanes of its senders."""

import asyncio
import time

import structlog

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender, Snapshot
from ums.core.deliveries import queue
from ums.core.deliveries.message_id import signer_of
from ums.core.senders import learned_limits, quota_ledger
from ums.core.senders.learned_limits import Sessions
from ums.core.tables.states import Priority
from ums.db import Tx
from ums.engine.delivery.crash_marker import CrashMarker
from ums.engine.delivery.job_queue import DeliveryJob
from ums.engine.delivery.journal import Journal
from ums.engine.delivery.message_cache import MessageCache
from ums.engine.delivery.sender_pool import SenderPool
from ums.engine.reputation import ReputationTracker
from ums.errors import Unavailable

log = structlog.get_logger()
POLL_SECONDS = 0.5
AUDIT_SECONDS = 5.0
CLAIM_AT_ONCE = 200


class Dispatcher:
    """Keeps every sender's lane supplied, urgent deliveries first."""

    def __init__(
        self, system: AppContext, owner: str, mark: CrashMarker, judge: ReputationTracker
    ) -> None:
        self._system = system
        self._owner = owner
        self._journal = Journal(system.database, owner)
        self._signer = signer_of(system.seal)
        self._mails = MessageCache(system)
        self._mark = mark
        self._judge = judge
        self._lanes: dict[int, SenderPool] = {}
        self._known: dict[int, Sessions] = {}  # what is written of each
        self._wake = asyncio.Event()
        self._stopping = False
        self._audited = time.monotonic()

    def nudge(self) -> None:
        """There may be something to claim."""
        self._wake.set()

    async def run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            busy = False
            try:
                await self._audit()
                busy = await self._feed()
            except Unavailable:
                pass
            except Exception:
                # One sender's or one message's trouble must not stop the others.
                log.exception("delivering stumbled")
            if not busy and not self._stopping:
                await self._pause()

    async def stop(self, seconds: float) -> None:
        """Finish what is at the dot and return the rest, within `seconds`."""
        self._stopping = True
        self._wake.set()
        await asyncio.gather(*(lane.stop(seconds) for lane in self._lanes.values()))
        try:
            await asyncio.wait_for(self._journal.drain(), seconds)
            await self.remember()
        except Unavailable:
            return  # what was learnt last is learnt again
        except TimeoutError:
            log.warning("stopped before everything was written; the lease returns what is left")

    async def remember(self) -> None:
        """Write down what the lanes learnt of their servers. Raises Unavailable."""
        for id, lane in [*self._lanes.items()]:
            sessions = lane.sessions if lane.sessions != self._known.get(id) else None
            changed = lane.pacing.changed()
            if sessions is None and not changed:
                continue
            try:
                async with self._system.database.write() as tx:
                    await learned_limits.keep(tx, id, sessions, changed)
            except BaseException:
                lane.pacing.unwritten(changed)
                raise
            if sessions is not None:
                self._known[id] = sessions

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        except TimeoutError:
            return

    async def _feed(self) -> bool:
        """Claim for every sender that has room and something due; True when any did."""
        async with self._system.database.read() as tx:
            due = await queue.ready(tx)
        now = await self._system.directory.now()
        for lane in self._lanes.values():
            lane.supply.sender = now.senders.get(lane.sender.id, lane.sender)  # as edited since
        fed = False
        for sender_id, priority in due:
            lane = await self._lane(now, sender_id)
            if lane is not None and lane.supply.room(priority) and not self._stopping:
                fed = await self._fill(lane, priority) or fed
        return fed

    async def _lane(self, now: Snapshot, sender_id: int) -> SenderPool | None:
        sender = now.senders.get(sender_id)
        if sender is None or sender.type not in self._system.types:
            return None
        return self._lanes.get(sender_id) or await self._new_lane(sender)

    async def _new_lane(self, sender: Sender) -> SenderPool:
        type = self._system.types[sender.type]
        async with self._system.database.read() as tx:
            known = await learned_limits.load(tx, sender.id)
        parts = (self._journal, self._signer, self._mark, self._judge)
        lane = SenderPool(self._system, sender, type, *parts, *known)
        lane.supply.wanted = self.nudge
        self._lanes[sender.id] = lane
        return lane

    async def _fill(self, lane: SenderPool, priority: int) -> bool:
        limit, rests = min(lane.supply.room(priority), CLAIM_AT_ONCE), lane.supply.rests
        async with self._system.database.write() as tx:
            limit = min(limit, await self._spared(tx, lane.sender, priority))
            claimed = await queue.claim(tx, self._owner, lane.sender.id, priority, limit)
        if not claimed:
            return False
        self._journal.take(claimed)
        try:
            mails = await self._mails.of(lane.sender, (row.message_id for row in claimed))
            await self._mails.acquaint(claimed, mails)
            jobs = [DeliveryJob(row, mails[row.message_id], priority) for row in claimed]
        except BaseException:
            for row in claimed:
                self._journal.forget(row)  # the audit gives them back
            raise
        await lane.add(jobs, rests)
        return True

    @staticmethod
    async def _spared(tx: Tx, sender: Sender, priority: int) -> int:
        """How many the sender's caps let go at most; the lane finds out when that is none."""
        if not sender.caps:
            return CLAIM_AT_ONCE
        share, urgent = sender.urgent_reserve_percent, priority == Priority.URGENT
        return max(
            1, await quota_ledger.left(tx, sender.id, sender.caps, share=share, urgent=urgent)
        )

    async def _audit(self) -> None:
        """Give up rows that are written as ours and that nobody here holds.

        Only this task claims, so none can be on its way to us meanwhile; and what is held is
        asked first, so that one that is finished while we read is not taken for lost.
        """
        if time.monotonic() - self._audited < AUDIT_SECONDS:
            return
        held = self._journal.held()
        async with self._system.database.read() as tx:
            written = await queue.held(tx, self._owner)
        lost = [row for row in written if row not in held]
        if lost:
            log.warning("gave up deliveries that were lost on the way", count=len(lost))
            pause = round(self._system.settings.unknown_retry_seconds * clock.SECOND)
            async with self._system.database.write() as tx:
                await queue.disown(tx, self._owner, lost, pause)
        self._audited = time.monotonic()
