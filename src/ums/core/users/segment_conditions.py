"""The conditions of a segment: a tree of typed tests on a user, read from JSON and checked.

    {"and": [TREE, ...]}   {"or": [TREE, ...]}   {"not": TREE}
    {"tag": {"any" | "all" | "none": ["vip"], "bind_id": "all"}}
    {"attribute": {"name": "age", "op": "ge", "value": 18}}
    {"address": {"kind": "email", "exists": true}}
    {"engagement": {"event": "sent", "within_days": 30, "at_least": 1, "channel": KEY}}

`{}` is everyone. Names and values are only ever bound to statements (reliability.md, threat 21).
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, Literal, NoReturn, cast

import msgspec
from msgspec import Struct

from ums.core.common.identifiers import is_tag
from ums.core.context.directory import Snapshot
from ums.core.users.fields import ALL, KINDS
from ums.errors import Detail, Invalid

MAX_DEPTH = 10
MAX_PARTS = 500  # tests and values together
MAX_TEXT = 16 * 1024  # bytes of JSON
MAX_VALUE = 1000  # characters
MAX_DAYS = 366
MAX_TIMES = 1000

Scalar = str | float | bool
How = Literal["any", "all", "none"]
Event = Literal["sent", "failed", "accepted"]
EQUAL = ("eq", "ne")
ORDER = ("lt", "le", "gt", "ge")
TEXT = ("contains", "starts_with")
OPS = (*EQUAL, *ORDER, *TEXT, "in", "exists", "missing")
EVENTS = ("sent", "failed", "accepted")

_ADDRESSES = tuple(name for name in KINDS if name != "tag")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Every(Struct, frozen=True):
    """All parts hold."""

    parts: list["Node"]


class Either(Struct, frozen=True):
    """At least one part holds."""

    parts: list["Node"]


class Negation(Struct, frozen=True):
    part: "Node"


class Tagged(Struct, frozen=True):
    """The user carries any, all or none of the tags under the bind id."""

    how: How
    tags: list[str]
    bind_id: str


class Attribute(Struct, frozen=True):
    """An attribute's value: of the same type as `value`, or the test does not hold."""

    name: str
    op: str
    value: Scalar | list[Scalar] | None


class Addressed(Struct, frozen=True):
    """The user has, or has not, an address of the kind, under `bind_id` or under any."""

    kind: str
    exists: bool
    bind_id: str | None


class Engaged(Struct, frozen=True):
    """It happened `at_least` so often within the last days, by one channel or by any.

    `sent`, `failed`: deliveries that ended so; `accepted`: messages to the user, whatever became
    of them, that have come to their end.
    """

    event: Event
    within_days: int
    at_least: int
    channel: str | None


Node = Every | Either | Negation | Tagged | Attribute | Addressed | Engaged


def read(given: object) -> Node | None:
    """The tree that `given` (JSON values) means; None for `{}`, which is everyone.

    Raises Invalid("bad_conditions") with the place and what is wrong there.
    """
    if len(_encoded(given)) > MAX_TEXT:
        _refuse("conditions", "large", most=MAX_TEXT)
    return None if given == {} else _Reader().node(given, "conditions", 1)


def check_names(node: Node | None, snapshot: Snapshot) -> None:
    """Raises Invalid for a bind id or ChannelKey that there is not."""
    match node:
        case Every() | Either():
            for part in node.parts:
                check_names(part, snapshot)
        case Negation():
            check_names(node.part, snapshot)
        case Tagged() | Addressed():
            _check_bind_id(node.bind_id, snapshot, sender=isinstance(node, Addressed))
        case Engaged():
            if node.channel is not None and node.channel not in snapshot.channels:
                raise Invalid("channel_unknown", key=node.channel)
        case _:
            return


def address_kinds() -> tuple[str, ...]:
    """What a condition may ask for an address of."""
    return _ADDRESSES


def is_date(value: object) -> bool:
    """Whether a value is a day (YYYY-MM-DD), which is compared with the days of dates and times."""
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _check_bind_id(bind_id: str | None, snapshot: Snapshot, *, sender: bool) -> None:
    known = bind_id in (None, ALL) or bind_id in snapshot.channels
    if not known and not (sender and bind_id in snapshot.sender_codes):
        raise Invalid("bad_bind_id", kind="conditions", bind_id=bind_id)


def _encoded(given: object) -> bytes:
    try:
        return msgspec.json.encode(given)
    except (TypeError, ValueError, RecursionError, OverflowError):
        _refuse("conditions", "json")


def _refuse(place: str, detail: str, **values: object) -> NoReturn:
    detail = Detail(f"conditions_{detail}", **values)
    raise Invalid("bad_conditions", field=place, detail=detail)


class _Reader:
    """Reads one tree; counts its parts."""

    def __init__(self) -> None:
        self._parts = 0

    def node(self, given: object, place: str, depth: int) -> Node:
        self._count(place)
        if depth > MAX_DEPTH:
            _refuse(place, "deep", most=MAX_DEPTH)
        if not isinstance(given, dict) or len(given) != 1:
            _refuse(place, "key", names=", ".join(_READERS))
        name, inner = cast("tuple[str, object]", next(iter(given.items())))
        reader = _READERS.get(name)
        if reader is None:
            _refuse(place, "key", names=", ".join(_READERS))
        return reader(self, inner, f"{place}.{name}", depth)

    def every(self, given: object, place: str, depth: int) -> Node:
        return Every(self._nodes(given, place, depth))

    def either(self, given: object, place: str, depth: int) -> Node:
        return Either(self._nodes(given, place, depth))

    def negation(self, given: object, place: str, depth: int) -> Node:
        return Negation(self.node(given, place, depth + 1))

    def tagged(self, given: object, place: str, _depth: int) -> Node:
        fields = _fields(given, place, ("any", "all", "none", "bind_id"))
        chosen = [how for how in ("any", "all", "none") if how in fields]
        if len(chosen) != 1:
            _refuse(place, "how")
        tags = self._values(fields[chosen[0]], f"{place}.{chosen[0]}")
        for number, tag in enumerate(tags):
            if not isinstance(tag, str) or not is_tag(tag):
                _refuse(f"{place}.{chosen[0]}[{number}]", "tag")
        bind_id = _text(fields.get("bind_id", ALL), f"{place}.bind_id")
        return Tagged(cast("How", chosen[0]), cast("list[str]", tags), bind_id)

    def attribute(self, given: object, place: str, _depth: int) -> Node:
        fields = _fields(given, place, ("name", "op", "value"))
        name = _text(fields.get("name"), f"{place}.name")
        if '"' in name or "\\" in name:  # SQLite and PostgreSQL do not agree on such keys
            _refuse(f"{place}.name", "quote")
        op = fields.get("op")
        if op not in OPS:
            _refuse(f"{place}.op", "one_of", names=", ".join(OPS))
        return Attribute(name, str(op), self._operand(str(op), fields, place))

    def addressed(self, given: object, place: str, _depth: int) -> Node:
        fields = _fields(given, place, ("kind", "exists", "bind_id"))
        kind, exists = fields.get("kind"), fields.get("exists", True)
        if not isinstance(kind, str) or kind not in _ADDRESSES:
            _refuse(f"{place}.kind", "one_of", names=", ".join(_ADDRESSES))
        if not isinstance(exists, bool):
            _refuse(f"{place}.exists", "bool")
        bind_id = fields.get("bind_id")
        return Addressed(
            kind, exists, None if bind_id is None else _text(bind_id, f"{place}.bind_id")
        )

    def engaged(self, given: object, place: str, _depth: int) -> Node:
        fields = _fields(given, place, ("event", "within_days", "at_least", "channel"))
        event, channel = fields.get("event"), fields.get("channel")
        if event not in EVENTS:
            _refuse(f"{place}.event", "one_of", names=", ".join(EVENTS))
        return Engaged(
            event,
            _whole(fields.get("within_days"), f"{place}.within_days", MAX_DAYS),
            _whole(fields.get("at_least", 1), f"{place}.at_least", MAX_TIMES),
            None if channel is None else _text(channel, f"{place}.channel"),
        )

    def _nodes(self, given: object, place: str, depth: int) -> list[Node]:
        if not isinstance(given, list) or not given:
            _refuse(place, "list")
        parts = cast("list[object]", given)
        return [self.node(part, f"{place}[{i}]", depth + 1) for i, part in enumerate(parts)]

    def _values(self, given: object, place: str) -> list[Scalar]:
        if not isinstance(given, list) or not given:
            _refuse(place, "list")
        return [self._value(one, f"{place}[{i}]") for i, one in enumerate(cast("list[Any]", given))]

    def _value(self, given: object, place: str) -> Scalar:
        self._count(place)
        if isinstance(given, str):
            return _text(given, place, least=0, most=MAX_VALUE)
        if isinstance(given, int) and -(2**63) <= given < 2**63:  # true and false as well
            return given
        if isinstance(given, float):
            return given
        _refuse(place, "value")

    def _operand(self, op: str, fields: dict[str, Any], place: str) -> Scalar | list[Scalar] | None:
        place = f"{place}.value"
        if op in ("exists", "missing"):
            if "value" in fields:
                _refuse(place, "no_value", op=op)
            return None
        if "value" not in fields:
            _refuse(place, "missing")
        if op == "in":
            return self._values(fields["value"], place)
        value = self._value(fields["value"], place)
        if op in ORDER and isinstance(value, bool):
            _refuse(place, "order", op=op)
        if op in TEXT and not (isinstance(value, str) and value):
            _refuse(place, "text", op=op)
        return value

    def _count(self, place: str) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            _refuse(place, "many", most=MAX_PARTS)


_READERS: dict[str, Callable[[_Reader, object, str, int], Node]] = {
    "and": _Reader.every,
    "or": _Reader.either,
    "not": _Reader.negation,
    "tag": _Reader.tagged,
    "attribute": _Reader.attribute,
    "address": _Reader.addressed,
    "engagement": _Reader.engaged,
}


def _fields(given: object, place: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        _refuse(place, "object")
    for name in given:
        if name not in known:
            _refuse(place, "only", names=", ".join(known))
    return cast("dict[str, Any]", given)


def _text(given: object, place: str, *, least: int = 1, most: int = 100) -> str:
    if not isinstance(given, str) or not least <= len(given) <= most:
        _refuse(place, "length", least=least, most=most)
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in given):
        _refuse(place, "control")
    return given


def _whole(given: object, place: str, most: int) -> int:
    if isinstance(given, float) and given.is_integer():
        given = int(given)  # JSON has one kind of number
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
        _refuse(place, "whole", most=most)
    return given
