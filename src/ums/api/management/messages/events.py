"""A message's progress as server-sent events.

Whoever watches the same message in this process shares one query a second.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from litestar import Litestar
from litestar.response import ServerSentEvent, ServerSentEventMessage

from ums.core.context.app_context import AppContext
from ums.core.reporting import reports
from ums.core.reporting.reports import MessageInfo
from ums.core.tables.states import FINAL
from ums.db import to_json
from ums.errors import Busy, UmsError

Allowed = Callable[[], Awaitable[bool]]
"""Whether the caller may still see the message; asked before each event."""

EVERY = 1.0  # seconds between two looks
# Seconds without an event until the credentials are looked at again and a comment is sent.
HEARTBEAT = 4.0
LONGEST = 3600.0  # seconds of one stream; the client comes again by itself
MOST = 500  # streams of one process
OVER = frozenset({"done", "cancelled", "retracted", "refused"})
"""The states of a message that no delivery leaves open for long."""


def is_over(info: MessageInfo) -> bool:
    """Whether no delivery changes any more. Of a stopped message some are still being parked, and
    what was at the dot comes to its end."""
    return info.state in OVER and set(info.counts) <= set(FINAL)


class Watch:
    """One message, looked at while somebody watches it."""

    def __init__(self, system: AppContext, info: MessageInfo) -> None:
        self.info = info
        self.number = 1  # grows with each change
        self.watchers = 0
        self._system = system
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self) -> None:
        self.watchers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def leave(self) -> None:
        self.watchers -= 1
        if not self.watchers and self._task is not None:
            self._task.cancel()

    async def changed(self, seconds: float) -> bool:
        """Wait for a change; False when none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                return True
        return False

    async def _look(self) -> None:
        while not is_over(self.info):
            await asyncio.sleep(EVERY)
            with suppress(UmsError):  # the database is away: it is looked at again
                async with self._system.database.read() as tx:
                    self._tell(await reports.message(tx, self.info.msgid))

    def _tell(self, info: MessageInfo) -> None:
        if info == self.info:
            return
        self.info = info
        self.number += 1
        self._changed.set()
        self._changed = asyncio.Event()


def watch(
    app: Litestar, system: AppContext, info: MessageInfo, allowed: Allowed
) -> ServerSentEvent:
    """The events of the message that `info` shows, for as long as they are `allowed`.

    Raises Busy when too many are watched.
    """
    watches: dict[str, Watch] = app.state.setdefault("watches", {})
    if sum(one.watchers for one in watches.values()) >= MOST:
        raise Busy("busy")
    return ServerSentEvent(_events(watches, system, info, allowed))


async def _events(
    watches: dict[str, Watch], system: AppContext, info: MessageInfo, allowed: Allowed
) -> AsyncGenerator[ServerSentEventMessage]:
    one = watches.setdefault(info.msgid, Watch(system, info))
    one.join()
    try:
        async for event in _told(one, allowed):
            yield event
    finally:
        one.leave()
        if not one.watchers:
            watches.pop(info.msgid, None)


async def _told(one: Watch, allowed: Allowed) -> AsyncGenerator[ServerSentEventMessage]:
    end = asyncio.get_running_loop().time() + LONGEST
    seen = 0
    while asyncio.get_running_loop().time() < end:
        waited = one.number == seen and not await one.changed(HEARTBEAT)
        if not await allowed():
            return
        if one.number == seen:
            if waited:
                yield ServerSentEventMessage(comment="still here")
            continue
        seen, info = one.number, one.info
        data = to_json(info)
        yield ServerSentEventMessage(event="counts", id=str(seen), data=data)
        if is_over(info):
            yield ServerSentEventMessage(event="end", data="")
            return
