"""How many sessions a lane has at the same time (reliability.md 4.3)."""

import time
from collections.abc import Callable
from typing import Final

START: Final = 2
PAUSE: Final = 600.0  # seconds before one more is tried where the server took no more
EVERY_FIFTH: Final = 5  # session is kept for urgent mail


class Concurrency:
    """One more after each round of mails that went well, one less in a round in which a session
    broke, half as many after a refusal for sending too fast; and no more than the server was seen
    to take."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._limit = START
        self._round = 0  # mails that went well since the last change
        self._broke = False  # in this round
        self._most_until = 0.0

    def limit(self, most: int) -> int:
        """How many sessions there may be, of `most` that the operator allows."""
        return max(1, min(self._limit, most))

    def bulk(self, most: int) -> int:
        """How many of them mail that is not urgent may have."""
        limit = self.limit(most)
        return limit - limit // EVERY_FIFTH

    def worked(self, most: int) -> None:
        """A mail was taken, or judged."""
        self._round += 1
        if self._round < self._limit:
            return
        grows = not self._broke and self._limit < most and self._now() >= self._most_until
        self._turn(self._limit + 1 if grows else self._limit)

    def broke(self) -> None:
        """A session ended early."""
        if not self._broke:
            self._turn(self._limit - 1)
            self._broke = True

    def refused(self, open: int) -> None:
        """The server took no session beside those that are open."""
        self._most_until = self._now() + PAUSE
        self._turn(open)

    def slowed(self) -> None:
        """The server said that it gets too much."""
        self._turn(self._limit // 2)

    def _turn(self, limit: int) -> None:
        self._limit, self._round, self._broke = max(1, limit), 0, False
