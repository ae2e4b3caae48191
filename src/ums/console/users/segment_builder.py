"""Between the rows of the segment builder and the conditions that `segment_conditions` reads.

A row is one test; all of them, or any, have to hold. Conditions that are more than that have no
rows and are shown as JSON.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from ums.console.forms import parted
from ums.core.common.field_errors import all_of
from ums.core.users.segment_conditions import read
from ums.errors import Invalid, UmsError

JOINS: Final = {"all": "and", "any": "or"}
VALUELESS: Final = ("exists", "missing")
# The fields of each kind of row, and what a new one begins with.
KINDS: Final[dict[str, dict[str, str]]] = {
    "tag": {"how": "any", "tags": "", "bind": "all"},
    "attribute": {"name": "", "op": "eq", "value": "", "type": "text"},
    "address": {"exists": "yes", "bind": ""},
    "engagement": {"did": "yes", "event": "sent", "times": "1", "days": "30", "channel": ""},
}
MOST_ROWS: Final = 100
_ROW_FIELD: Final = re.compile(r"([0-9]{1,4})-([a-z]+)", re.ASCII).fullmatch

Node = dict[str, Any]


class Row(Struct):
    """One test, as its fields stand on the page."""

    kind: str
    values: dict[str, str]


def new_row(kind: str) -> Row:
    return Row(kind, dict(KINDS[kind]))


def rows_in(fields: Mapping[str, str]) -> list[Row]:
    """The rows of a form that was sent: `3-kind`, `3-tags`, ..., in the order of the numbers."""
    found: dict[int, dict[str, str]] = {}
    for name, value in fields.items():
        if match := _ROW_FIELD(name):
            found.setdefault(int(match[1]), {})[match[2]] = value.strip()
    rows: list[Row] = []
    for _, given in sorted(found.items()):
        kind = given.pop("kind", "")
        if kind in KINDS and len(rows) < MOST_ROWS:
            known = {name: given.get(name, first) for name, first in KINDS[kind].items()}
            rows.append(Row(kind, known))
    return rows


def conditions_of(rows: list[Row], join: str) -> Node:
    """No rows are everyone."""
    word = JOINS.get(join, "and")
    return {word: [_node(row) for row in rows]} if rows else {}


def rows_of(conditions: Node) -> tuple[str, list[Row]] | None:
    """(how they are joined, the rows), or None for conditions that rows cannot say."""
    join, parts = "all", [conditions] if conditions else []
    for name, word in JOINS.items():
        if list(conditions) == [word]:
            join, parts = name, conditions[word]
    rows = [_row(part) for part in parts]
    if any(row is None for row in rows):
        return None
    return join, [row for row in rows if row is not None]


def lack_of(row: Row) -> str:
    """What the row still needs, as a word of `words/segments.toml`; empty when nothing."""
    given = row.values
    match row.kind:
        case "tag" if not parted(given["tags"]):
            return "segments.need_tags"
        case "attribute" if not given["name"]:
            return "segments.need_name"
        case "attribute" if given["op"] not in VALUELESS:
            return _lack_of_value(given)
        case "engagement" if not (_is_count(given["times"]) and _is_count(given["days"])):
            return "segments.need_count"
        case _:
            return ""


def flaw_of(row: Row) -> UmsError | None:
    """What is wrong with a row that lacks nothing."""
    found = [] if lack_of(row) else all_of([lambda: read(_node(row))])
    return found[0] if found else None


def row_at(place: str) -> int | None:
    """The number of the row that an error of `core.users.segment_conditions` is about."""
    found = re.match(r"conditions\.(?:and|or)\[([0-9]+)\]", place)
    return int(found[1]) if found else None


def _lack_of_value(given: Mapping[str, str]) -> str:
    values = parted(given["value"]) if given["op"] == "in" else [given["value"]]
    if not values or not all(values):
        return "segments.need_value"
    if given["type"] == "number" and any(_number(one) is None for one in values):
        return "segments.need_number"
    return ""


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 5 and int(text) > 0


def _number(text: str) -> float | None:
    try:
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) else float(text)
    except ValueError:
        return None


def _node(row: Row) -> Node:
    given = row.values
    match row.kind:
        case "tag":
            return {"tag": {given["how"]: parted(given["tags"]), "bind_id": given["bind"]}}
        case "attribute":
            return {"attribute": _attribute(given)}
        case "address":
            has: Node = {"kind": "email", "exists": given["exists"] == "yes"}
            return {"address": has | ({"bind_id": given["bind"]} if given["bind"] else {})}
        case _:
            return _engagement(given)


def _attribute(given: Mapping[str, str]) -> Node:
    test: Node = {"name": given["name"], "op": given["op"]}
    if given["op"] in VALUELESS:
        return test
    if given["op"] == "in":
        return test | {"value": [_value(one, given["type"]) for one in parted(given["value"])]}
    return test | {"value": _value(given["value"], given["type"])}


def _value(text: str, type: str) -> object:
    if type == "truth":
        return text == "true"
    return _number(text) if type == "number" else text


def _engagement(given: Mapping[str, str]) -> Node:
    happened: Node = {"event": given["event"]}
    happened |= {"within_days": int(given["days"]), "at_least": int(given["times"])}
    if given["channel"]:
        happened["channel"] = given["channel"]
    node: Node = {"engagement": happened}
    return node if given["did"] == "yes" else {"not": node}


def _row(part: Node) -> Row | None:
    """Only a row that means exactly what `part` means."""
    try:
        row = _guess(part)
        same = row is not None and not lack_of(row) and read(_node(row)) == read(part)
    except (Invalid, KeyError, TypeError, AttributeError, ValueError):
        return None
    return row if same else None


def _guess(part: Node) -> Row | None:
    match part:
        case {"tag": {**tag}}:
            how = next(how for how in ("any", "all", "none") if how in tag)
            values = {"how": how, "tags": ", ".join(tag[how]), "bind": tag.get("bind_id", "all")}
            return Row("tag", values)
        case {"attribute": {**test}}:
            return Row("attribute", _fields_of_attribute(test))
        case {"address": {"kind": "email", **has}}:
            exists = "yes" if has.get("exists", True) else "no"
            return Row("address", {"exists": exists, "bind": has.get("bind_id") or ""})
        case {"engagement": {**happened}}:
            return Row("engagement", _fields_of_engagement(happened, "yes"))
        case {"not": {"engagement": {**happened}}}:
            return Row("engagement", _fields_of_engagement(happened, "no"))
        case _:
            return None


def _fields_of_attribute(test: Node) -> dict[str, str]:
    value = test.get("value", "")
    values = value if isinstance(value, list) else [value]
    kinds = {_type_of(one) for one in values}
    type = kinds.pop() if len(kinds) == 1 else "text"
    text = ", ".join(_text_of(one) for one in values)
    return {"name": test["name"], "op": test["op"], "value": text, "type": type}


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, int | float) else "text"


def _text_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fields_of_engagement(happened: Node, did: str) -> dict[str, str]:
    return {
        "did": did,
        "event": happened["event"],
        "times": str(happened.get("at_least", 1)),
        "days": str(happened["within_days"]),
        "channel": happened.get("channel") or "",
    }
