"""How fast a sender writes to each recipients' domain: as fast as it goes, until a server says that
it is too much for that domain; then half as fast as it was, and a little faster with each good
minute (reliability.md 4.3)."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ums import clock
from ums.core.senders.learned_limits import DomainRate

REASON: Final = "domain_rate"
FOLLOWED: Final = 1000  # domains whose mails are counted
FIRST_PAUSE: Final = clock.MINUTE  # after a refusal; twice as long after each that follows
LONGEST_PAUSE: Final = clock.HOUR
AHEAD: Final = clock.HOUR  # no mail is put off for longer at once
FREE: Final = 4  # so many times the pace at which it was refused: it needs no pace any more
LEAST: Final = 1  # mail a minute


class _Seen(Struct):
    """Mails that went to a domain, in this minute and the one before."""

    minute: int = 0
    now: int = 0
    before: int = 0

    def add(self, minute: int) -> None:
        if minute != self.minute:
            self.before = self.now if minute == self.minute + 1 else 0
            self.minute, self.now = minute, 0
        self.now += 1

    @property
    def rate(self) -> int:
        return max(self.now, self.before)


class _Pace(Struct):
    per_minute: int
    resume_at: int  # nothing before
    next_at: int = 0  # the turn of the next mail that asks
    refused_at: int = 0  # the pace that it was refused at
    refusals: int = 0  # without a mail taken between
    worked: int = 0  # mails taken since it changed

    @property
    def interval(self) -> int:
        return clock.MINUTE // self.per_minute


class DomainThrottle:
    """The domain_rates of one sender in this process."""

    def __init__(self, known: Iterable[DomainRate] = ()) -> None:
        self._paces = {
            one.domain: _Pace(one.per_minute, one.resume_at, refused_at=one.per_minute)
            for one in known
        }
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._changed: set[str] = set()

    def due(self, address: str, *, urgent: bool) -> int | None:
        """When (ms) a mail to `address` may go; None: at once, and then this was its turn. What is
        urgent waits only where the domain takes nothing."""
        pace = self._paces.get(_domain(address))
        if pace is None:
            return None
        now = clock.now()
        if urgent:
            return pace.resume_at if pace.resume_at > now else None
        turn = max(pace.next_at, pace.resume_at, now)
        if turn > now + AHEAD:
            return now + AHEAD
        pace.next_at = turn + pace.interval
        return turn if turn > now else None

    def is_paced(self, address: str) -> bool:
        return _domain(address) in self._paces

    def refused(self, address: str, wait: int) -> None:
        """A server said that this is too much for the domain, and asked for `wait` ms."""
        domain, now = _domain(address), clock.now()
        pace = self._paces.get(domain)
        if pace is not None and pace.resume_at > now:
            return  # of what was under way; that is one refusal
        seen = self._seen.get(domain, _Seen())
        rate = seen.rate if pace is None else pace.per_minute
        refusals = 0 if pace is None else pace.refusals
        pause = min(max(wait, FIRST_PAUSE << min(refusals, 6)), LONGEST_PAUSE)
        slower = max(rate // 2, LEAST)
        self._paces[domain] = _Pace(slower, now + pause, refused_at=rate, refusals=refusals + 1)
        self._changed.add(domain)

    def took(self, address: str) -> None:
        """A server took a mail for the domain."""
        domain = _domain(address)
        self._count(domain)
        pace = self._paces.get(domain)
        if pace is None or pace.resume_at > clock.now():
            return
        pace.refusals = 0
        pace.worked += 1
        if pace.worked < pace.per_minute:
            return
        pace.per_minute, pace.worked = pace.per_minute + max(1, pace.per_minute // 10), 0
        if pace.per_minute >= max(pace.refused_at, LEAST) * FREE:
            del self._paces[domain]
        self._changed.add(domain)

    def changed(self) -> list[DomainRate]:
        """What is different since this was asked last."""
        domains, self._changed = self._changed, set()
        free = _Pace(0, 0)
        found = [(one, self._paces.get(one, free)) for one in domains]
        return [DomainRate(domain, pace.per_minute, pace.resume_at) for domain, pace in found]

    def unwritten(self, changed: Iterable[DomainRate]) -> None:
        """These could not be written down; they are tried again."""
        self._changed.update(one.domain for one in changed)

    def _count(self, domain: str) -> None:
        seen = self._seen.setdefault(domain, _Seen())
        self._seen.move_to_end(domain)
        seen.add(clock.now() // clock.MINUTE)
        if len(self._seen) > FOLLOWED:
            self._seen.popitem(last=False)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
