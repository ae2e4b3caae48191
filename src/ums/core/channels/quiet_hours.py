"""Quiet hours: when a channel's messages may not go out, by the wall clock of its zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ums import clock
from ums.core.context.channel_policy import ChannelPolicy, QuietHours
from ums.errors import Refused

_DAY = timedelta(days=1)


def is_urgent(*, priority: int, broadcast: bool) -> bool:
    """Whether quiet hours leave a message alone: a code to log in with is no use tomorrow."""
    return priority == 1 and not broadcast


def start(rules: ChannelPolicy, at: int, *, priority: int, broadcast: bool) -> int:
    """When a message that is to begin at `at` may begin: then, or when the quiet hours are over.

    Raises Refused("quiet_hours") where the channel refuses rather than delays.
    """
    quiet = rules.quiet_hours
    end = quiet_until(rules, at)
    if quiet is None or end is None or is_urgent(priority=priority, broadcast=broadcast):
        return at
    if quiet.action == "refuse":
        raise Refused("quiet_hours", until=clock.iso(end))
    return end


def quiet_until(rules: ChannelPolicy, at: int) -> int | None:
    """The moment (ms) the quiet hours end in which `at` lies; None when it lies in none."""
    if rules.quiet_hours is None:
        return None
    zone = ZoneInfo(rules.zone)
    end: int | None = None
    for _ in range(3):  # where the clock is moved, one window may begin where another ends
        later = _window_end(rules.quiet_hours, zone, at if end is None else end)
        if later is None:
            return end
        end = later
    return end


def today(rules: ChannelPolicy, at: int) -> str:
    """The day (YYYY-MM-DD) that it is in the channel's zone."""
    return _local(ZoneInfo(rules.zone), at).date().isoformat()


def _window_end(quiet: QuietHours, zone: ZoneInfo, at: int) -> int | None:
    day = _local(zone, at).date()
    ends = [_window(quiet, zone, day + timedelta(days=shift)) for shift in (-1, 0, 1)]
    return max((end for begin, end in ends if begin <= at < end), default=None)


def _window(quiet: QuietHours, zone: ZoneInfo, day: date) -> tuple[int, int]:
    """(begin, end) of the window that begins on `day`. An hour that comes twice is quiet from its
    first time to its last; a time that is left out is the moment the clock was moved."""
    begin, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    ending = day if begin < end else day + _DAY
    return (
        _moment(datetime.combine(day, begin), zone, last=False),
        _moment(datetime.combine(ending, end), zone, last=True),
    )


def _moment(wall: datetime, zone: ZoneInfo, *, last: bool) -> int:
    """The first or last moment (ms) at which the clocks of `zone` show `wall`."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second < first:  # in a gap the two offsets are those of after and before it (PEP 495)
        return _stamp(_jump(zone, second, first))
    return _stamp(second if last else first)


def _jump(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """When the clocks were put forward between these two moments. They are on whole minutes
    nowadays; to the second where an old rule is not."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _local(zone: ZoneInfo, at: int) -> datetime:
    return datetime.fromtimestamp(at / clock.SECOND, UTC).astimezone(zone)


def _stamp(moment: datetime) -> int:
    return round(moment.timestamp() * clock.SECOND)
