"""How many sessions a lane has at the same time (reliability.md 4.3)."""

import time
from collections.abc import Callable
from typing import Final

START: Final = 2
PAUSE: Final = 600.0  # seconds before one more is tried where the server took no more
URGENT_PART: Final = 5  # a fifth more for urgent mail


class ConcurrencyLimit:
    """Twice as many after each round of mails that went well, until the first trouble, and from
    then on one more; one less in a round in which a session broke, half as many after a refusal
    for sending too fast; and no more than the server was seen to take."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, learnt: tuple[int, float] | None = None
    ) -> None:
        """`learnt`: how many a process before this one had, and for how many seconds the server
        takes no more."""
        self._now = now
        self._limit = START
        self._round = 0  # mails that went well since the last change
        self._broke = False  # in this round
        self._steady = False  # there was trouble once
        self._most_until = 0.0
        if learnt is not None:
            self._limit, self._steady = max(1, learnt[0]), True
            self._most_until = now() + learnt[1] if learnt[1] > 0 else 0.0

    @property
    def learnt(self) -> tuple[int, float] | None:
        """What a later process may begin with; None before there was any trouble."""
        return (self._limit, max(0.0, self._most_until - self._now())) if self._steady else None

    def usual(self, most: int) -> int:
        """How many sessions all mail may have, of `most` that the operator allows. Where the
        server takes no more than there are, a part of them is kept for urgent mail."""
        limit = max(1, min(self._limit, most))
        return limit - (limit // URGENT_PART if self._is_full else 0)

    def urgent(self, most: int) -> int:
        """How many there may be while urgent mail waits: a few more; but where the operator says
        one, one."""
        limit = max(1, min(self._limit, most))
        if most == 1 or self._is_full:
            return limit
        return limit + max(1, limit // URGENT_PART)

    @property
    def _is_full(self) -> bool:
        return self._now() < self._most_until

    def worked(self, most: int) -> bool:
        """A mail was taken, or judged; whether there may be more sessions now."""
        self._round += 1
        if self._round < self._limit:
            return False
        grows = not self._broke and self._limit < most and not self._is_full
        more = self._limit + 1 if self._steady else self._limit * 2
        self._turn(min(more, most) if grows else self._limit)
        return grows

    def broke(self) -> None:
        """A session ended early."""
        if not self._broke:
            self._trouble(self._limit - 1)
            self._broke = True

    def refused(self, open: int) -> None:
        """The server took no session beside those that are open."""
        self._most_until = self._now() + PAUSE
        self._trouble(open)

    def slowed(self) -> None:
        """The server said that it gets too much."""
        self._trouble(self._limit // 2)

    def _trouble(self, limit: int) -> None:
        self._steady = True
        self._turn(limit)

    def _turn(self, limit: int) -> None:
        self._limit, self._round, self._broke = max(1, limit), 0, False
