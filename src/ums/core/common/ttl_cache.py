"""Answers that take long to make, kept for a while: counting a million rows takes its time, and
many look at the same numbers."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar, cast

import structlog
from msgspec import Struct

T = TypeVar("T")
Make = Callable[[], Awaitable[T]]
QUICK: Final = 0.05  # seconds; what is made in less is made anew for everybody
TIMES: Final = 10  # an answer is kept so many times as long as it took: a tenth of the time is work
LONGEST: Final = 30.0  # seconds
MOST: Final = 200
log = structlog.get_logger()


class _Kept(Struct, eq=False):
    value: Any
    fresh: float  # until then it is given as it is
    good: float  # until then it is given once more, while it is made anew behind
    making: bool = False


class TtlCache:
    """The answers of this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.quick = QUICK
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._behind: set[asyncio.Task[None]] = set()

    async def get(self, key: Hashable, make: Make[T]) -> T:
        """What `make` gives, or gave a moment ago. Who comes soon after that moment gets the old
        answer too, and it is made anew behind: nobody waits for numbers that are asked for often.
        """
        kept = self._kept.get(key)
        if kept is None or kept.good <= self._now():
            return await self._made(key, make)
        if kept.fresh <= self._now() and not kept.making:
            kept.making = True
            task = asyncio.create_task(self._anew(key, kept, make))
            self._behind.add(task)
            task.add_done_callback(self._behind.discard)
        return cast("T", kept.value)

    def forget(self, key: Hashable) -> None:
        """Somebody changed what the answer is of."""
        self._kept.pop(key, None)

    async def close(self) -> None:
        """Let go of what is being made."""
        for task in self._behind:
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)

    async def _made(self, key: Hashable, make: Make[T]) -> T:
        began = self._now()
        value = await make()
        self._keep(key, value, self._now() - began)
        return value

    async def _anew(self, key: Hashable, old: _Kept, make: Make[Any]) -> None:
        began = self._now()
        try:
            value = await make()
        except Exception as error:
            log.warning("not counted anew", of=str(key), exc_info=error)
            self._drop(key, old)  # who comes next sees the error for himself
            return
        if self._drop(key, old):  # else it was forgotten meanwhile, and this may be of before
            self._keep(key, value, self._now() - began)

    def _drop(self, key: Hashable, old: _Kept) -> bool:
        is_there = self._kept.get(key) is old
        if is_there:
            del self._kept[key]
        return is_there

    def _keep(self, key: Hashable, value: object, took: float) -> None:
        self._kept.pop(key, None)
        if took < self.quick:
            return
        span, now = min(LONGEST, TIMES * took), self._now()
        self._kept[key] = _Kept(value, now + span, now + 2 * span)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
