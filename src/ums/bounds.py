"""The bounds of numbers and texts that come from outside, said once for every door."""

from typing import Annotated, Final

import msgspec
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


def as_integers(body: bytes) -> bytes:
    """The JSON of `body` with 1.0 as 1: to JSON Schema both are integers, to msgspec one is."""
    return msgspec.json.encode(_INTEGERS.decode(body))


def _integer(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and is_stored(int(number)) else number


_INTEGERS: Final = msgspec.json.Decoder(float_hook=_integer)
