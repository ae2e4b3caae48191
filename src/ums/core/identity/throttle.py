"""The throttle of everything that can be guessed: passwords, codes, invitations, credentials.

Tries are counted in the database, so that all processes share the counts. A try is reserved
*before* anything is verified, by statements that count it and say whether it may go on; a good one
gives it back. However many tries come at the same moment, no more are evaluated than the limit
lets through:

    async with attempt(database, limit.key(address, name)):
        ...  # verify; an exception leaves the try counted

Up to `free` tries cost nothing; then there is a wait of 5 seconds, and after each further one that
fails twice as long a wait, up to `longest`. There is no lock: what was held back is not counted,
and the wait ends by itself.
"""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from math import ceil
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, func, select

from ums import clock
from ums.core.tables import throttle
from ums.db import Database, Statement, Tx
from ums.errors import Busy

KEPT: Final = 30 * clock.MINUTE
"""After as long without a further try, all is forgotten."""
FIRST_WAIT: Final = 5_000  # ms
_NEVER: Final = 10**15


class Limit(Struct, frozen=True):
    """How often something may be tried. `own`: of one person or device alone, whose success
    clears it; any other's takes back only its own try."""

    name: str
    free: int
    longest: int  # seconds
    own: bool = False
    leak: int = _NEVER  # ms after which one try is forgotten

    def key(self, *parts: object) -> "Key":
        text = "\0".join(str(part) for part in parts)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return Key(self, f"{self.name}:{digest}")


class Key(Struct, frozen=True):
    """What is counted: the tries of one account, one address, or one of the other."""

    limit: Limit
    key: str


# The tries that still count of a row, with this one.
_COUNT = (
    "(CASE WHEN throttle.at < :forgotten THEN 1"
    " WHEN throttle.count > (:now - throttle.at) / :leak"
    " THEN throttle.count - CAST((:now - throttle.at) / :leak AS integer) + 1 ELSE 1 END)"
)
_WAIT = (
    f"(CASE WHEN {_COUNT} < :free THEN 0 WHEN {_COUNT} - :free >= :doublings"
    f" THEN :now + :longest ELSE :now + ({FIRST_WAIT} << ({_COUNT} - :free)) END)"
)
_TAKE = Statement(
    "INSERT INTO throttle (key, count, at, until) VALUES (:key, 1, :now, :first)"
    f" ON CONFLICT (key) DO UPDATE SET count = {_COUNT}, until = {_WAIT}, at = :now"
    " WHERE throttle.until <= :now RETURNING count"
)
_GIVE = Statement(
    "UPDATE throttle SET count = count - 1, until = CASE WHEN count - 1 < :free THEN 0"
    " ELSE until END WHERE key = :key AND count > 0"
)


async def reserve(tx: Tx, *keys: Key) -> dict[Key, int]:
    """Count a try at each of `keys`; how many that makes. Raises Busy while one of them has to
    wait; the transaction must then be rolled back, so that the others do not count it."""
    counts: dict[Key, int] = {}
    for key in sorted(keys, key=lambda one: one.key):  # in one order: two cannot block each other
        taken = await tx.value(_TAKE, _values(key))
        if taken is None:
            raise await _busy(tx, keys)
        counts[key] = taken
    return counts


async def waits(tx: Tx, *keys: Key) -> Busy | None:
    """What `reserve` would raise now; counts nothing."""
    return None if await _until(tx, keys) <= clock.now() else await _busy(tx, keys)


async def give_back(tx: Tx, *keys: Key) -> None:
    """The try was good."""
    for key in sorted(keys, key=lambda one: one.key):
        if key.limit.own:
            await tx.run(delete(throttle).where(throttle.c.key == key.key))
        else:
            await tx.run(_GIVE, {"key": key.key, "free": key.limit.free})


@asynccontextmanager
async def attempt(
    database: Database, *keys: Key, turn: AbstractAsyncContextManager[None] | None = None
) -> AsyncGenerator[None]:
    """Reserve a try, in its `turn`, and give it back when the block ends well. Raises Busy."""
    async with turn or nullcontext(), database.write() as tx:
        await reserve(tx, *keys)
    yield
    async with database.write() as tx:
        await give_back(tx, *keys)


async def count(database: Database, keys: Sequence[Key]) -> dict[str, int]:
    """Count a failure at each of `keys`; until when (ms) each has to wait, those that must."""
    async with database.write() as tx:
        for key in sorted(keys, key=lambda one: one.key):
            await tx.run(_TAKE, _values(key))
        mine = throttle.c.key.in_([key.key for key in keys])
        found = await tx.rows(select(throttle.c.key, throttle.c.until).where(mine))
    return {row.key: row.until for row in found if row.until > clock.now()}


async def forget(tx: Tx) -> None:
    """Remove what does not count any more."""
    await tx.run(delete(throttle).where(throttle.c.at < clock.now() - KEPT))


def _values(key: Key) -> dict[str, object]:
    now, limit = clock.now(), key.limit
    return {
        "key": key.key,
        "now": now,
        "forgotten": now - KEPT,
        "leak": limit.leak,
        "free": limit.free,
        "longest": limit.longest * 1000,
        "doublings": (limit.longest * 1000 // FIRST_WAIT).bit_length(),
        "first": now + FIRST_WAIT if limit.free <= 1 else 0,
    }


async def _busy(tx: Tx, keys: Sequence[Key]) -> Busy:
    left = await _until(tx, keys) - clock.now()
    return Busy("too_many_tries", seconds=max(1, ceil(left / 1000)))


async def _until(tx: Tx, keys: Sequence[Key]) -> int:
    """When the last of the waits ends."""
    mine = throttle.c.key.in_([key.key for key in keys])
    return int(await tx.value(select(func.max(throttle.c.until)).where(mine)) or 0)
