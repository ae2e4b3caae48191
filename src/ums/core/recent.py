"""Answers that take long to make, kept for a while: counting a million rows takes its time, and
many look at the same numbers."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar, cast

from msgspec import Struct

T = TypeVar("T")
QUICK: Final = 0.05  # seconds; what is made in less is made anew for everybody
TIMES: Final = 10  # an answer is kept so many times as long as it took: a tenth of the time is work
LONGEST: Final = 30.0  # seconds
MOST: Final = 200


class _Kept(Struct):
    value: Any
    until: float
    making: bool = False  # somebody makes it anew


class Recent:
    """The answers of this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.quick = QUICK
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, or gave a moment ago. Whoever comes while an old answer is made anew
        gets the old one."""
        kept = self._kept.get(key)
        if kept is not None and (kept.until > self._now() or kept.making):
            return cast("T", kept.value)
        if kept is not None:
            kept.making = True
        began = self._now()
        try:
            value = await make()
        except BaseException:
            self._kept.pop(key, None)
            raise
        self._keep(key, value, self._now() - began)
        return value

    def forget(self, key: Hashable) -> None:
        """Somebody changed what the answer is of."""
        self._kept.pop(key, None)

    def _keep(self, key: Hashable, value: object, took: float) -> None:
        self._kept.pop(key, None)
        if took < self.quick:
            return
        self._kept[key] = _Kept(value, self._now() + min(LONGEST, TIMES * took))
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
