"""Conditions as SQL over `users u`, in either dialect; names and values are bound, never written.

Each test is true or false and never NULL, so that `not` means the opposite.
"""

from typing import cast

from msgspec import Struct

from ums import clock
from ums.core.users.segment_conditions import (
    Addressed,
    Attribute,
    Either,
    Engaged,
    Every,
    Negation,
    Node,
    Scalar,
    Tagged,
    is_date,
)
from ums.db import to_json

# With models.messages.KNOWN in it, word for word: SQLite uses a partial index only then.
_ENDED = (
    "d.userid <> '' AND d.state IN"
    " ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'suppressed')"
)
_SIGNS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_HAPPENED = {"sent": " AND d.state = 'sent'", "failed": " AND d.state = 'failed'"}


class Compiled(Struct, frozen=True):
    """A boolean expression over `users u`, and what is bound in it."""

    sql: str
    params: dict[str, object]


def compile_conditions(node: Node | None, dialect: str, at: int) -> Compiled:
    """`node` for "sqlite" or "postgresql"; days are counted back from `at` (ms)."""
    writer = _Postgres(at) if dialect == "postgresql" else _Sqlite(at)
    return Compiled("true" if node is None else writer.node(node), writer.params)


class _Writer:
    """What both dialects write alike."""

    def __init__(self, at: int) -> None:
        self.params: dict[str, object] = {}
        self._at = at

    def node(self, node: Node) -> str:
        match node:
            case Every():
                return "(" + " AND ".join(map(self.node, node.parts)) + ")"
            case Either():
                return "(" + " OR ".join(map(self.node, node.parts)) + ")"
            case Negation():
                return f"NOT {self.node(node.part)}"
            case Tagged():
                return self._tagged(node)
            case Addressed():
                return self._addressed(node)
            case Engaged():
                return self._engaged(node)
            case Attribute():
                return self._attribute(node)

    def _bind(self, value: object, kind: str = "text") -> str:
        name = f"s{len(self.params)}"
        self.params[name] = value
        return f"CAST(:{name} AS {kind})"

    def _tagged(self, node: Tagged) -> str:
        bind_id = self._bind(node.bind_id)
        if node.how == "all":
            return "(" + " AND ".join(self._has([tag], bind_id) for tag in node.tags) + ")"
        found = self._has(node.tags, bind_id)
        return f"NOT {found}" if node.how == "none" else found

    def _has(self, tags: list[str], bind_id: str) -> str:
        among = ", ".join(self._bind(tag) for tag in tags)
        return (
            "EXISTS (SELECT 1 FROM tags t WHERE t.user_id = u.id"
            f" AND t.bind_id = {bind_id} AND t.tag IN ({among}))"
        )

    def _addressed(self, node: Addressed) -> str:
        test = f"a.user_id = u.id AND a.kind = {self._bind(node.kind)}"
        if node.bind_id is not None:
            test += f" AND a.bind_id = {self._bind(node.bind_id)}"
        return ("" if node.exists else "NOT ") + f"EXISTS (SELECT 1 FROM addresses a WHERE {test})"

    def _engaged(self, node: Engaged) -> str:
        since = self._bind(self._at - node.within_days * clock.DAY, "bigint")
        test = f"d.userid = u.userid AND {_ENDED} AND d.updated_at >= {since}"
        test += _HAPPENED.get(node.event, f" AND d.created_at >= {since}")
        if node.channel is not None:
            test += (
                " AND EXISTS (SELECT 1 FROM messages m JOIN channels c ON c.id = m.channel_id"
                f" WHERE m.id = d.message_id AND c.key = {self._bind(node.channel)})"
            )
        times = self._bind(node.at_least, "bigint")
        return (
            f"(SELECT count(*) FROM (SELECT 1 FROM deliveries d WHERE {test}"
            f" LIMIT {times}) AS e) >= {times}"
        )

    def _attribute(self, node: Attribute) -> str:
        raise NotImplementedError


class _Sqlite(_Writer):
    """By json_each: its keys are compared as they are, where a path would have to be written."""

    def _attribute(self, node: Attribute) -> str:
        found = f"SELECT 1 FROM json_each(u.attributes) j WHERE j.key = {self._bind(node.name)}"
        if node.op == "missing":
            return f"NOT EXISTS ({found})"
        test = "" if node.op == "exists" else f" AND {self._test(node.op, node.value)}"
        return f"EXISTS ({found}{test})"

    def _test(self, op: str, value: Scalar | list[Scalar] | None) -> str:
        if op == "in":
            among = [self._compare("eq", one) for one in cast("list[Scalar]", value)]
            return "(" + " OR ".join(among) + ")"
        if op == "contains":
            return f"(j.type = 'text' AND instr(j.value, {self._bind(value)}) > 0)"
        if op == "starts_with":
            start = self._bind(value)
            return f"(j.type = 'text' AND substr(j.value, 1, length({start})) = {start})"
        if op == "ne":
            return f"NOT {self._compare('eq', cast('Scalar', value))}"
        return self._compare(op, cast("Scalar", value))

    def _compare(self, op: str, value: Scalar) -> str:
        sign = _SIGNS[op]
        if isinstance(value, bool):
            return f"(j.type = '{'true' if value else 'false'}')"
        if not isinstance(value, str):
            # Read by the same code as the stored number, so that equal texts are equal numbers.
            number = self._bind(_json(value), "numeric")
            return f"(j.type IN ('integer', 'real') AND j.value {sign} {number})"
        if is_date(value):
            shape = "j.value GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
            day = f"substr(j.value, 1, 10) {sign} {self._bind(value)}"
            return f"(j.type = 'text' AND {shape} AND {day})"
        return f"(j.type = 'text' AND j.value {sign} {self._bind(value)})"


class _Postgres(_Writer):
    """By jsonb; texts are compared by their code points, as SQLite does."""

    def _attribute(self, node: Attribute) -> str:
        name = self._bind(node.name)
        held, text = f"(u.attributes -> {name})", f"(u.attributes ->> {name})"
        if node.op in ("exists", "missing"):
            return f"{held} IS {'NOT ' if node.op == 'exists' else ''}NULL"
        return f"COALESCE({self._test(node.op, node.value, held, text)}, false)"

    def _test(self, op: str, value: Scalar | list[Scalar] | None, held: str, text: str) -> str:
        if op == "in":
            among = [self._compare("eq", one, held, text) for one in cast("list[Scalar]", value)]
            return " OR ".join(among)
        is_text = f"jsonb_typeof({held}) = 'string'"
        if op == "contains":
            return f"{is_text} AND strpos({text}, {self._bind(value)}) > 0"
        if op == "starts_with":
            start = self._bind(value)
            return f"{is_text} AND substr({text}, 1, length({start})) = {start}"
        if op == "ne":
            same = self._compare("eq", cast("Scalar", value), held, text)
            return f"{held} IS NOT NULL AND NOT {same}"
        return self._compare(op, cast("Scalar", value), held, text)

    def _compare(self, op: str, value: Scalar, held: str, text: str) -> str:
        sign = _SIGNS[op]
        if isinstance(value, bool) or not isinstance(value, str):
            kind = "boolean" if isinstance(value, bool) else "number"
            json = self._bind(_json(value), "jsonb")
            return f"(jsonb_typeof({held}) = '{kind}' AND {held} {sign} {json})"
        is_text = f"jsonb_typeof({held}) = 'string'"
        if is_date(value):
            shape = f"{text} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"
            day = f'substr({text}, 1, 10) COLLATE "C" {sign} {self._bind(value)}'
            return f"({is_text} AND {shape} AND {day})"
        return f'({is_text} AND {text} COLLATE "C" {sign} {self._bind(value)})'


def _json(value: Scalar) -> str:
    return to_json(value)
