"""The throttle of programs' credentials: Basic and bearer, of `/v1`, `/api` and provider events.

What is good costs nothing and never waits. MasterSecrets and access keys are made by UMS and have
96 random bits, tokens have 256: no number of guesses finds one, and looking at one is a comparison
or one read by its digest. So all are verified first, and only those that are wrong are counted and
held back. Whoever guesses, from whatever address and under however many names, shuts no program
out: not a new one, nor one that was idle, nor the one whose key is guessed at.

Failures are counted in the database, for all processes: of one account from one address, and of
one address (throttle). Beyond their number the answer is 429 instead of 401, and nothing is
written: so a program that goes on with a secret that was rotated learns to slow down, and the
audit log tells guessing from a mistake (`access.throttled`).

A burst: of one network, a process counts one failure at a time. So however many come at once, no
more than `free` of them, and one for each further process, are told 401.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from math import ceil
from typing import Final

from ums import clock
from ums.core.identity import throttle
from ums.core.identity.throttle import Key, Limit
from ums.core.identity.turns import Turns
from ums.db import Database
from ums.errors import Busy, NotAuthenticated
from ums.networks import client_network

KEPT: Final = 10_000
PAIR: Final = Limit("api-pair", 20, 60)
ADDRESS: Final = Limit("api-address", 200, 60, leak=10_000)


class ApiThrottle:
    """What this process knows of those who fail at its APIs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.pair, self.address = PAIR, ADDRESS
        self._until: OrderedDict[str, int] = OrderedDict()
        self._turns = Turns()

    @asynccontextmanager
    async def verifying(self, account: str, address: str) -> AsyncGenerator[None]:
        """Verify credentials in this block: NotAuthenticated counts as a failure, and becomes Busy
        after too many. `account`: of whom they say they are; "" where they say nothing."""
        try:
            yield
        except NotAuthenticated:
            await self._failed(account, client_network(address))
            raise

    async def _failed(self, account: str, network: str) -> None:
        keys = [self.address.key(network)]
        keys += [self.pair.key(network, account)] if account else []
        async with self._turns.of(network):
            self._check(keys)
            self._until.update(await throttle.count(self._database, keys))
        while len(self._until) > KEPT:
            self._until.popitem(last=False)

    def _check(self, keys: Sequence[Key]) -> None:
        left = max(self._until.get(key.key, 0) for key in keys) - clock.now()
        if left > 0:
            raise Busy("too_many_tries", seconds=ceil(left / 1000))
