"""Group commit: many callers, one durable transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ums.db.database import Database, Tx, patience
from ums.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Collects items while one transaction runs and writes them together in the next.

    An idle system commits at once, a busy one in groups as large as the callers that came during
    the last commit and `linger` seconds after it. `apply` gets the transaction and the items in the
    order they came and returns one result each; a result that is an exception is raised to its
    caller alone.
    """

    def __init__(
        self,
        database: Database,
        apply: Callable[[Tx, Sequence[T]], Awaitable[Sequence[R | Exception]]],
        limit: int = 500,
        linger: float = 0.0,
    ) -> None:
        self._database = database
        self._apply = apply
        self._limit = limit
        self._linger = linger
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Write `item`; returns when it is durable.

        A caller that is cancelled, or whose patience ends, leaves its item behind: it is written
        all the same, so that an answer lost on its way never means a half-done request. Raises
        Unavailable.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(patience.get()):
                return await asyncio.shield(future)
        except TimeoutError:
            raise Unavailable("unavailable") from None

    async def drain(self) -> None:
        """Wait until nothing is waiting to be written."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _write(self) -> None:
        # Callers of the same turn of the loop belong to the same group.
        await asyncio.sleep(0)
        while self._waiting:
            count = min(self._limit, len(self._waiting))
            group = [self._waiting.popleft() for _ in range(count)]
            await self._commit(group)
            if self._linger:
                await asyncio.sleep(self._linger)

    async def _commit(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            async with self._database.write() as tx:
                results = await self._apply(tx, [item for item, _ in group])
            pairs = list(zip(group, results, strict=True))
        except Unavailable as error:  # one after the other they would only wait the longer
            for _, future in group:
                _settle(future, error)
            return
        except Exception as error:  # whatever it is belongs to the callers, not to this task
            if len(group) == 1:
                _settle(group[0][1], error)
                return
            # One bad item must not take the others down with it.
            for one in group:
                await self._commit([one])
            return
        for (_, future), result in pairs:
            _settle(future, result)


def _settle(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():  # the caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # seen: a caller that left must not cause a warning
    else:
        future.set_result(result)
