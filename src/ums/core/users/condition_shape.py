"""The conditions of a segment as JSON Schema has them; `segment_conditions` reads them."""

import sys
from typing import Any, Final, get_args

from ums.core.common.identifiers import MAX_TAG, TAG
from ums.core.users.segment_conditions import (
    EQUAL,
    MAX_DAYS,
    MAX_TIMES,
    MAX_VALUE,
    ORDER,
    TEXT,
    Event,
    address_kinds,
)

REF: Final = {"$ref": "#/components/schemas/Conditions"}
_ONE: Final = {"$ref": "#/components/schemas/Condition"}
_PLAIN: Final = "^[^\\x00-\\x1f]*$"
_STRING: Final[dict[str, Any]] = {"type": "string", "pattern": _PLAIN, "maxLength": MAX_VALUE}
_WORD: Final = {**_STRING, "minLength": 1, "maxLength": 100}
_WORDY: Final = {**_STRING, "minLength": 1}
_LARGEST: Final = sys.float_info.max
_NUMBER: Final = {
    "type": "number",
    "minimum": -_LARGEST,
    "maximum": _LARGEST,
    "description": "A whole one of at most 64 bits.",
}
_SCALAR: Final = {"anyOf": [_STRING, _NUMBER, {"type": "boolean"}]}


def _object(required: tuple[str, ...], **members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


def _test(ops: tuple[str, ...], value: dict[str, Any] | None) -> dict[str, Any]:
    """Of an attribute."""
    name = {**_WORD, "pattern": '^[^\\x00-\\x1f"\\\\]*$'}
    if value is None:
        return _object(("name", "op"), name=name, op={"enum": list(ops)})
    return _object(("name", "op", "value"), name=name, op={"enum": list(ops)}, value=value)


_TAG: Final = {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "pattern": TAG}
_TESTS: Final = {
    "and": _list(_ONE),
    "or": _list(_ONE),
    "not": _ONE,
    "tag": {
        "anyOf": [
            _object((how,), **{how: _list(_TAG), "bind_id": _WORD})
            for how in ("any", "all", "none")
        ]
    },
    "attribute": {
        "anyOf": [
            _test(EQUAL, _SCALAR),
            _test(ORDER, {"anyOf": [_STRING, _NUMBER]}),
            _test(TEXT, _WORDY),
            _test(("in",), _list(_SCALAR)),
            _test(("exists", "missing"), None),
        ]
    },
    "address": _object(
        ("kind",),
        kind={"enum": list(address_kinds())},
        exists={"type": "boolean"},
        bind_id={"anyOf": [_WORD, {"type": "null"}]},
    ),
    "engagement": _object(
        ("event", "within_days"),
        event={"enum": list(get_args(Event))},
        within_days={"type": "integer", "minimum": 1, "maximum": MAX_DAYS},
        at_least={"type": "integer", "minimum": 1, "maximum": MAX_TIMES},
        channel={"anyOf": [_WORD, {"type": "null"}]},
    ),
}
_CONDITIONS: Final[dict[str, Any]] = {
    "description": "`{}` is everyone. At most 10 deep, 500 tests and values, 16 KiB of JSON.",
    "type": "object",
    "anyOf": [
        {"maxProperties": 0},
        _ONE,
    ],
}
_CONDITION: Final[dict[str, Any]] = {
    "type": "object",
    "properties": _TESTS,
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
COMPONENTS: Final = {"Condition": _CONDITION, "Conditions": _CONDITIONS}
