"""The throttle of programs' credentials: Basic and bearer, of `/v1`, `/api` and provider events.

What is good costs nothing: credentials that were good a moment ago are known by a keyed digest in
this process's memory, are verified as always (so that a revoked one ends at once), and are neither
held up nor counted. So a guesser behind the same address shuts no running program out.

Failures are counted in the database, for all processes: of one account from one address, and of
one address (throttle). There is no count of an account from everywhere: these secrets have 96
random bits or more, which no number of addresses can guess, and such a count could only be used to
keep somebody out.

A burst: of one network, at most `AT_ONCE` credentials that are not known yet are verified at the
same time in a process, and the failure of each is counted before the next one begins. So however
many come at once, n processes together evaluate fewer than `free + n * AT_ONCE` bad ones before
they hold the others back, and at most `n * AT_ONCE` at the end of each wait.
"""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from math import ceil
from typing import Final
from weakref import WeakValueDictionary

from ums import clock
from ums.core.identity import throttle
from ums.core.identity.throttle import Key, Limit
from ums.db import Database
from ums.errors import Busy, NotAuthenticated
from ums.networks import client_network

AT_ONCE: Final = 4
KNOWN_FOR: Final = 3600.0  # seconds
KEPT: Final = 10_000
PAIR: Final = Limit("api-pair", 20, 60)
ADDRESS: Final = Limit("api-address", 200, 60, leak=10_000)


class ApiThrottle:
    """What this process knows of the callers of its APIs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.pair, self.address = PAIR, ADDRESS
        self._secret = os.urandom(32)
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._until: OrderedDict[str, int] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def verifying(self, credentials: str, account: str, address: str) -> AsyncGenerator[None]:
        """Verify `credentials` in this block: NotAuthenticated counts as a failure. `account`: of
        whom they say they are; "" where they say nothing. Raises Busy."""
        network = client_network(address)
        keys = [self.address.key(network)]
        keys += [self.pair.key(network, account)] if account else []
        digest = hashlib.blake2b(credentials.encode("utf-8", "surrogatepass"), key=self._secret)
        mark = digest.digest()
        if self._is_known(mark):
            try:
                yield
            except NotAuthenticated:
                self._known.pop(mark, None)
                await self._failed(keys)
                raise
            self._note(mark)
            return
        async with self._turn(network):
            self._check(keys)
            try:
                yield
            except NotAuthenticated:
                await self._failed(keys)
                raise
        self._note(mark)

    def _turn(self, network: str) -> asyncio.Semaphore:
        turn = self._turns.get(network)
        if turn is None:
            turn = self._turns[network] = asyncio.Semaphore(AT_ONCE)
        return turn

    def _is_known(self, mark: bytes) -> bool:
        since = self._known.get(mark)
        return since is not None and since >= time.monotonic() - KNOWN_FOR

    def _note(self, mark: bytes) -> None:
        self._known[mark] = time.monotonic()
        self._known.move_to_end(mark)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _check(self, keys: Sequence[Key]) -> None:
        left = max(self._until.get(key.key, 0) for key in keys) - clock.now()
        if left > 0:
            raise Busy("too_many_tries", seconds=ceil(left / 1000))

    async def _failed(self, keys: Sequence[Key]) -> None:
        self._until.update(await throttle.count(self._database, keys))
        while len(self._until) > KEPT:
            self._until.popitem(last=False)
