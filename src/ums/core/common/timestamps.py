"""Times that callers give."""

from datetime import datetime

from ums.errors import Detail, Invalid

_LAST = 221_845_392_000_000  # the year 9000: days after it can still be reckoned with


def milliseconds(moment: datetime, field: str) -> int:
    """`moment` as times are stored. Raises Invalid for one without an offset, or out of reach."""
    if moment.tzinfo is None:
        raise Invalid("bad_filter", field=field, detail=Detail("moment_offset"))
    found = round(moment.timestamp() * 1000)
    if not 0 <= found < _LAST:
        raise Invalid("bad_filter", field=field, detail=Detail("moment_bounds"))
    return found
