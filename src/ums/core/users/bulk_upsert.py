"""The applying half of `/v1/user/opt`: entries become rows, thousands at a time.

The users of a batch are locked, loaded, changed in memory and written back as a difference, with
the same few statements whatever their number.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import text

from ums import clock
from ums.core.users.entry_parser import MAX_ATTRIBUTES, Change, Entry, Slot
from ums.core.users.fields import KINDS
from ums.core.users.search import store, texts_of
from ums.core.users.shared_addresses import SharedChange, is_shared, note
from ums.db import Statement, Tx, rows_json
from ums.errors import Invalid

Outcome = Literal["added", "changed", "unchanged"] | Invalid
"""What became of an entry; Invalid where it failed."""

Values = frozenset[str]
NOTHING: Values = frozenset()

# Upsert before anything is read: it locks each user's row until the commit, in one order for all
# callers, so that concurrent calls neither deadlock nor lose updates. A row that was there gets
# a later updated_at than created_at; that is how a new one is told apart on either database.
_TAKE = Statement("""
    INSERT INTO users (userid, attributes, created_at, updated_at)
    SELECT r.userid, '{}', CAST(:now AS bigint), CAST(:now AS bigint)
    FROM $rows(r: userid text) WHERE true ORDER BY r.userid
    ON CONFLICT (userid) DO UPDATE SET updated_at =
        CASE WHEN users.updated_at >= excluded.updated_at THEN users.updated_at + 1
        ELSE excluded.updated_at END
    RETURNING id, userid, CAST(attributes AS text), created_at = updated_at
""")
_MARK: Final = text("SAVEPOINT taken")
_BACK: Final = text("ROLLBACK TO SAVEPOINT taken")
_HELD = Statement("""
    SELECT a.user_id, a.kind, a.bind_id, a.value
    FROM $rows(r: id bigint) JOIN addresses a ON a.user_id = r.id
    UNION ALL
    SELECT t.user_id, 'tag', t.bind_id, t.tag
    FROM $rows(r: id bigint) JOIN tags t ON t.user_id = r.id
""")
_ADD_ADDRESSES = Statement("""
    INSERT INTO addresses (user_id, kind, bind_id, value)
    SELECT r.id, r.kind, r.bind_id, r.value
    FROM $rows(r: id bigint, kind text, bind_id text, value text) WHERE true
    ON CONFLICT DO NOTHING
""")
_ADD_TAGS = Statement("""
    INSERT INTO tags (user_id, bind_id, tag)
    SELECT r.id, r.bind_id, r.tag FROM $rows(r: id bigint, bind_id text, tag text) WHERE true
    ON CONFLICT DO NOTHING
""")
_REMOVE_ADDRESSES = Statement("""
    DELETE FROM addresses WHERE (user_id, kind, bind_id, value) IN (
        SELECT r.id, r.kind, r.bind_id, r.value
        FROM $rows(r: id bigint, kind text, bind_id text, value text))
""")
_REMOVE_TAGS = Statement("""
    DELETE FROM tags WHERE (user_id, bind_id, tag) IN (
        SELECT r.id, r.bind_id, r.tag FROM $rows(r: id bigint, bind_id text, tag text))
""")
_SET_ATTRIBUTES = Statement("""
    UPDATE users SET attributes = r.attributes FROM $rows(r: id bigint, attributes jsonb)
    WHERE users.id = r.id
""")
REMOVE_USERS = Statement("DELETE FROM users WHERE id IN (SELECT r.id FROM $rows(r: id bigint))")


class State(Struct, gc=False):  # holds no cycle, and there are thousands
    """One user while a batch is applied."""

    id: int
    new: bool  # made by this transaction
    attributes: str  # JSON
    before: dict[Slot, Values]
    now: dict[Slot, Values]  # the slots that an entry touched
    kept: bool = False  # an entry succeeded
    described: bool = False  # the attributes changed
    was: str = ""  # the attributes before, if they changed


class Difference(Struct, array_like=True, gc=False):
    """What became different of one user: enough to take it back."""

    id: int
    userid: str
    made: bool  # the user was not there before
    slots: list[tuple[str, str, list[str], list[str]]]  # kind, bind id, before, after
    attributes: list[tuple[str, Any, Any]] = []  # name, before, after; null where there is none


async def apply(
    tx: Tx,
    entries: Sequence[Entry],
    differences: list[Difference] | None = None,
    *,
    by: str = "",
) -> list[Outcome]:
    """Apply `entries` in their order, each wholly or not at all; one outcome for each.

    A user whose entries all failed is not created. `differences` gets what became different; `by`
    names in the audit log what asked for it, such as an import.
    """
    if not entries:
        return []
    await tx.run(_MARK)
    states, outcomes = await _attempts(tx, entries)
    if any(not state.kept and not state.new for state in states.values()):
        # Who was refused must not look as if somebody had written it: only the others are taken.
        await tx.run(_BACK)
        kept = {userid for userid, state in states.items() if state.kept}
        states, told = await _attempts(tx, [entry for entry in entries if entry.userid in kept])
        rest = iter(told)
        outcomes = list[Outcome](
            next(rest) if entry.userid in kept else outcome
            for entry, outcome in zip(entries, outcomes, strict=True)
        )
    await write(tx, states, by=by)
    if differences is not None:
        differences += [found for key, one in states.items() if (found := _difference(key, one))]
    return outcomes


async def _attempts(tx: Tx, entries: Sequence[Entry]) -> tuple[dict[str, State], list[Outcome]]:
    """Take their users, and try each entry in memory."""
    states = await _take(tx, {entry.userid for entry in entries})
    outcomes: list[Outcome] = [_attempt(states[entry.userid], entry) for entry in entries]
    return states, outcomes


def _difference(userid: str, state: State) -> Difference | None:
    slots = [
        (kind, bind_id, sorted(before), sorted(now))
        for (kind, bind_id), now in state.now.items()
        if now != (before := state.before.get((kind, bind_id), NOTHING))
    ]
    made = state.new and state.kept
    attributes = _different(state) if state.described else []
    if not (made or slots or attributes):
        return None
    return Difference(state.id, userid, made, slots, attributes)


def _different(state: State) -> list[tuple[str, Any, Any]]:
    was: dict[str, Any] = msgspec.json.decode(state.was)
    now: dict[str, Any] = msgspec.json.decode(state.attributes)
    names = {**was, **now}
    return [
        (name, was.get(name), now.get(name)) for name in names if was.get(name) != now.get(name)
    ]


async def _take(tx: Tx, userids: Collection[str]) -> dict[str, State]:
    take = {"r": rows_json((userid,) for userid in userids), "now": clock.now()}
    rows = await tx.rows(_TAKE, take)
    states = {row[1]: State(row[0], bool(row[3]), row[2], {}, {}) for row in rows}
    await fill(tx, {state.id: state for state in states.values() if not state.new})
    return states


async def fill(tx: Tx, states: dict[int, State]) -> None:
    """Load what the users with these ids hold."""
    if states:
        held = await tx.rows(_HELD, {"r": rows_json((key,) for key in states)})
        _fill(states, held)


def _fill(states: dict[int, State], held: Iterable[Any]) -> None:
    found: dict[tuple[int, str, str], list[str]] = {}
    for user_id, kind, bind_id, value in held:
        found.setdefault((user_id, kind, bind_id), []).append(value)
    for (user_id, kind, bind_id), values in found.items():
        states[user_id].before[kind, bind_id] = frozenset(values)


def _attempt(state: State, entry: Entry) -> Outcome:
    try:
        changed = change(state, entry)
    except Invalid as error:
        return error
    added = state.new and not state.kept
    state.kept = True
    if added:
        return "added"
    return "changed" if changed else "unchanged"


def change(state: State, entry: Entry) -> bool:
    """Apply `entry` to `state`; True when something is different now.

    Raises Invalid, with `state` as it was, when a limit would be passed.
    """
    draft: dict[Slot, Values] = {}
    for step in entry.changes:
        held = draft.get(step.slot)
        draft[step.slot] = _after(_current(state, step.slot) if held is None else held, step)
    for slot, values in draft.items():
        if len(values) > KINDS[slot[0]].limit:
            raise Invalid("limit", kind=slot[0], bind_id=slot[1], limit=KINDS[slot[0]].limit)
        if not entry.replaces_shared and is_shared(slot) and _current(state, slot) - values:
            raise Invalid("shared_address", field=f"{slot[0]}:{slot[1]}")
    changed = _describe(state, entry.attributes) if entry.attributes is not None else False
    for slot, values in draft.items():
        changed = changed or values != _current(state, slot)
        state.now[slot] = values
    return changed


def _current(state: State, slot: Slot) -> Values:
    values = state.now.get(slot)
    return state.before.get(slot, NOTHING) if values is None else values


def _after(held: Values, step: Change) -> Values:
    if step.op == "set":
        return frozenset(step.values)
    if step.op == "add":
        return held.union(step.values)
    # "" stands for "whatever it is", which only single-valued kinds know.
    whatever = step.values == ("",) and not KINDS[step.slot[0]].many
    return NOTHING if whatever else held.difference(step.values)


def _describe(state: State, given: dict[str, Any]) -> bool:
    held: dict[str, Any] = msgspec.json.decode(state.attributes)
    merged = {key: value for key, value in {**held, **given}.items() if value is not None}
    if merged == held:
        return False
    encoded = msgspec.json.encode(merged)
    if len(encoded) > MAX_ATTRIBUTES:
        raise Invalid("attributes_large", limit=MAX_ATTRIBUTES)
    state.was = state.was or state.attributes
    state.attributes, state.described = encoded.decode(), True
    return True


async def write(tx: Tx, users: Mapping[str, State], *, by: str = "") -> None:
    """Store the slots in `now`, and remove the new users that nothing was `kept` of. Changes of
    addresses that all channels use go into the audit log."""
    states, shared = users.values(), list[SharedChange]()
    gone: list[tuple[object, ...]] = []
    new: list[tuple[object, ...]] = []
    for userid, state in users.items():
        for (kind, bind_id), values in state.now.items():
            before = state.before.get((kind, bind_id), NOTHING)
            if values != before:
                if is_shared((kind, bind_id)):
                    shared.append(SharedChange(userid, kind, before, values))
                gone += [(state.id, kind, bind_id, value) for value in before - values]
                new += [(state.id, kind, bind_id, value) for value in values - before]
    await _each(tx, gone, _REMOVE_ADDRESSES, _REMOVE_TAGS)
    await _each(tx, new, _ADD_ADDRESSES, _ADD_TAGS)
    described = [(state.id, state.attributes) for state in states if state.described]
    await _run(tx, _SET_ATTRIBUTES, described)
    await _run(tx, REMOVE_USERS, [(state.id,) for state in states if not state.kept and state.new])
    await store(tx, [(one.id, _texts(key, one)) for key, one in users.items() if _is_other(one)])
    await note(tx, shared, by)


def _is_other(state: State) -> bool:
    """Whether the user stays and is not what it was."""
    if state.new:
        return state.kept
    slots = state.now.items()
    return state.described or any(now != state.before.get(slot, NOTHING) for slot, now in slots)


def _texts(userid: str, state: State) -> dict[str, str]:
    return texts_of(userid, state.attributes, {**state.before, **state.now})


async def _each(
    tx: Tx, rows: list[tuple[object, ...]], addresses: Statement, tags: Statement
) -> None:
    # In the order of the key: rows that are written side by side lie side by side.
    await _run(tx, addresses, sorted(row for row in rows if row[1] != "tag"))  # type: ignore[type-var]
    await _run(tx, tags, sorted((row[0], row[2], row[3]) for row in rows if row[1] == "tag"))  # type: ignore[type-var]


async def _run(tx: Tx, statement: Statement, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await tx.run(statement, {"r": rows_json(rows)})
