"""One sender's way out: its claimed deliveries and the sessions that carry them."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import structlog

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.deliveries import retry_policy
from ums.core.deliveries.message_id import Signer
from ums.core.deliveries.retry_policy import BROKEN, USED_UP, Timing
from ums.core.senders import cooldown
from ums.core.senders.learned_limits import DomainRate, Sessions
from ums.core.senders.senders import secret_of
from ums.core.transports.protocol import Session, Transport, TransportError
from ums.engine.delivery import domain_throttle
from ums.engine.delivery.concurrency_limit import ConcurrencyLimit
from ums.engine.delivery.crash_marker import CrashMarker
from ums.engine.delivery.domain_throttle import DomainThrottle
from ums.engine.delivery.job_queue import DeliveryJob
from ums.engine.delivery.job_source import JobSource
from ums.engine.delivery.journal import PAUSES, Journal
from ums.engine.failpoints import reach
from ums.engine.reputation import ReputationTracker
from ums.errors import Unavailable
from ums.mail.outcomes import Outcome, Scope, Stage, Timeouts, Verdict, unwatched
from ums.mail.reply_classifier import reread

MOMENT = 10 * clock.SECOND
FEW = 3  # mails after which a session that ends was not cut short
log = structlog.get_logger()


class _TakenAway(Exception):
    """The delivery is no longer ours, so it is not sent."""


def _note_stage(stage: Stage, _facts: dict[str, str]) -> None:
    reach(stage)


class SenderPool:
    """The sessions of one sender in this process.

    Every job is in one place: its supply, or in the hands of one session. Whoever lets go of one
    has recorded it, released it, or told the journal to forget it.
    """

    def __init__(
        self,
        system: AppContext,
        sender: Sender,
        type: Transport[Any],
        journal: Journal,
        signer: Signer,
        mark: CrashMarker,
        judge: ReputationTracker,
        sessions: Sessions | None = None,
        domain_rates: Sequence[DomainRate] = (),
    ) -> None:
        self.pacing = DomainThrottle(domain_rates)
        self.supply = JobSource(system, sender, journal, signer, mark, self.pacing)
        self._system = system
        self._type = type
        self._journal = journal
        self._judge = judge
        self._sessions: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None]] = set()  # of these, the ones that hold no job
        self._engaged = 0  # of these, the ones that take no job soon
        self._open: set[Session[Any]] = set()
        seconds = (sessions.most_until - clock.now()) / clock.SECOND if sessions else 0
        self._concurrency = ConcurrencyLimit(learnt=(sessions.count, seconds) if sessions else None)
        self._mails_most = sys.maxsize  # in one session, as far as the server was seen to take them
        self.supply.may_bulk = self._may_bulk

    @property
    def sender(self) -> Sender:
        return self.supply.sender

    @property
    def sessions(self) -> Sessions | None:
        """What was learnt of how many sessions the server takes."""
        found = self._concurrency.learnt
        if found is None:
            return None
        count, seconds = found
        if not seconds:
            return Sessions(count, 0)
        until = (clock.now() + seconds * clock.SECOND) / MOMENT  # the same each time it is asked
        return Sessions(count, round(until) * MOMENT)

    async def add(self, jobs: list[DeliveryJob], rests: int) -> None:
        """Take deliveries that were claimed after so many rests; sessions are opened as far as
        there is work for them."""
        if await self.supply.add(jobs, rests):
            self._staff()

    async def stop(self, seconds: float) -> None:
        """Finish what is at the dot, give the rest back; after `seconds` drop the connections."""
        self.supply.stop()
        for task in self._opening:
            task.cancel()
        giving = asyncio.create_task(self.supply.give_back())
        _, late = await asyncio.wait({giving, *self._sessions}, timeout=seconds)
        for session in [*self._open]:
            session.abort()
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2)

    # -- the sessions -------------------------------------------------------------------------

    def _staff(self) -> None:
        """Open a session for every job that no session will take soon. The first goes alone: five
        at once would make five wrong log-ins of one wrong password."""
        most = self._most if self._open else 1
        while len(self._sessions) < most and self._free < self.supply.size:
            task = asyncio.create_task(self._carry(), name=f"session {self.sender.code}")
            self._sessions.add(task)
            task.add_done_callback(self._ended)

    @property
    def _most(self) -> int:
        """How many sessions the mail that waits may have."""
        given = self._allowed
        if self.supply.has_urgent:
            return self._concurrency.urgent(given)
        return self._concurrency.usual(given)

    @property
    def _allowed(self) -> int:
        """One where too many of its mails are in doubt, else as many as the operator says."""
        slowed = (self.sender.throttled_until or 0) > clock.now()
        return 1 if slowed else self._system.settings.smtp_sessions

    def _may_bulk(self, carried: int) -> bool:
        """Whether one more session may carry mail that is not urgent, beside so many that do."""
        return carried < self._concurrency.usual(self._allowed)

    @property
    def _per_session(self) -> int:
        """How many mails one session carries."""
        return min(self._system.settings.smtp_session_messages, self._mails_most)

    @property
    def _free(self) -> int:
        return len(self._sessions) - self._engaged

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sessions.discard(task)
        if self.supply.has_work:  # came while that session was leaving
            self._staff()

    @contextmanager
    def _busy(self) -> Generator[None]:
        self._engaged += 1
        try:
            yield
        finally:
            self._engaged -= 1

    async def _carry(self) -> None:
        """Open sessions and carry deliveries until there is nothing left to do."""
        try:
            while self.supply.has_work:
                sender = self.sender
                session = await self._opened(sender)
                if session is None:
                    break
                if not await self._used(session, sender):
                    break
        except Exception:
            log.exception("a session broke", code=self.sender.code)
            await self._rest(retry_policy.defect(Stage.CONNECT))
        if self.supply.resting:
            await self.supply.give_back()  # what this session put back meanwhile

    async def _opened(self, sender: Sender) -> Session[Any] | None:
        """A session; None when the sender has to rest or its server takes no more of them."""
        began, ticks = clock.now(), time.monotonic()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._opening.add(task)
        try:
            secret = secret_of(self._system, sender)
            session = await self._type.open(sender.settings, secret, self._timeouts(), unwatched)
        except TransportError as error:
            outcome = self._read(error.outcome)
        except Exception:  # a key that opens no password any more, and our own defects
            log.exception("a session cannot be opened", code=sender.code)
            outcome = retry_policy.defect(Stage.CONNECT)
        else:
            reach("connected")
            self._open.add(session)
            self._staff()
            return session
        finally:
            self._opening.discard(task)
        if self._open:
            self._concurrency.refused(len(self._open))
            log.info("no further session", code=sender.code, reason=outcome.reason)
            return None
        duration = round((time.monotonic() - ticks) * 1000)
        await self._failed_to_open(outcome, Timing(began, clock.now(), duration))
        return None

    async def _failed_to_open(self, outcome: Outcome, timing: Timing) -> None:
        """Record the failure with one delivery, so that its history tells why it waits."""
        job = await self.supply.prepared()
        if job is not None:
            rules = job.message.rules
            await self._journal.record(
                retry_policy.settle(job.claimed, self.sender.id, outcome, rules, timing)
            )
            self.supply.done(job)
        await self._rest(outcome)

    async def _used(self, session: Session[Any], sender: Sender) -> bool:
        """Carry deliveries over `session` and leave it; False when the sender has to rest."""
        try:
            return await self._use(session, sender)
        finally:
            self._open.discard(session)
            with self._busy():
                # Not awaited when it has to be quick: aborting is immediate.
                session.abort() if self.supply.stopping else await session.close()

    async def _use(self, session: Session[Any], sender: Sender) -> bool:
        proven = False
        job = await self.supply.next(sender)
        while job is not None:
            more = session.carried + 1 < self._per_session
            following = self.supply.peek(sender) if more else None
            ahead = None
            try:
                with self._busy():
                    outcome, ahead = await self._attempt(session, job, following)
            finally:
                self.supply.done(job, ahead)
            self._learn(outcome, session, job.claimed.address)
            if outcome is not None and self._is_sender_s_fault(outcome, session):
                self.supply.put_back(ahead)
                await self._rest(outcome)
                return False
            if outcome is not None and outcome.reply is not None and not proven:
                await self._written(lambda tx: cooldown.worked(tx, sender.id))
                proven = True
            over = outcome is not None and outcome.reason in BROKEN
            if over or not session.usable or session.carried >= self._per_session:
                self.supply.put_back(ahead)
                return True
            job = ahead or await self.supply.next(sender)
        return True

    def _learn(self, outcome: Outcome | None, session: Session[Any], address: str) -> None:
        """How many sessions the server bears, and how fast the recipient's domain takes mail."""
        if outcome is None:
            return
        if outcome.reason == domain_throttle.REASON:
            self.pacing.refused(address, outcome.wait or 0)
        elif outcome.verdict is Verdict.SENT:
            self.pacing.took(address)
        taken = session.carried - (outcome.stage is Stage.DOT)
        if outcome.reason == USED_UP and taken > 0:
            self._mails_most = min(self._mails_most, taken)
        elif outcome.reason in BROKEN and session.carried < FEW:
            self._concurrency.broke()
        elif outcome.reason in cooldown.TOO_MUCH:
            self._concurrency.slowed()
        elif outcome.reply is not None and self._concurrency.worked(self._allowed):
            self._staff()

    async def _rest(self, outcome: Outcome) -> None:
        with self.supply.rest():
            await self._written(lambda tx: cooldown.rest(tx, self.sender.id, outcome))
        log.warning(
            "sender rests", code=self.sender.code, stage=outcome.stage, reason=outcome.reason
        )
        await self.supply.give_back()

    # -- one delivery -------------------------------------------------------------------------

    async def _attempt(
        self, session: Session[Any], job: DeliveryJob, following: DeliveryJob | None
    ) -> tuple[Outcome | None, DeliveryJob | None]:
        """One try of `job`: its outcome (None: it was not tried to the end), and the job whose
        commands went ahead with the dot."""
        ahead: DeliveryJob | None = None
        at_dot = False
        reach("claimed")

        async def commit() -> Any | None:
            nonlocal at_dot, ahead
            reach("body")
            if not await self._journal.intend(job.claimed):
                raise _TakenAway
            at_dot = True
            reach("intent")
            ahead = self.supply.take(following)
            return ahead.mail if ahead else None

        try:
            outcome = self._read(await session.send(job.mail, commit, _note_stage))
            reach("reply" if outcome.stage is Stage.DOT and outcome.reply else "refusal")
        except _TakenAway:
            await self._taken_away(job)
            return None, None
        except Unavailable:
            # The intent is perhaps not stored, so the session has not sent the mail.
            await self._journal.release(job.claimed)
            return None, None
        except asyncio.CancelledError:
            session.abort()
            undone = ahead if at_dot else job
            if undone is not None:
                await asyncio.shield(self._journal.release(undone.claimed))
            raise
        except Exception:
            log.exception("an attempt broke", id=job.claimed.id)
            session.abort()
            outcome = retry_policy.defect(Stage.DOT if at_dot else Stage.DATA)
        try:
            await self._settle(job, outcome, session)
        except Exception:
            self._journal.forget(job.claimed)
            self.supply.put_back(ahead)
            raise
        return outcome, ahead

    def _read(self, outcome: Outcome) -> Outcome:
        """As the operators' rules have it."""
        return reread(outcome, self._system.directory.reply_rules)

    async def _taken_away(self, job: DeliveryJob) -> None:
        """This delivery is no longer ours: its message was halted, or our lease ran out. What was
        taken along with it is not even begun."""
        self._journal.forget(job.claimed)
        try:
            lost = await self._journal.lose(self.supply.names())
        except Unavailable:
            return  # the next intent tells as well
        self.supply.remove(lost)
        log.info("deliveries were taken from us", code=self.sender.code, count=len(lost) + 1)

    async def _settle(self, job: DeliveryJob, outcome: Outcome, session: Session[Any]) -> None:
        claimed, ended = job.claimed, clock.now()
        duration = round((time.monotonic() - job.clock) * 1000)
        timing = Timing(job.started_at, ended, duration)
        result = retry_policy.settle(claimed, self.sender.id, outcome, job.message.rules, timing)
        worn_out = outcome.reason in BROKEN and session.carried and outcome.stage is not Stage.DOT
        if worn_out and result.counted_tries == claimed.counted_tries:
            result.due_at = min(result.due_at, ended)  # a session that wore out is nobody's fault
        await self._journal.record(result)
        self._judge.note(self.sender.id, claimed.message_id, claimed.address, outcome)
        reach("recorded")
        if outcome.verdict is not Verdict.SENT:
            log.info("delivery", id=claimed.id, state=result.state, reason=result.reason)

    def _is_sender_s_fault(self, outcome: Outcome, session: Session[Any]) -> bool:
        if outcome.scope is not Scope.SENDER:
            return False
        return not (outcome.reason in BROKEN and session.carried)

    async def _written(self, work: Callable[..., Awaitable[object]]) -> None:
        """Do `work` in a transaction, however long the database is away."""
        for tries in range(10**9):
            try:
                async with self._system.database.write() as tx:
                    await work(tx)
            except Unavailable:
                await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            else:
                return

    def _timeouts(self) -> Timeouts:
        own = self._system.settings
        return Timeouts(own.smtp_connect_seconds, own.smtp_command_seconds, own.smtp_data_seconds)
