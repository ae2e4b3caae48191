"""Telling: takes batches of callback records and sends them, each address on its own.

An address has one batch in flight, and its task here ends when there is nothing to send now; so
one that hangs holds up nobody but itself. Of the addresses that are told at the same time those
that fail are at most half.
"""

import asyncio
import time
from collections.abc import Iterable

import structlog

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.webhooks import client, delivery_queue, endpoints, payload
from ums.core.webhooks.client import Reply
from ums.core.webhooks.delivery_queue import Batch, Due, Limits
from ums.engine.failpoints import reach
from ums.errors import Unavailable

log = structlog.get_logger()
POLL_SECONDS = 0.5
AT_ONCE = 20  # batches of one address before the others have their turn
POSTPONED = 60 * clock.SECOND  # after an error of ours


class WebhookDispatcher:
    """What one worker tells the channels' own systems."""

    def __init__(self, system: AppContext, owner: str) -> None:
        self._system = system
        self._owner = owner
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._failing: set[int] = set()
        self._begun: dict[int, float] = {}  # address -> when its last turn began
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()  # somebody has more to tell than fits into a turn

    async def run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                await self._look()
            except Unavailable:
                pass
            except Exception:
                log.exception("telling stumbled")
            await self._pause()

    async def stop(self, seconds: float) -> None:
        """Let what is in flight end, for at most `seconds`; the rest is sent again later."""
        self._stopping.set()
        self._wake.set()
        tasks = [*self._tasks.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        except TimeoutError:
            return

    @property
    def _limits(self) -> Limits:
        own = self._system.settings
        return Limits(own.callback_batch_size, round(own.callback_batch_seconds * clock.SECOND))

    async def _look(self) -> None:
        """Begin with every address that has something to be told and is not being told."""
        async with self._system.database.read() as tx:
            due = await delivery_queue.due(tx, self._owner, self._limits)
        for address in self._admitted(due):
            task = asyncio.create_task(self._tell(address.id), name=f"callback {address.id}")
            self._tasks[address.id] = task

    def _admitted(self, due: Iterable[Due]) -> Iterable[Due]:
        most = self._system.settings.callback_concurrency
        for address in sorted(due, key=lambda address: self._begun.get(address.id, 0.0)):
            if address.id in self._tasks or len(self._tasks) >= most or self._stopping.is_set():
                continue
            if address.failing:
                if len(self._failing) >= most // 2:
                    continue
                self._failing.add(address.id)
            self._begun[address.id] = time.monotonic()
            yield address

    async def _tell(self, address_id: int) -> None:
        """Send the batches of an address until none is due, one fails, or its turn is over."""
        try:
            for _ in range(AT_ONCE):
                if self._stopping.is_set():
                    return
                async with self._system.database.write() as tx:
                    batch = await delivery_queue.take(tx, self._owner, address_id, self._limits)
                if batch is None:
                    return
                reach("batched")
                if not await self._send(batch):
                    return
            self._wake.set()
        except Unavailable:
            return  # what is written as ours is taken again
        except Exception:
            log.exception("telling an address stumbled", address=address_id)
        finally:
            self._tasks.pop(address_id, None)
            self._failing.discard(address_id)

    async def _send(self, batch: Batch) -> bool:
        """Whether it was taken."""
        try:
            return await self._told(batch)
        except Unavailable:
            raise
        except Exception:
            # Our own trouble, such as a key that opens no secret, is not the receiver's fault.
            log.exception("a callback cannot be sent", batch=batch.id)
            async with self._system.database.write() as tx:
                why = "cannot be sent: UMS itself made a mistake; its log tells more"
                await delivery_queue.postpone(tx, self._owner, batch, POSTPONED, why)
            return False

    async def _told(self, batch: Batch) -> bool:
        reply = await self._posted(batch)
        reach("told")
        async with self._system.database.write() as tx:
            state = await delivery_queue.settle(tx, self._owner, batch, reply)
        reach("settled")
        if not reply.ok:
            given = {"status": reply.status, "detail": reply.detail, "state": state}
            log.info("callback", batch=batch.id, address=batch.address_id, **given)
        return reply.ok

    async def _posted(self, batch: Batch) -> Reply:
        channel = await self._system.directory.channel(batch.channel_id)
        async with self._system.database.read() as tx:
            body = payload.encode(await payload.records_of(tx, batch.id))
        headers = endpoints.headers(self._system, channel, batch, batch.webhook_id, body)
        return await client.post(self._system, batch.url, batch.schedule, headers, body)
