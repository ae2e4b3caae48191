"""What msgspec says of a body or a value that does not fit, with words in each language.

msgspec tells it in English alone, in a dozen shapes. They are known by the patterns below; what
none fits stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from ums.errors import Detail

_Found = re.Match[str]
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at (?P<path>\$\S*))?", re.DOTALL)
_KINDS: Final = {
    "int": "json_int",
    "float": "json_float",
    "bool": "json_bool",
    "str": "json_str",
    "null": "json_null",
    "array": "json_array",
    "object": "json_object",
    "datetime": "json_datetime",
    "date": "json_date",
    "time": "json_time",
}
_MALFORMED: Final = {
    "invalid character": "json_character",
    "trailing characters": "json_trailing",
    "object keys must be strings": "json_keys",
    "invalid number": "json_number",
    "invalid escape character in string": "json_escape",
    "invalid character in unicode escape": "json_escape",
    "trailing comma in object": "json_comma",
    "trailing comma in array": "json_comma",
    "expected ':'": "json_colon",
    "expected ',' or ']'": "json_array_end",
    "expected ',' or '}'": "json_object_end",
}


def retell(text: str) -> str:
    """`text` of an error of msgspec's: a Detail where its shape is known, else as it is."""
    found = _PLACE.fullmatch(text.replace("`", ""))
    what, path = (found["what"], found["path"]) if found else (text, None)
    told = _told(what)
    return told if path is None or told is what else Detail("json_at", what=told, path=path)


def _told(what: str) -> str:
    for pattern, tell in _SHAPES:
        found = pattern.fullmatch(what)
        if found is not None:
            return tell(found)
    return what


def _kind(text: str) -> str:
    """A type, or several of which one is wanted."""
    first, bar, rest = text.partition(" | ")
    told = Detail(_KINDS[first]) if first in _KINDS else first
    return Detail("json_or", one=told, other=_kind(rest)) if bar else told


def _values(found: _Found) -> Mapping[str, str]:
    return {
        name: _kind(value) if name in ("wanted", "given") else value or "="
        for name, value in found.groupdict().items()
    }


def _as(reason: str) -> Callable[[_Found], str]:
    return lambda found: Detail(reason, **_values(found))


def _malformed(found: _Found) -> str:
    reason = _MALFORMED.get(found["what"])
    what = found["what"] if reason is None else Detail(reason)
    return Detail("json_malformed", what=what, place=found["place"])


_WANTED: Final = r"Expected (?P<wanted>[\w| ]+?)"
_SHAPES: Final[list[tuple[re.Pattern[str], Callable[[_Found], str]]]] = [
    (re.compile(pattern, re.DOTALL), tell)
    for pattern, tell in (
        (rf"{_WANTED}, got (?P<given>[\w| ]+)", _as("json_type")),
        (rf"{_WANTED} of length (?P<sign>[<>]=?)? ?(?P<limit>\d+)", _as("json_length")),
        (rf"{_WANTED} (?P<sign>[<>]=?) (?P<limit>\S+)", _as("json_bound")),
        (rf"{_WANTED} matching regex '(?P<pattern>.*)'", _as("json_pattern")),
        (rf"{_WANTED} that's a multiple of (?P<of>\S+)", _as("json_multiple")),
        (rf"{_WANTED} with a timezone component", _as("json_zone")),
        (r"Invalid enum value (?P<value>.*)", _as("json_enum")),
        (r"Invalid RFC3339 encoded (?P<wanted>\w+)", _as("json_rfc3339")),
        (r"Invalid base64 encoded string", _as("json_base64")),
        (r"(?:Number|Integer value) out of range", _as("json_range")),
        (r"Object contains unknown field (?P<name>.*)", _as("json_unknown")),
        (r"Object missing required field (?P<name>.*)", _as("json_missing")),
        (r"Input data was truncated", _as("json_truncated")),
        (r"JSON is malformed: (?P<what>.*) \(byte (?P<place>\d+)\)", _malformed),
        (r"'utf-8' codec can't decode .*", _as("not_utf8")),
    )
]
