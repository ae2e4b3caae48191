"""Times that callers give."""

from datetime import datetime
from typing import Final

from ums.errors import Detail, Invalid

_LAST = 221_845_392_000_000  # the year 9000: days after it can still be reckoned with

MOMENT: Final = (
    r"^(19[7-9][0-9]|[2-8][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""A time as RFC 3339 writes it, of 1970 to 8999: what a program gives."""


def milliseconds(moment: datetime, field: str) -> int:
    """`moment` as times are stored. Raises Invalid for one without an offset, or out of reach."""
    if moment.tzinfo is None:
        raise Invalid("bad_filter", field=field, detail=Detail("moment_offset"))
    found = round(moment.timestamp() * 1000)
    if not 0 <= found < _LAST:
        raise Invalid("bad_filter", field=field, detail=Detail("moment_bounds"))
    return found
