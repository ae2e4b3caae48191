"""The bounds of numbers and texts that come from outside, said once for every door."""

from typing import Annotated, Final

from msgspec import Meta

MOST_ID: Final = 2**63 - 1
"""What a database numbers its rows up to."""
MOST: Final = 10**9
"""More than any count or limit has a use for."""

LEAST: Final = -(2**63)
"""From here to MOST_ID every store takes a number; so has to be what stands free in a body."""

Id = Annotated[int, Meta(ge=1, le=MOST_ID)]


def is_stored(number: int) -> bool:
    """Whether a database takes the number."""
    return LEAST <= number <= MOST_ID


def is_storable(text: str) -> bool:
    """Tell whether both databases can hold `text`."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
