"""How many calls a caller may make: a bucket of tokens for each, in this process's memory.

Several web processes have buckets of their own, so together they let that much more through.
"""

import time
from collections.abc import Callable, Hashable
from math import ceil

from msgspec import Struct


class Rate(Struct, frozen=True):
    """What one call left of its caller's bucket."""

    limit: int  # calls a second, and at once; 0: as many as one likes
    remaining: int  # calls that would pass right now
    reset: int  # seconds until the bucket is full again
    over: bool = False  # this call was one too many


UNLIMITED = Rate(0, 0, 0)


class _Bucket(Struct):
    tokens: float
    at: float  # when it held them


class RateLimiter:
    """The buckets of all callers. Only callers who proved who they are get one."""

    def __init__(self, access_keys: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: dict[Hashable, _Bucket] = {}
        self.access_keys = access_keys
        """The limit of each access key, in calls a second: it has no channel's rules."""

    def take(self, caller: Hashable, limit: int) -> Rate:
        """Let one call of `caller` pass, or say that it is over the limit (then `over`)."""
        if limit <= 0:
            return UNLIMITED
        now = self._now()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(limit, now)
        tokens = min(float(limit), bucket.tokens + (now - bucket.at) * limit)
        over = tokens < 1
        bucket.tokens, bucket.at = tokens if over else tokens - 1, now
        return Rate(limit, int(bucket.tokens), ceil(1 - bucket.tokens / limit), over)
