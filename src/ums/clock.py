"""What time it is. Nothing else in UMS asks the system's clock for the date."""

import time
from datetime import UTC, datetime

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


_JUMP = 5 * 60 * 1_000_000_000  # ns by which a clock does not go wrong little by little
_BELIEVED = 10 * 60 * 1_000_000_000  # ns after which a jump is taken for the truth
_offset = time.time_ns() - time.monotonic_ns()
_jumped_at = 0  # by the steady clock; 0: it did not jump


def now() -> int:
    """The present moment in milliseconds since 1970 (UTC): the unit of every stored time.

    A system's clock that suddenly jumps by more than five minutes is not believed for ten: until
    then time goes on as before. So a mistaken clock makes no mail expire (reliability.md, F35).
    """
    global _offset, _jumped_at  # noqa: PLW0603  (one process, one clock)
    wall, steady = time.time_ns(), time.monotonic_ns()
    offset = wall - steady
    if -_JUMP < offset - _offset < _JUMP:
        _offset, _jumped_at = offset, 0
    elif not _jumped_at:
        _jumped_at = steady
    elif steady - _jumped_at > _BELIEVED:
        _offset, _jumped_at = offset, 0
    return (steady + _offset) // 1_000_000


def iso(moment: int) -> str:
    """`moment` (milliseconds) as ISO 8601 in UTC, the form in which our API tells times."""
    stamp = datetime.fromtimestamp(moment / 1000, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(moment: int | None) -> str | None:
    """The same for a moment that may not have come."""
    return None if moment is None else iso(moment)


def read(told: str) -> int:
    """The moment that `iso` told so."""
    return round(datetime.fromisoformat(told).timestamp() * 1000)
