"""The bounds of numbers and texts that come from outside, said once for every door."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

MOST_ID: Final = 2**63 - 1
"""What a database numbers its rows up to."""
MOST: Final = 10**9
"""More than any count or limit has a use for."""

LEAST: Final = -(2**63)
"""From here to MOST_ID every store takes a number; so has to be what stands free in a body."""

Id = Annotated[int, Meta(ge=1, le=MOST_ID)]


def said(description: str | None = None, /, **schema: object) -> Meta:
    """A rule as JSON Schema has it. The function of `core` that checks it has better words than a
    decoder; that both say the same is tested (tests/api/test_manage_contract.py)."""
    return Meta(description=description, extra_json_schema=dict(schema))


BLANKS: Final = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Blanks and controls, in a class of a pattern."""
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
NAME: Final = rf"^[^{BLANKS}]([^{_CONTROLS}]*[^{BLANKS}])?$"
UNBROKEN: Final = r"^[^\x00-\x1f\x7f]*$"
"""What breaks out of no line of a protocol."""
LINE: Final = rf"^[^{_CONTROLS}]*$"
IDENTIFIER: Final = rf"^[^{BLANKS}]+$"
_WHITE: Final = r"\x09-\x0d\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
SAYS: Final = rf"^[^\x00]*[^\x00{_WHITE}][^\x00]*$"
"""A text that is not blank."""
SAYS_LINE: Final = SAYS.replace(r"\x00]*", r"\x00\x0a\x0d\u2028\u2029]*")
"""The same on one line."""
WEB_URL: Final = (
    rf"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\\x00-\x20\x7f{_WHITE}]+([/?#][^\x00-\x20\x7f{_WHITE}]*)?$"
)
EMAIL: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 3,
    "format": "idn-email",
    "pattern": "^[^@]+@[^@]+$",
}

Name30 = Annotated[str, Meta(min_length=1, max_length=30), said(pattern=NAME)]
Name40 = Annotated[str, Meta(min_length=1, max_length=40), said(pattern=NAME)]
Name60 = Annotated[str, Meta(min_length=1, max_length=60), said(pattern=NAME)]
Address = Annotated[str, said(**EMAIL)]
Line = Annotated[str, said(pattern=LINE)]
Subject = Annotated[
    str, said("One line of at most 998 bytes.", pattern=LINE, minLength=1, maxLength=998)
]
Says = Annotated[str, said(pattern=SAYS)]
Url = Annotated[str, said(format="iri", pattern=WEB_URL, maxLength=2048)]


GIVEN: Final[dict[str, Any]] = {"not": {"type": "null"}}


def either(*names: str) -> dict[str, Any]:
    """JSON Schema of an object that has one of these members and no other of them, null aside."""
    return {
        "anyOf": [
            {
                "required": [name],
                "properties": {
                    other: GIVEN if other == name else {"type": "null"} for other in names
                },
            }
            for name in names
        ]
    }


def some(*names: str) -> dict[str, Any]:
    """JSON Schema of an object that has one of these members at least, null aside."""
    return {"anyOf": [{"required": [name], "properties": {name: GIVEN}} for name in names]}


def is_stored(number: int) -> bool:
    """Whether a database takes the number."""
    return LEAST <= number <= MOST_ID


def is_storable(text: str) -> bool:
    """Tell whether both databases can hold `text`."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def as_integers(body: bytes) -> bytes:
    """The JSON of `body` with 1.0 as 1: to JSON Schema both are integers, to msgspec one is."""
    return msgspec.json.encode(_INTEGERS.decode(body))


def with_integers(value: dict[str, Any]) -> Any:
    """The same of what was read already."""
    return _INTEGERS.decode(msgspec.json.encode(value))


def _integer(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and is_stored(int(number)) else number


_INTEGERS: Final = msgspec.json.Decoder(float_hook=_integer)
