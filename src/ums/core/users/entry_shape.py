"""What users look like in bodies of the management API, as JSON Schema has it: an entry, whose
reader is `entry_parser`, and all of a user's addresses."""

from typing import Any, Final

from ums.bounds import LEAST, LINE, MOST_ID
from ums.core.common.identifiers import USERID
from ums.core.users.fields import ALL, KINDS, Kind

_NUMBER: Final = {"type": "integer", "minimum": LEAST, "maximum": MOST_ID}
_BIND_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9]{1,32}$"}
_NULL: Final = {"type": "null"}
_NOTHING: Final = {"const": ""}
_FREE: Final = {"type": ["object", "null"]}


def _nullable(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*shapes, _NULL]}


def _bound(kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
    """Values by bind id, where the kind has any."""
    if kind.scope == ALL:
        return values
    given = {"type": "object", "propertyNames": _BIND_ID, "additionalProperties": values}
    return _nullable(given)


def _given(kind: Kind, value: dict[str, Any], nothing: dict[str, Any] | None) -> dict[str, Any]:
    if kind.many:
        return _bound(kind, _nullable({"type": "array", "items": value}))
    one = value if nothing is None else {"anyOf": [value, nothing]}
    wrapped = {"type": "array", "minItems": 1, "maxItems": 1, "items": one}
    return _bound(kind, _nullable(one, wrapped))


def _kinds(op: str) -> dict[str, Any]:
    """The kinds of a step of an entry."""
    if op == "add":
        return {
            name: _given(kind, kind.shape, None) if kind.many else _NULL
            for name, kind in KINDS.items()
        }
    if op == "del":
        any_text = {"type": "string", "pattern": LINE}
        return {name: _given(kind, any_text, None) for name, kind in KINDS.items()}
    kinds = {name: _given(kind, kind.shape, _NOTHING) for name, kind in KINDS.items()}
    return {**kinds, "attributes": _FREE}


def _step(op: str) -> dict[str, Any]:
    known = {"type": "object", "properties": _kinds(op), "additionalProperties": False}
    return _nullable(known)


CHANGES: Final[dict[str, Any]] = {
    "properties": {
        "userid": {"anyOf": [{"type": "string", "pattern": USERID}, _NUMBER]},
        "set": _step("set"),
        "add": _step("add"),
        "del": _step("del"),
        **_kinds("set"),
    },
    "additionalProperties": _NULL,
}
"""An entry, which may lack the userid that stands elsewhere."""

ENTRY: Final[dict[str, Any]] = {**CHANGES, "required": ["userid"]}


def _all(kind: Kind) -> dict[str, Any]:
    """All values of a kind."""
    value = kind.shape if kind.many else {"anyOf": [kind.shape, _NOTHING]}
    values: dict[str, Any] = {"type": "array", "items": value}
    if not kind.many:
        values["maxItems"] = 1
    if kind.scope == ALL:
        return {"type": "object", "properties": {ALL: values}, "additionalProperties": False}
    return {"type": "object", "propertyNames": _BIND_ID, "additionalProperties": values}


ADDRESSES: Final[dict[str, Any]] = {
    "properties": {name: _all(kind) for name, kind in KINDS.items() if name != "tag"},
    "propertyNames": {"enum": [name for name in KINDS if name != "tag"]},
}
BIND_IDS: Final = {"propertyNames": _BIND_ID}
