"""Signing in to the console: name and password, held back when somebody guesses."""

import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import select

from ums.core import audit, operators, sessions
from ums.core.models import operators as rows
from ums.core.system import System
from ums.errors import Busy, NotAuthenticated

FREE = 5  # failures in a row before one has to wait
FREE_OF_ADDRESS = 20  # a whole office may share one
LONGEST_WAIT = 900.0  # seconds; after as long without a failure all is forgotten
KEPT = 10_000


class _Failures(Struct):
    count: int
    until: float


class Throttle:
    """Failures of each account and each address, in this process's memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, *keys: str) -> None:
        """Raises Busy while one of `keys` has to wait."""
        for key in keys:
            found = self._failures.get(key)
            left = 0.0 if found is None else found.until - self._now()
            if left > 0:
                raise Busy("too_many_tries", seconds=round(left + 0.5))

    def failed(self, *keys: str) -> None:
        for key in keys:
            found, now = self._failures.pop(key, None), self._now()
            fresh = found is not None and found.until > now - LONGEST_WAIT
            count = 1 + (found.count if found is not None and fresh else 0)
            free = FREE_OF_ADDRESS if key.startswith("address:") else FREE
            wait = min(2.0 ** (count - free), LONGEST_WAIT) if count >= free else 0.0
            self._failures[key] = _Failures(count, now + wait)
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        for key in keys:
            self._failures.pop(key, None)


class Operator(Struct, frozen=True):
    """Somebody who knows an operator's password."""

    id: int
    name: str
    two_factor: bool


async def check_password(
    system: System, throttle: Throttle, name: str, password: str, address: str
) -> Operator:
    """The operator of this name and password. Raises NotAuthenticated, and Busy for whoever has
    to wait after failures."""
    keys = (f"name:{name[:60].lower()}", f"address:{address}")
    throttle.check(*keys)
    if not await operators.check(system, name, password):
        throttle.failed(*keys)
        raise NotAuthenticated("wrong_password")
    throttle.succeeded(keys[0])
    async with system.database.read() as tx:
        row = await tx.first(select(rows.c.id, rows.c.name, rows.c.totp).where(rows.c.name == name))
    if row is None:
        raise NotAuthenticated("wrong_password")
    return Operator(row.id, row.name, row.totp is not None)


async def sign_in(system: System, operator: Operator, address: str, agent: str) -> str:
    """Begin a session; gives the cookie."""
    token = await sessions.begin(system, operator.id, address, agent)
    async with system.database.write() as tx:
        await audit.note(
            tx, "operator.sign_in", operator.name, address, actor=f"operator:{operator.name}"
        )
    return token
