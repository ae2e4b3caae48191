"""The reading half of `/v1/user/opt`: what one entry asks for, checked (ums-spec 3.10).

Nothing here touches the database, so that spreadsheets are read by the same rules.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ums.bounds import is_storable
from ums.core.context.directory import Channel, Snapshot
from ums.core.users.fields import ALL, KINDS, read_userid, read_value, refuse_control
from ums.errors import Detail, Invalid

Op = Literal["set", "add", "del"]
Slot = tuple[str, str]
"""Where values are kept: kind and bind id."""

MAX_ATTRIBUTES = 16 * 1024
MAX_DEPTH = 20
_OPS: tuple[Op, ...] = ("set", "add", "del")


class Change(Struct, frozen=True, gc=False):
    """One step on one slot. `set` of nothing clears; `del` of "" removes what is there."""

    op: Op
    slot: Slot
    values: tuple[str, ...]


class Entry(Struct, frozen=True, gc=False):
    """One user's changes, in the order in which they apply: set, add, del."""

    userid: str
    changes: tuple[Change, ...]
    attributes: dict[str, Any] | None = None  # merged into those held; null removes one
    replaces_shared: bool = True  # also addresses of `all`, which every channel uses


class Rights:
    """Which bind ids a caller may write: those of its channels, or every one where it has none.

    `replaces_shared`: whether it may also replace and remove addresses of `all`; adding one where
    there is none is allowed to everybody.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        channels: Channel | Sequence[Channel] | None = None,
        *,
        replaces_shared: bool = True,
    ) -> None:
        self.replaces_shared = replaces_shared
        own = [channels] if isinstance(channels, Channel) else channels
        keys: Collection[str] = snapshot.channels if own is None else {one.key for one in own}
        ids: Collection[int] = (
            snapshot.senders if own is None else {id for one in own for id in one.senders}
        )
        codes = {snapshot.senders[i].code for i in ids if i in snapshot.senders}
        self._allowed = {"channel": {ALL, *keys}, "sender": codes, "all": {ALL}}
        self._known = {"channel": snapshot.channels, "sender": snapshot.sender_codes, "all": {}}

    def check(self, name: str, bind_id: str) -> None:
        """Raises Invalid unless values of kind `name` may be written under `bind_id`."""
        scope = KINDS[name].scope
        if bind_id in self._allowed[scope]:
            return
        refuse_control(bind_id, name)
        known = bind_id in self._known[scope]
        reason = "bind_id_denied" if known else "bad_bind_id"
        raise Invalid(reason, kind=name, bind_id=bind_id[:64])


def parse(raw: object, rights: Rights) -> Entry:
    """The entry of a decoded JSON object. Raises Invalid: the whole entry fails.

    A kind at the top level counts as if it stood in `set`; null counts as absent.
    """
    if not isinstance(raw, dict):
        raise Invalid("not_entry")
    fields: dict[str, Any] = raw
    userid = read_userid(fields.get("userid"))
    reading = _Reading(rights)
    for key, value in fields.items():
        if value is None or key == "userid":
            continue
        if key in _OPS:
            for name, given in _object(value, key).items():
                reading.read(key, f"{key}.{name}", name, given)
        else:
            reading.read("set", key, key, value)
    return reading.entry(userid, replaces_shared=rights.replaces_shared)


class _Reading:
    """What was found so far in one entry."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._changes: dict[Op, list[Change]] = {"set": [], "add": [], "del": []}
        self._attributes: list[dict[str, Any]] = []

    def read(self, op: Op, where: str, name: str, value: Any) -> None:
        if name in KINDS:
            if value is not None:
                self._kind(op, where, name, value)
        elif name == "attributes" and op == "set":
            if value is not None:
                self._attributes.append(read_attributes(value, where))
        else:
            refuse_control(where, "entry")
            raise Invalid("unknown_field", field=where[:80])

    def _kind(self, op: Op, where: str, name: str, value: Any) -> None:
        kind = KINDS[name]
        if op == "add" and not kind.many:
            raise Invalid("single_valued", kind=name)
        pairs = {ALL: value} if kind.scope == "all" else _object(value, where)
        for bind_id, given in pairs.items():
            self._rights.check(name, bind_id)
            if given is not None:
                read = _many if kind.many else _one
                self._changes[op].append(Change(op, (name, bind_id), read(op, name, where, given)))

    def entry(self, userid: str, *, replaces_shared: bool) -> Entry:
        changes, attributes = self._changes, self._attributes
        _refuse_twice(changes["set"], attributes)
        ordered = (*changes["set"], *changes["add"], *changes["del"])
        given = attributes[0] if attributes else None
        return Entry(userid, ordered, given, replaces_shared)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("bad_type", field=where, expected=Detail("an_object"))
    return value


def _one(op: Op, name: str, where: str, given: Any) -> tuple[str, ...]:
    # Some clients wrap the one value in an array (ums-spec 7.2).
    if isinstance(given, list):
        if len(given) != 1:
            raise Invalid("one_value", field=where)
        given = given[0]
    if not isinstance(given, str):
        raise Invalid("bad_type", field=where, expected=Detail("a_string"))
    if given == "":
        return () if op == "set" else ("",)
    return (_value(op, name, given, where),)


def _many(op: Op, name: str, where: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise Invalid("bad_type", field=where, expected=Detail("array_of_strings"))
    values: dict[str, None] = {}
    for one in given:
        if not isinstance(one, str):
            raise Invalid("bad_type", field=where, expected=Detail("array_of_strings"))
        values[_value(op, name, one, where)] = None
    return tuple(values)


def _value(op: Op, name: str, text: str, where: str) -> str:
    if op != "del":
        return read_value(name, text, where)
    # What could never have been stored cannot be there: deleting it is success.
    refuse_control(text, where)
    try:
        return KINDS[name].clean(text)
    except ValueError:
        return text


def _refuse_twice(sets: list[Change], attributes: list[dict[str, Any]]) -> None:
    if len(attributes) > 1:
        raise Invalid("twice", kind="attributes", bind_id=ALL)
    if len(sets) < 2:
        return
    seen: set[Slot] = set()
    for change in sets:
        if change.slot in seen:
            raise Invalid("twice", kind=change.slot[0], bind_id=change.slot[1])
        seen.add(change.slot)


def read_attributes(value: Any, where: str) -> dict[str, Any]:
    """`value` as the attributes of a user. Raises Invalid naming `where`."""
    if not isinstance(value, dict):
        raise Invalid("bad_type", field=where, expected=Detail("an_object"))
    _storable(value, where, MAX_DEPTH)
    if len(msgspec.json.encode(value)) > MAX_ATTRIBUTES:
        raise Invalid("attributes_large", limit=MAX_ATTRIBUTES)
    return value


def _storable(value: Any, where: str, depth: int) -> None:
    """Refuses what JSON allows and a database does not: NUL, half characters, endless depth."""
    if depth == 0:
        raise Invalid("bad_value", field=where)
    if isinstance(value, str):
        if not is_storable(value):
            raise Invalid("control_characters", field=where)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _storable(key, where, depth)
            _storable(inner, where, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _storable(inner, where, depth - 1)
