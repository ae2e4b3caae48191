"""Values that callers give for variables: what they may be."""

import math
import re
from typing import Any, Final

import msgspec

from ums.bounds import is_storable
from ums.errors import Invalid

MOST: Final = 64 * 1024  # octets of JSON
DEEPEST: Final = 16
_NAME = re.compile(r"(?:user\.)?[^\W\d]\w{0,99}")


def check_para(values: dict[str, Any], field: str) -> dict[str, Any]:
    """`values`, if each is text, number, truth value, list or object, and all are not too much.
    Null counts as absent. Raises Invalid."""
    for name, value in values.items():
        if not _is_sound(name, 0) or not _is_sound(value, 0):
            raise Invalid("bad_value", field=f"{field}.{_shown(name)}")
    if len(msgspec.json.encode(values)) > MOST:
        raise Invalid("para_large", field=field, limit=MOST)
    return values


def check_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Defaults that a template declares: variable, or `user.` and attribute, to value."""
    for name in values:
        if not _NAME.fullmatch(name):
            raise Invalid("bad_value", field=f"defaults.{_shown(name)}")
    return check_para(values, "defaults")


def _is_sound(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, float):
        return math.isfinite(value)
    if depth >= DEEPEST:
        return False
    if isinstance(value, list):
        return all(_is_sound(one, depth + 1) for one in value)
    return isinstance(value, dict) and all(
        _is_sound(key, depth) and _is_sound(one, depth + 1) for key, one in value.items()
    )


def _shown(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)[:40]
