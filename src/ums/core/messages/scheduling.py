"""When a message goes out, and until when it is tried.

All times are moments (ms, UTC), so that neither a restart nor a change of the clocks moves them.
"""

from datetime import datetime

from ums import clock
from ums.core.messages.requests import SendRequest
from ums.errors import Invalid

BULK_LIFE = 72 * clock.HOUR  # reliability.md 4.2
SINGLE_LIFE = 24 * clock.HOUR
FARTHEST = 366 * clock.DAY
LATE = clock.MINUTE  # a start that is over by less is taken as now: forms know only minutes


def moment(text: str, field: str) -> int:
    """The moment that `text` names: ISO 8601 with its offset from UTC. Raises Invalid."""
    try:
        told = datetime.fromisoformat(text)
        if told.tzinfo is None:
            raise Invalid("bad_time", field=field)
        return round(told.timestamp() * clock.SECOND)
    except (ValueError, OverflowError):
        raise Invalid("bad_time", field=field) from None


def check_times(request: SendRequest, now: int) -> None:
    """Raises Invalid for a start that is over or more than a year away, and for an end that comes
    before it or is over."""
    if request.starts_at:
        check_start(request.starts_at, now)
    check_end(max(now, request.starts_at), request.deliver_by)


def check_start(starts_at: int, now: int) -> None:
    """Raises Invalid for a start that is over, or more than a year away."""
    if starts_at < now - LATE:
        raise Invalid("starts_in_past", field="starts_at")
    if starts_at > now + FARTHEST:
        raise Invalid("starts_too_late", field="starts_at")


def check_end(start: int, end: int | None) -> None:
    if end is not None and not start < end <= start + FARTHEST:
        raise Invalid("bad_deliver_by", field="deliver_by")


def lifetime(*, broadcast: bool) -> int:
    """How long a message is tried when nobody said (ms)."""
    return BULK_LIFE if broadcast else SINGLE_LIFE


def expiry(request: SendRequest, starts_at: int) -> int:
    """When the message's life ends; it counts from its start."""
    if request.deliver_by is not None:
        return request.deliver_by
    return starts_at + lifetime(broadcast=request.broadcast)
