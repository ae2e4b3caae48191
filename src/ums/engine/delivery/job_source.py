"""The claimed deliveries of a lane, one after the other, each ready to go."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import structlog

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.deliveries import retry_policy
from ums.core.deliveries.message_id import Signer
from ums.core.senders.quota_ledger import PATIENCE
from ums.core.tables.states import Priority
from ums.engine.delivery.crash_marker import CrashMarker
from ums.engine.delivery.domain_throttle import DomainThrottle
from ums.engine.delivery.job_queue import DeliveryJob, JobQueue
from ums.engine.delivery.journal import PAUSES, Journal
from ums.engine.delivery.quota_lease import QuotaLease
from ums.errors import Unavailable

log = structlog.get_logger()
IDLE_SECONDS = 5.0
SOON = clock.MINUTE  # what is given back for less is claimed again to the moment
BUFFER_PER_SESSION = 20


class JobSource:
    """What waits in a lane. Nothing goes that the sender's caps have no room for: it waits where
    that is a matter of moments, and is given back where it takes longer."""

    def __init__(
        self,
        system: AppContext,
        sender: Sender,
        journal: Journal,
        signer: Signer,
        mark: CrashMarker,
        pacing: DomainThrottle,
    ) -> None:
        self.sender = sender
        self.wanted: Callable[[], None] = lambda: None  # called when there is room for more
        # Whether a session may carry mail that is not urgent beside so many that do.
        self.may_bulk: Callable[[int], bool] = lambda _carried: True
        self.resting = False  # until the next claim, which asks the database
        self.rests = 0  # how often it began; a claim that began before the last one is too late
        self._unwritten = 0  # rests the database does not know of yet, so that no claim asks it
        self.stopping = False
        self._system = system
        self._journal = journal
        self._signer = signer
        self._mark = mark
        self._pacing = pacing
        self._waiting = JobQueue()
        self._bulk: set[int] = set()  # deliveries that are not urgent, in the hands of sessions
        self._arrived = asyncio.Event()
        self._allowance = QuotaLease(system.database)

    @property
    def size(self) -> int:
        return len(self._waiting)

    @property
    def has_urgent(self) -> bool:
        return self._waiting.has(Priority.URGENT)

    @property
    def has_work(self) -> bool:
        return bool(self._waiting) and not self.stopping and not self.resting

    @property
    def _buffer(self) -> int:
        return self._system.settings.smtp_sessions * BUFFER_PER_SESSION

    def room(self, priority: int) -> int:
        """How many more deliveries of `priority` it wants; those that come after them do not take
        their place. None until half of them are gone, as each claim costs a transaction; but a few
        of each, so that the more urgent never keep the others out for good."""
        if self.stopping or self._unwritten:
            return 0
        free = self._buffer - self._waiting.ahead_of(priority)
        if free * 2 >= self._buffer:
            return free
        return 0 if self._waiting.has(priority) else self._system.settings.smtp_sessions

    async def add(self, jobs: list[DeliveryJob], rests: int) -> bool:
        """Take deliveries that were claimed after so many rests; False when it is too late."""
        if self.stopping:
            for job in jobs:
                self._journal.forget(job.claimed)  # the burial at the stop's end returns them
            return False
        if rests != self.rests:
            await self._release(jobs)
            return False
        self.resting = False
        self._waiting.add(jobs)
        self._arrived.set()
        return True

    def stop(self) -> None:
        self.stopping = True
        self._arrived.set()

    @contextmanager
    def rest(self) -> Generator[None]:
        """End the sessions' work; what is claimed next asks the database, which has to know of the
        rest when the block ends."""
        self.resting = True
        self.rests += 1
        self._unwritten += 1
        self._arrived.set()  # sessions that wait for work need not
        try:
            yield
        finally:
            self._unwritten -= 1

    async def give_back(self) -> None:
        """Let go of all that waits here."""
        await self._release(self._waiting.take_all())
        try:
            await self._allowance.close(self.sender)
        except Unavailable:
            return  # it stays counted, which only makes the sender slower

    async def _release(self, jobs: list[DeliveryJob]) -> None:
        await asyncio.gather(*(self._journal.release(job.claimed) for job in jobs))

    # -- the next one -------------------------------------------------------------------------

    async def next(self, sender: Sender) -> DeliveryJob | None:
        """The next delivery, rendered; waits a little for one. None: end the session."""
        deadline = time.monotonic() + IDLE_SECONDS
        while not self.stopping and not self.resting and not self._outdated(sender):
            job = await self.prepared(urgent_only=not self.may_bulk(len(self._bulk)))
            if job is not None:
                if await self._afford(job):
                    return job
                continue
            self._arrived.clear()
            self.wanted()
            try:
                await asyncio.wait_for(self._arrived.wait(), deadline - time.monotonic())
            except TimeoutError:
                return None
        return None

    async def prepared(self, *, urgent_only: bool = False) -> DeliveryJob | None:
        """The next delivery, rendered, whatever the caps say."""
        while (job := self._waiting.take(urgent_only=urgent_only)) is not None:
            self._hold(job)
            if len(self._waiting) * 2 < self._buffer:
                self.wanted()
            if await self._prepare(job) and await self._is_its_turn(job):
                return job
            self.done(job)
        return None

    async def _is_its_turn(self, job: DeliveryJob) -> bool:
        """Whether the recipient's domain takes it now; else it is put off."""
        due = self._pacing.due(job.claimed.address, urgent=job.priority == Priority.URGENT)
        if due is not None:
            await self._journal.record(retry_policy.paced(job.claimed, due, job.message.rules))
        return due is None

    def _hold(self, job: DeliveryJob) -> None:
        if job.priority != Priority.URGENT:
            self._bulk.add(job.claimed.id)

    def done(self, job: DeliveryJob, ahead: DeliveryJob | None = None) -> None:
        """A session has let go of it, and goes on with the one that went ahead."""
        self._bulk.discard(job.claimed.id)
        if ahead is not None:
            self._hold(ahead)

    async def _afford(self, job: DeliveryJob) -> bool:
        """Wait until `job` may go by the caps; False when it was given back instead, or left in
        the line behind one that is more urgent."""
        for tries in range(10**9):
            try:
                free_at = await self._allowance.get(self.sender, job.priority, self.size + 1)
            except Unavailable:
                free_at = clock.now() + round(PAUSES[min(tries, len(PAUSES) - 1)] * clock.SECOND)
            if free_at is None:
                job.started_at, job.clock = clock.now(), time.monotonic()
                return True
            if self.stopping or self.resting:
                self.done(job)
                await self._release([job])
                return False
            wait = free_at - clock.now()
            if wait > PATIENCE:
                self.done(job)
                await self._release([job, *self._waiting.take_from(job.priority)])
                if wait < SOON:
                    asyncio.get_running_loop().call_later(wait / clock.SECOND, self.wanted)
                return False
            await asyncio.sleep(max(wait, 1) / clock.SECOND)
            first = self._waiting.first()
            if first is not None and first.priority < job.priority:
                self.done(job)
                self._waiting.put_back(job)
                return False
        return False

    def peek(self, sender: Sender) -> DeliveryJob | None:
        """The delivery that may follow, if it needs no more than rendering."""
        job = self._waiting.first()
        if job is None or self.stopping or self.resting or self._outdated(sender):
            return None
        if self._pacing.is_paced(job.claimed.address):
            return None  # it asks for its turn
        if job.message.rules.expires_at <= clock.now() or job.message.settings != sender.settings:
            return None
        return job if job.render(self._signer, self._mark) is None else None

    def take(self, following: DeliveryJob | None) -> DeliveryJob | None:
        """`following`, if it is still the first to go and may go at once."""
        if following is None or self._waiting.first() is not following:
            return None
        if not self._allowance.spend(self.sender, following.priority):
            return None
        following.started_at, following.clock = clock.now(), time.monotonic()
        return self._waiting.take()

    def put_back(self, ahead: DeliveryJob | None) -> None:
        """What was taken to follow did not go."""
        if ahead is not None:
            self._allowance.refund(self.sender)
            self.done(ahead)
            self._waiting.put_back(ahead)

    def names(self) -> set[tuple[int, int]]:
        """(id, epoch) of the deliveries that wait."""
        return self._waiting.names()

    def remove(self, names: set[tuple[int, int]]) -> None:
        self._waiting.remove(names)

    def _outdated(self, sender: Sender) -> bool:
        """Whether the sender was edited since a session was opened for it."""
        now = self.sender
        return (now.settings, now.secret) != (sender.settings, sender.secret)

    async def _prepare(self, job: DeliveryJob) -> bool:
        """Make `job` ready to go; False when it does not go, which is then recorded."""
        now, rules = clock.now(), job.message.rules
        if rules.expires_at <= now:
            await self._journal.record(retry_policy.expired(job.claimed, now, rules.event_mask))
            return False
        if job.message.settings != self.sender.settings:
            await self._journal.release(job.claimed)  # built for the account as it was
            return False
        problem = job.render(self._signer, self._mark)
        if problem is not None:
            log.warning("a mail cannot be built", id=job.claimed.id, problem=problem[1])
            unsendable = retry_policy.unsendable(job.claimed, problem[0], now, rules.event_mask)
            await self._journal.record(unsendable)
            return False
        job.started_at, job.clock = now, time.monotonic()
        return True
