"""Caps: how many mails an account may send in a time, and when that time begins anew.

Each recipient gets a mail of its own, so a cap of recipients and one of mails count alike here;
`of` says what the provider calls it.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from ums.bounds import BLANKS, said

SECOND: Final = 1000  # ms
DAY: Final = 86_400  # seconds
MONTH: Final = 30 * DAY
SLOTS: Final = 50  # in which a rolling time is counted
RESET: Final = rf"([01][0-9]|2[0-3]):([0-5][0-9]) ([^{BLANKS}]{{1,60}})"
_RESET = re.compile(RESET)


class SendLimit(Struct, frozen=True, forbid_unknown_fields=True):
    """What is taken of one account: so many in a time."""

    count: Annotated[int, Meta(ge=1, le=10**9)]
    seconds: Annotated[
        int, Meta(ge=1, le=MONTH, description="With `reset`, 2592000 is a month of the calendar.")
    ]
    of: Literal["mails", "recipients"] = "mails"
    reset: Annotated[
        str,
        said(pattern=rf"^({RESET})?$"),
        Meta(
            description="`00:00 Asia/Shanghai`: counted from there on, by the clock; empty: the"
            " last `seconds` count, whenever it is."
        ),
    ] = ""

    @property
    def key(self) -> str:
        """What its mails are counted under."""
        return f"{self.seconds} {self.reset}".strip()

    @property
    def step(self) -> int:
        """How long a slot of a rolling time is (ms)."""
        return max(self.seconds * SECOND // SLOTS, 1)

    @property
    def hold(self) -> int:
        """How long (ms) after it was counted a mail may still be sent: so much longer it counts."""
        return min(2 * SECOND, self.seconds * SECOND // 20)

    @property
    def is_clock(self) -> bool:
        """Whether `reset` is empty, or a time and a zone that there are."""
        if not self.reset:
            return True
        match = _RESET.fullmatch(self.reset)
        try:
            return match is not None and bool(ZoneInfo(match[3]))
        except (ValueError, KeyError, OSError):
            return False

    @property
    def fits(self) -> bool:
        """Whether the clock can divide by it: a part of a day, a day, or a month."""
        return not self.reset or self.seconds == MONTH or DAY % self.seconds == 0

    def slot(self, now: int) -> int:
        """Where a mail of the moment `now` is counted: the beginning of a slot (ms)."""
        return now - now % self.step if not self.reset else self.period(now)[0]

    def since(self, now: int) -> int:
        """Slots from here on count against the cap."""
        return now - self._length + 1 if not self.reset else self.period(now)[0]

    def frees_at(self, slot: int) -> int:
        """When what was counted in `slot` counts no more."""
        return slot + self._length if not self.reset else self.period(slot)[1]

    @property
    def _length(self) -> int:
        return self.seconds * SECOND + self.step + self.hold

    def period(self, now: int) -> tuple[int, int]:
        """(begin, end) of the time by the clock that `now` (ms) is in; needs a `reset`."""
        match = _RESET.fullmatch(self.reset)
        if match is None:
            raise ValueError(self.reset)
        hour, minute, zone = int(match[1]), int(match[2]), match[3]
        local = datetime.fromtimestamp(now / SECOND, ZoneInfo(zone)).replace(tzinfo=None)
        begin = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if self.seconds == MONTH:
            begin = begin.replace(day=1)
            begin = begin if begin <= local else _month(begin, -1)
            end = _month(begin, 1)
        else:
            begin = begin if begin <= local else begin - timedelta(days=1)
            length = timedelta(seconds=self.seconds)
            if self.seconds < DAY:  # as often as it goes into a day, from that time on
                begin += (local - begin) // length * length
            end = begin + length
        return _ms(begin, zone), _ms(end, zone)


def _month(moment: datetime, by: int) -> datetime:
    index = moment.year * 12 + moment.month - 1 + by
    return moment.replace(year=index // 12, month=index % 12 + 1)


def _ms(local: datetime, zone: str) -> int:
    return round(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * SECOND)


def read(text: str) -> tuple[SendLimit, ...]:
    """As they are stored."""
    return msgspec.json.decode(text, type=tuple[SendLimit, ...])
