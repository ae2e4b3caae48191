"""The engine: everything a worker does, started and stopped together."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.deliveries import mailbox_polling, quarantine, queue
from ums.core.deliveries.expansion import expand
from ums.core.imports import runner
from ums.core.maintenance import restore_guard
from ums.core.messages import auto_pause
from ums.core.senders.routing import spill
from ums.core.transports import registry
from ums.engine import failpoints
from ums.engine.delivery.crash_marker import CrashMarker, left_behind
from ums.engine.delivery.dispatcher import Dispatcher
from ums.engine.holds import HoldWatcher
from ums.engine.maintenance import tidy
from ums.engine.quiet_hours import POLL as QUIET_POLL
from ums.engine.quiet_hours import keep_quiet
from ums.engine.reputation import ReputationTracker
from ums.engine.sandbox_server import receiver
from ums.engine.webhooks import WebhookDispatcher
from ums.errors import Unavailable

log = structlog.get_logger()
EXPAND_POLL = 0.5
HALT_POLL = 0.5
IMPORT_POLL = 1.0
SPILL_POLL = 1.0
JUDGE_POLL = 1.0
LOOK_POLL = 5.0
LOOKS = 4  # for dead workers, while the lease is renewed once
TIDY_EVERY = 20.0
AFTERWARDS = 4.0  # seconds after the last dot, for what is to be written then


class Worker:
    """One worker."""

    def __init__(self, system: AppContext) -> None:
        self.owner = f"{socket.gethostname()[:20]}.{os.getpid()}.{secrets.token_hex(4)}"
        self._system = system
        self._doubt_pause = round(system.settings.unknown_retry_seconds * clock.SECOND)
        self._mark = CrashMarker(system.settings.data_dir, self.owner)
        self._judge = ReputationTracker(system)
        self._deliverer = Dispatcher(system, self.owner, self._mark, self._judge)
        self._teller = WebhookDispatcher(system, self.owner)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._delivering: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join the workers and begin. On SQLite every worker before us is dead by now, since
        only one process may have the file; what they held comes back at once."""
        await restore_guard.check(self._system.database, self._system.settings)
        await self._beat()
        dead = left_behind(self._system.settings.data_dir)
        if dead:
            async with self._system.database.write() as tx:
                await quarantine.note(tx, dead)
        await self._recover(everyone=self._system.settings.is_sqlite)
        flow = (self._lease, self._expand, self._halt, self._quiet, self._spill, self._import)
        aside = (self._judging, self._tidy, *[self._look] * mailbox_polling.AT_ONCE)
        with audit_log.acting(audit_log.ENGINE):
            for loop in (*flow, *aside, self._teller.run, self._deliverer.run):
                task = asyncio.create_task(loop(), name=loop.__qualname__)
                task.add_done_callback(_report)
                self._tasks.append(task)
        self._delivering = self._tasks[-1:]
        log.info("engine started", owner=self.owner)

    async def stop(self) -> None:
        """Finish what is at the dot, return the rest (reliability.md, F49), in bounded time."""
        try:
            async with asyncio.timeout(self._system.settings.shutdown_seconds + AFTERWARDS):
                await self._stop()
        except TimeoutError:
            log.warning("stopped in the middle; the lease returns what is left")
        finally:
            self._mark.close()

    async def _stop(self) -> None:
        self._stopping.set()
        seconds = self._system.settings.shutdown_seconds
        await asyncio.gather(self._deliverer.stop(seconds), self._teller.stop(seconds))
        # It ends by itself; cancelled in its claim, it would leave rows that nobody holds.
        await asyncio.wait(self._delivering, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with self._system.database.write() as tx:
                await queue.bury(tx, self.owner, self._doubt_pause)
        except Unavailable:
            log.warning("stopped without the database; the lease returns what is left")
        log.info("engine stopped", owner=self.owner)

    # -- the loops ----------------------------------------------------------------------------

    async def _lease(self) -> None:
        """Renew the lease three times as often as it ends, and look for the dead more often than
        that: their mail waits for it. A process that was frozen renews it as soon as it wakes,
        or others would bury it again at each of their looks."""
        pause = self._system.settings.lease_seconds / 3
        while not self._stopping.is_set():
            renewed = time.monotonic()
            await _patiently(self._beat)
            while time.monotonic() - renewed < pause:
                await asyncio.sleep(pause / LOOKS)
                await _patiently(self._recover)

    async def _beat(self) -> None:
        lease = round(self._system.settings.lease_seconds * 1000)
        async with self._system.database.write() as tx:
            await queue.beat(tx, self.owner, lease)

    async def _recover(self, *, everyone: bool = False) -> None:
        async with self._system.database.write() as tx:
            count = await queue.recover(tx, self.owner, everyone=everyone, pause=self._doubt_pause)
            await quarantine.quarantine(tx)
        if count:
            log.warning("took over from dead workers", workers=count)
            self._deliverer.nudge()

    async def _expand(self) -> None:
        while not self._stopping.is_set():
            self._system.wake.clear()
            busy = await _patiently(self._expand_once)
            if not busy:
                await _wait(self._system.wake, EXPAND_POLL)

    async def _expand_once(self) -> bool:
        await auto_pause.keep_stopped(self._system)  # before any of it is on its way
        busy = await expand(self._system.database)
        if busy:
            self._deliverer.nudge()
        return busy

    async def _halt(self) -> None:
        halting = HoldWatcher(self._system.database)
        while not self._stopping.is_set():
            self._system.halted.clear()
            if await _patiently(halting.step):
                self._deliverer.nudge()
            else:
                await _wait(self._system.halted, HALT_POLL)

    async def _spill(self) -> None:
        while not self._stopping.is_set():
            if await _patiently(partial(spill, self._system)):
                self._deliverer.nudge()
            await asyncio.sleep(SPILL_POLL)

    async def _judging(self) -> None:
        while not self._stopping.is_set():
            await _patiently(self._judge.step)
            await _patiently(self._deliverer.remember)
            await asyncio.sleep(JUDGE_POLL)

    async def _look(self) -> None:
        while not self._stopping.is_set():
            if not await _patiently(partial(mailbox_polling.look_due, self._system)):
                await asyncio.sleep(LOOK_POLL)

    async def _import(self) -> None:
        while not self._stopping.is_set():
            if not await _patiently(self._import_one):
                await asyncio.sleep(IMPORT_POLL)

    async def _import_one(self) -> bool:
        async with self._system.database.write() as tx:
            import_id = await runner.claim(tx, self.owner)
        if import_id is None:
            return False
        await runner.run(self._system, import_id, self.owner)
        return True

    async def _quiet(self) -> None:
        while not self._stopping.is_set():
            await _patiently(partial(keep_quiet, self._system))
            await asyncio.sleep(QUIET_POLL)

    async def _tidy(self) -> None:
        since = 0
        while not self._stopping.is_set():
            started = clock.now()
            if await _patiently(partial(tidy, self._system, since)):
                since = started - clock.HOUR
            await asyncio.sleep(TIDY_EVERY)


async def _patiently(work: Callable[[], Awaitable[object]]) -> object:
    """Run `work`; when it cannot be done now, wait a moment and say that nothing was done."""
    try:
        return await work()
    except Unavailable:
        log.info("the database is away")
    except Exception:
        # One bad row must not take the whole engine along; the next round is a second away.
        log.exception("the engine stumbled")
    await asyncio.sleep(1)
    return False


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        # A loop that ended is a defect: without it the engine only seems to work. The process
        # ends, and whatever supervises it starts a sound one; nothing is lost by that.
        log.critical("engine loop failed", loop=task.get_name(), exc_info=task.exception())
        _failed.append(task.get_name())
        os.kill(os.getpid(), 15)


_failed: list[str] = []


def broken() -> bool:
    """Whether this process ends because a loop of its engine did."""
    return bool(_failed)


@asynccontextmanager
async def running(system: AppContext) -> AsyncGenerator[Worker]:
    """Run an engine with all sender types, the sandbox's receiver included."""
    failpoints.arm(system.settings.fail_point)
    async with receiver(system) as port:
        registry.add_sandbox(system.types, port)
        engine = Worker(system)
        await engine.start()
        try:
            yield engine
        finally:
            await asyncio.shield(engine.stop())
