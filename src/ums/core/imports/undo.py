"""Taking an import back: what it changed is as before, where nobody changed it since.

Each batch of the import left a record of its differences. They are taken back last batch first,
each with its record in one transaction, so that a crash neither skips nor repeats one.
"""

from typing import Any

import msgspec
from sqlalchemy import delete, select

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.tables import import_batches, imports
from ums.core.tables import users as users_table
from ums.core.users.bulk_upsert import NOTHING, Difference, State, fill, write
from ums.db import Statement, Tx, to_json
from ums.errors import Conflict, NotFound

KEPT_FOR = 30 * clock.DAY  # how long an import can be taken back

_ALIVE = "EXISTS (SELECT 1 FROM workers w WHERE w.owner = imports.owner AND w.lease_until > $now)"
_FREE = f"state = 'undoing' AND (owner IS NULL OR owner = :owner OR NOT {_ALIVE})"
_OURS = "id = :id AND owner = :owner AND state = 'undoing'"
_CANDIDATE = Statement(f"SELECT id FROM imports WHERE {_FREE} ORDER BY id LIMIT 1 $skip_locked")
_TAKE = Statement(f"UPDATE imports SET owner = :owner WHERE id = :id AND {_FREE} RETURNING id")
_COUNT = Statement(
    f"UPDATE imports SET undone = undone + :undone, kept = kept + :kept WHERE {_OURS} RETURNING id"
)
_FINISH = Statement(
    f"UPDATE imports SET state = 'undone', finished_at = :at, owner = NULL WHERE {_OURS}"
)
_REQUEST = Statement(
    "UPDATE imports SET state = 'undoing', owner = NULL"
    " WHERE id = :id AND state IN ('done', 'failed') RETURNING id"
)


class Lost(Exception):  # not an error: another worker goes on
    """The import is not this worker's any more."""


async def request(system: AppContext, import_id: int) -> None:
    """Have the import taken back by an engine. Raises NotFound, Conflict."""
    async with system.database.write() as tx:
        row = await tx.first(select(imports).where(imports.c.id == import_id).with_for_update())
        if row is None:
            raise NotFound("import_unknown", id=import_id)
        if row.state not in ("done", "failed"):
            raise Conflict("import_state", state=row.state)
        mine = import_batches.c.import_id == import_id
        changed = row.added or row.changed
        if changed and await tx.first(select(import_batches.c.number).where(mine)) is None:
            raise Conflict("undo_over")
        await tx.value(_REQUEST, {"id": import_id})
        before, after = {"state": row.state}, {"state": "undoing"}
        subject = str(import_id)
        await audit_log.note(tx, "import.undo", subject, row.name, before=before, after=after)


async def claim(tx: Tx, owner: str) -> int | None:
    """Make an import `owner`'s that is to be taken back; its id."""
    mine = {"owner": owner, "now": clock.now()}
    id = await tx.value(_CANDIDATE, mine)
    return None if id is None else await tx.value(_TAKE, {**mine, "id": id})


async def run(system: AppContext, import_id: int, owner: str) -> None:
    """Take back what is left, or until it is another worker's; nothing where nothing is to be."""
    mine = {"owner": owner, "now": clock.now(), "id": import_id}
    async with system.database.write() as tx:
        if await tx.value(_TAKE, mine) is None:
            return
    try:
        while await step(system, import_id, owner):
            pass
    except Lost:
        return


async def step(system: AppContext, import_id: int, owner: str) -> bool:
    """Take back the last batch; False when there is none. Raises Lost."""
    mine = import_batches.c.import_id == import_id
    newest = select(import_batches).where(mine).order_by(import_batches.c.number.desc()).limit(1)
    ours = {"id": import_id, "owner": owner}
    async with system.database.write() as tx:
        row = await tx.first(newest)
        if row is None:
            await tx.run(_FINISH, {**ours, "at": clock.now()})
            return False
        undone, kept = await _take_back(tx, row)
        if await tx.value(_COUNT, {**ours, "undone": undone, "kept": kept}) is None:
            raise Lost
        await tx.run(delete(import_batches).where(mine, import_batches.c.number == row.number))
    return True


_Differences = list[Difference]


async def _take_back(tx: Tx, batch: Any) -> tuple[int, int]:
    """How many users are as before, and how many somebody changed since."""
    differences = msgspec.json.decode(batch.changes, type=_Differences)
    userids = sorted(one.userid for one in differences)
    known = select(users_table.c.id, users_table.c.userid, users_table.c.attributes).where(
        users_table.c.userid.in_(userids)
    )
    # Locked in one order, the one `user_changes.apply` takes.
    rows = await tx.rows(known.order_by(users_table.c.userid).with_for_update())
    states = {row.userid: State(row.id, False, _text(row.attributes), {}, {}) for row in rows}
    await fill(tx, {state.id: state for state in states.values()})
    undone = 0
    for one in differences:
        state = states.get(one.userid)
        # Deleted since, and perhaps made anew: then it is another user.
        if state is not None and state.id == one.id and _restore(state, one):
            undone += 1
    await write(tx, states, by=f"undo of import {batch.import_id}")
    return undone, len(differences) - undone


def _text(attributes: object) -> str:
    return attributes if isinstance(attributes, str) else to_json(attributes)


def _restore(state: State, difference: Difference) -> bool:
    """Whether all of the user's difference is taken back."""
    whole = True
    for kind, bind_id, before, after in difference.slots:
        slot = (kind, bind_id)
        if state.before.get(slot, NOTHING) == frozenset(after):
            state.now[slot] = frozenset(before)
        else:
            whole = False
    whole = _restore_attributes(state, difference) and whole
    state.new = difference.made and whole and _is_empty(state)
    return whole and (state.new or not difference.made)


def _restore_attributes(state: State, difference: Difference) -> bool:
    held: dict[str, Any] = msgspec.json.decode(state.attributes)
    whole = True
    for name, before, after in difference.attributes:
        if held.get(name) != after:
            whole = False
        elif before is None:
            held.pop(name, None)
        else:
            held[name] = before
        state.described = True
    state.attributes = to_json(held)
    return whole


def _is_empty(state: State) -> bool:
    """Whether nothing of the user would be left: `write` removes one that is new and not kept."""
    left = {**state.before, **state.now}
    return msgspec.json.decode(state.attributes) == {} and not any(left.values())


async def forget(system: AppContext) -> None:
    """Remove the records of imports that are too old to be taken back."""
    old = select(imports.c.id).where(imports.c.finished_at < clock.now() - KEPT_FOR)
    old = old.where(imports.c.state.in_(("done", "failed")))
    async with system.database.write() as tx:
        await tx.run(delete(import_batches).where(import_batches.c.import_id.in_(old)))
