"""The order in which passwords are looked at, which takes its time, so that no flood keeps others
waiting.

Tries that nothing holds back take turns by their addresses: of one address one is looked at at a
time, so that a burst from one takes one place in the queue. A browser in which the operator has
signed in before has a turn of its own.

Tries that are held back are looked at as well, for a right one shall get through all the same.

Who tries cannot be told apart before that, so they go through a lane that is narrow on purpose: of
one account from one address one at a time, of all of them one at a time in a process, each account
and address in its turn, in a thread of their own (password_hashing), behind nobody who is not held
back. Only who tries what is being flooded, from where the flood comes, may find no turn in time,
and tries again.

A wrong one is told nothing but to wait, and always after `HELD_SECONDS`, whether it was looked at,
had no turn in time, or named somebody who is not there: so neither the answer nor its time tells
which names there are, or who has a second factor.

Each try that is held keeps a connection, so only so many are held at a time, of one network and in
all. One more displaces the one that has been held for longest, of the network that has the most: it
is told to wait at once, whomever it named. A flood thus displaces itself. That bounds what waits;
more requests than the process can answer still wait for it, with a connection each.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from ums.core.identity import password_hashing
from ums.core.identity.password_hashing import HELD, Lane
from ums.core.identity.turns import Turns
from ums.db import Database
from ums.errors import Busy

HELD_SECONDS = 2.0
TURN_SECONDS: Final = 1.5
"""For as long a try waits for its turn; what is looked at then is done within `HELD_SECONDS`."""

MOST_HELD: Final = 100  # tries in a process; far fewer than connections
MOST_HELD_OF_NETWORK: Final = 20


class HeldTries:
    """The tries that are held at the same time in one process, by networks."""

    def __init__(self) -> None:
        self._of: dict[str, dict[asyncio.Timeout, None]] = {}  # the oldest first

    @asynccontextmanager
    async def place(self, network: str) -> AsyncGenerator[None]:
        """Be one of them. Raises TimeoutError, in the middle of the block, when displaced."""
        self._make_room(network)
        async with asyncio.timeout(None) as place:
            self._of.setdefault(network, {})[place] = None
            try:
                yield
            finally:
                self._leave(network, place)

    def _make_room(self, network: str) -> None:
        if len(self._of.get(network, ())) >= MOST_HELD_OF_NETWORK:
            self._displace(network)
        elif sum(map(len, self._of.values())) >= MOST_HELD:
            self._displace(max(self._of, key=lambda one: len(self._of[one])))

    def _displace(self, network: str) -> None:
        place = next(iter(self._of[network]))
        self._leave(network, place)
        place.reschedule(asyncio.get_running_loop().time())

    def _leave(self, network: str, place: asyncio.Timeout) -> None:
        places = self._of.get(network, {})
        places.pop(place, None)
        if not places:
            self._of.pop(network, None)


class PasswordTurns:
    """Who is next in one process."""

    def __init__(self, _database: Database) -> None:
        self.held = HeldTries()
        self.counting = Turns()  # by addresses, before anything is looked at
        self._turns, self._turns_of_held = Turns(), Turns()
        self._one = asyncio.Lock()

    async def is_right(self, who: str, stored: str | None, password: str, *, lane: Lane) -> bool:
        """Whether it is the password, of a try that nothing holds back. `who` takes turns with
        others: an address, or a browser that is known. Raises Busy."""
        async with self._turns.of(who):
            return await password_hashing.verify(stored, password, lane=lane)

    async def is_right_all_the_same(self, who: str, stored: str, password: str) -> bool:
        """The same of a try that is held back; False also where it had no turn. `who` takes turns
        with others."""
        try:
            async with asyncio.timeout(TURN_SECONDS) as waiting:
                async with self._turns_of_held.of(who), self._one:
                    waiting.reschedule(None)
                    return await password_hashing.verify(stored, password, lane=HELD)
        except (TimeoutError, Busy):
            return False


async def hold(since: float) -> None:
    """Wait until what began at `since` (time.monotonic) was held for as long as all others."""
    await asyncio.sleep(max(0.0, since + HELD_SECONDS - time.monotonic()))
