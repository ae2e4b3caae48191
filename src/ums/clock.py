"""What time it is. Nothing else in UMS asks the system's clock for the date."""

import time
from datetime import UTC, datetime

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """The present moment in milliseconds since 1970 (UTC): the unit of every stored time."""
    return time.time_ns() // 1_000_000


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
