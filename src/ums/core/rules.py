"""What an administrator settles for one channel; kept as JSON with the channel."""

import re
from typing import Literal, NoReturn
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from ums.errors import Invalid


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """A time of the day, in the channel's zone, in which its messages do not go out."""

    start: str  # HH:MM
    end: str  # HH:MM; before `start` it is on the next day
    action: Literal["refuse", "delay"]


class FrequencyCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` messages to one address within `hours`."""

    count: int
    hours: float


class Rules(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules of one channel."""

    zone: str = "UTC"  # IANA name of the time zone its days and hours go by
    approval: bool = False  # an operator has to approve what comes by API
    word_filter: bool = True
    quiet_hours: QuietHours | None = None
    frequency_cap: FrequencyCap | None = None
    broadcasts_per_day: int = 10  # 0: as many as it likes
    requests_per_second: int = 100  # 0: as many as it likes
    callbacks: bool = True
    statuses: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8)  # the records it wants to be told
    submitted_is_delivered: bool = False


NO_RULES = Rules()


def read_rules(text: str) -> Rules:
    return msgspec.json.decode(text, type=Rules)


LONGEST_CAP = 31 * 24  # hours; what is older is forgotten
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MOST = 1_000_000


def check(rules: Rules) -> None:
    """Raises Invalid("bad_rule") that names the first rule which cannot be kept."""
    try:
        ZoneInfo(rules.zone)
    except (KeyError, ValueError, OSError):  # unknown; not a name; the name of a folder
        _refuse("zone", "not the name of a time zone, such as Asia/Shanghai")
    if rules.quiet_hours is not None:
        _check_quiet(rules.quiet_hours)
    if rules.frequency_cap is not None:
        _check_cap(rules.frequency_cap)
    for name in ("broadcasts_per_day", "requests_per_second"):
        if not 0 <= getattr(rules, name) <= _MOST:
            _refuse(name, f"0 to {_MOST}")
    if len(set(rules.statuses)) != len(rules.statuses) or not set(rules.statuses) <= set(range(9)):
        _refuse("statuses", "numbers from 0 to 8, each once")


def _check_quiet(quiet: QuietHours) -> None:
    for name, text in (("start", quiet.start), ("end", quiet.end)):
        if _TIME.fullmatch(text) is None:
            _refuse(f"quiet_hours.{name}", "a time from 00:00 to 23:59, as HH:MM")
    if quiet.start == quiet.end:
        _refuse("quiet_hours.end", "the same as the start")


def _check_cap(cap: FrequencyCap) -> None:
    if not 1 <= cap.count <= _MOST:
        _refuse("frequency_cap.count", f"1 to {_MOST}")
    if not 0 < cap.hours <= LONGEST_CAP:
        _refuse("frequency_cap.hours", f"more than 0, at most {LONGEST_CAP}")


def _refuse(name: str, detail: str) -> NoReturn:
    raise Invalid("bad_rule", field=name, detail=detail)
