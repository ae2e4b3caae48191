"""The filters and tests of the language, each bounded in time and in what it makes."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup
from msgspec import Struct

from ums.core.templates.values import (
    LONGEST,
    Frame,
    Missing,
    RenderError,
    as_html,
    failed,
    kind,
    present,
    show,
)
from ums.errors import Detail

_REQUIRED = object()
_WORD = re.compile(r"([-\s({\[<]+)")
_DATE = re.compile(r"%(-[md]|.|$)", re.DOTALL)
_PARTS = {
    "Y": "{0.year:04}",
    "m": "{0.month:02}",
    "d": "{0.day:02}",
    "H": "{0.hour:02}",
    "M": "{0.minute:02}",
    "S": "{0.second:02}",
    "y": "{1:02}",
    "-m": "{0.month}",
    "-d": "{0.day}",
    "%": "%",
}
MILLISECONDS_FROM = 10**11  # a number of seconds this large would be in the year 5138
MOST_SECONDS = 253_402_300_799  # the end of the year 9999


class Filter(Struct, frozen=True):
    """`run` gets the frame, the value and an argument for each of `parameters`."""

    run: Callable[..., Any]
    parameters: tuple[tuple[str, Any], ...] = ()  # names and defaults
    lenient: bool = False  # whether it may see that a value is missing


def _text(frame: Frame, value: Any) -> str:
    text = str.__str__(show(value))
    frame.pay(len(text) >> 6)
    return text


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise failed("range", name=name, least=least, most=most)
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) >= 2**63:
        raise failed("number", name=name, kind=kind(value))
    return value


def _upper(frame: Frame, value: Any) -> str:
    return _text(frame, value).upper()


def _lower(frame: Frame, value: Any) -> str:
    return _text(frame, value).lower()


def _capitalize(frame: Frame, value: Any) -> str:
    return _text(frame, value).capitalize()


def _title(frame: Frame, value: Any) -> str:
    words = _WORD.split(_text(frame, value))
    return "".join(word[0].upper() + word[1:].lower() for word in words if word)


def _trim(frame: Frame, value: Any) -> str:
    return _text(frame, value).strip()


def _default(_: Frame, value: Any, other: Any, boolean: Any) -> Any:
    if value.__class__ is Missing or (boolean is True and not value):
        return other
    return value


def _length(_: Frame, value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise failed("length", kind=kind(value))


def _round(_: Frame, value: Any, precision: Any, method: Any) -> float:
    digits = _whole(precision, "round", 0, 10)
    given = _number(value, "round")
    if method == "common":
        return round(given, digits) if isinstance(given, float) else given
    if method not in ("ceil", "floor"):
        raise failed("round")
    turned = (math.ceil if method == "ceil" else math.floor)(given * 10**digits)
    return turned / 10**digits


def _int(_: Frame, value: Any, other: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, str) and len(value) > 40:
            return other
        number = int(float(value)) if not isinstance(value, str) else int(float(value.strip()))
    except (TypeError, ValueError, OverflowError):
        return other
    return number if abs(number) < 2**63 else other


def _fixed(_: Frame, value: Any, decimals: Any) -> str:
    digits = _whole(decimals, "number", 0, 10)
    return f"{_number(value, 'number'):,.{digits}f}"


def _join(frame: Frame, value: Any, separator: Any) -> str:
    if not isinstance(value, list):
        raise failed("join", kind=kind(value))
    frame.pay(len(value))
    pieces = [show(present(_there(one))) for one in value]
    between = show(separator)
    made = sum(map(len, pieces)) + len(between) * max(len(pieces) - 1, 0)
    _short_enough(frame, made)
    return str.__str__(between).join(str.__str__(piece) for piece in pieces)


def _there(value: Any) -> Any:
    return Missing("an element of the list") if value is None else value


def _short_enough(frame: Frame, length: int) -> None:
    if length > LONGEST:
        raise RenderError("template_limit", Detail("render_long", most=f"{LONGEST:,}"))
    frame.pay(length >> 6)


def _first(_: Frame, value: Any) -> Any:
    return _element(value, 0, "first")


def _last(_: Frame, value: Any) -> Any:
    return _element(value, -1, "last")


def _element(value: Any, at: int, name: str) -> Any:
    if not isinstance(value, list | str):
        raise failed("ends", name=name, kind=kind(value))
    found = value[at] if value else None
    if isinstance(found, str):
        found = str.__str__(found)
    return Missing(f"the {name} element") if found is None else found


def _escape(frame: Frame, value: Any) -> Markup:
    text = show(value)
    frame.pay(len(text) >> 6)
    return Markup(as_html(text))  # noqa: S704  (it was escaped just now)


def _safe(_: Frame, value: Any) -> Markup:
    return Markup(show(value))  # noqa: S704  (the template's author says so)


def _truncate(frame: Frame, value: Any, length: Any, killwords: Any, end: Any) -> str:
    text, ending = _text(frame, value), show(end)
    most = _whole(length, "truncate", len(ending), LONGEST)
    if len(text) <= most:
        return text
    cut = text[: most - len(ending)]
    return (cut if killwords is True else cut.rsplit(" ", 1)[0]) + ending


def _replace(frame: Frame, value: Any, old: Any, new: Any) -> str:
    text, before, after = _text(frame, value), show(old), show(new)
    _short_enough(frame, len(text) + text.count(before) * max(len(after) - len(before), 0))
    return text.replace(str.__str__(before), str.__str__(after))


def _date(_: Frame, value: Any, form: Any) -> str:
    at = _moment(value)
    if not isinstance(form, str) or len(form) > 64:
        raise failed("date_form")

    def part(found: re.Match[str]) -> str:
        template = _PARTS.get(found[1])
        if template is None:
            raise failed("date_part", part=found[1])
        return template.format(at, at.year % 100)

    return _DATE.sub(part, form)


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, str) and len(value) <= 40:
            return datetime.fromisoformat(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= MILLISECONDS_FROM else value
            if 0 <= seconds <= MOST_SECONDS:
                return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        pass
    raise failed("date")


FILTERS: dict[str, Filter] = {
    "capitalize": Filter(_capitalize),
    "date": Filter(_date, (("format", "%Y-%m-%d"),)),
    "default": Filter(_default, (("default_value", ""), ("boolean", False)), lenient=True),
    "escape": Filter(_escape),
    "first": Filter(_first),
    "int": Filter(_int, (("default", 0),)),
    "join": Filter(_join, (("d", ""),)),
    "last": Filter(_last),
    "length": Filter(_length),
    "lower": Filter(_lower),
    "number": Filter(_fixed, (("decimals", 2),)),
    "replace": Filter(_replace, (("old", _REQUIRED), ("new", _REQUIRED))),
    "round": Filter(_round, (("precision", 0), ("method", "common"))),
    "safe": Filter(_safe),
    "title": Filter(_title),
    "trim": Filter(_trim),
    "truncate": Filter(_truncate, (("length", 255), ("killwords", False), ("end", "..."))),
    "upper": Filter(_upper),
}
OTHER_NAMES = {"d": "default", "e": "escape", "count": "length"}


def is_required(default: Any) -> bool:
    """Whether a parameter with this default has to be given."""
    return default is _REQUIRED


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TESTS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "even": lambda value: _is_integer(value) and value % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "integer": _is_integer,
    "list": lambda value: isinstance(value, list),
    "mapping": lambda value: isinstance(value, dict),
    "number": _is_number,
    "odd": lambda value: _is_integer(value) and value % 2 == 1,
    "sequence": lambda value: isinstance(value, list | str | dict),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
}
PRESENCE = {"defined": True, "undefined": False, "none": False}
"""Tests that may see a missing value: whether they hold where one is there."""
