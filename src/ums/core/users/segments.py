"""Segments: saved selections of users by conditions (`segment_conditions`), of all channels."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels.access_lists import check_title
from ums.core.common.field_errors import all_awaited, all_of
from ums.core.common.pagination import Page, after_id, cut, page_size
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, Order
from ums.core.context.app_context import AppContext
from ums.core.tables import segments
from ums.core.users.audience import read_audience
from ums.core.users.segment_conditions import Node, check_names, read
from ums.core.users.segment_sql import compile_conditions
from ums.db import Statement, Tx, to_json
from ums.errors import Conflict, Invalid, NotFound, UmsError

Conditions = dict[str, Any]

_ORDER = Order(segments.c.id, (segments.c.name,))
_WAITING = Statement(
    "SELECT msgid, audience FROM messages WHERE state <> 'expanded' AND plan IS NULL"
    " AND audience LIKE '%segment%'"
)


class Segment(Struct, frozen=True):
    """A segment; its `id` is what `aud_segment` takes. No conditions: everyone."""

    id: int
    name: str
    conditions: Conditions
    created_at: str


class SegmentUser(Struct, frozen=True):
    """A user whom conditions select."""

    userid: str
    attributes: dict[str, Any]


async def create(
    system: AppContext,
    name: str,
    conditions: object = None,
    *,
    actor: str | None = None,
) -> Segment:
    """Make a segment; without conditions it is everyone. Raises Invalid."""
    check_title(name)
    text = await _checked(system, {} if conditions is None else conditions)
    row = {"name": name, "conditions": text, "created_at": clock.now()}
    async with system.database.write() as tx:
        await _check_free(tx, name)
        id = int(await tx.value(insert(segments).returning(segments.c.id), row))
        after = {"name": name, "conditions": text}
        await audit_log.note(tx, "segment.create", str(id), name, after=after, actor=actor)
        return _shown(await _found(tx, id))


async def change(
    system: AppContext,
    id: int,
    *,
    name: str | None = None,
    conditions: object = None,
    expect: Expect = anything,
    actor: str | None = None,
) -> Segment:
    """Give the segment another name or other conditions; what is None stays. Messages whose
    expansion has begun go by the conditions they found. Raises NotFound, Invalid and what
    `expect` raises."""
    values: dict[str, str] = {}
    if name is not None:
        check_title(name)
        values["name"] = name
    if conditions is not None:
        values["conditions"] = await _checked(system, conditions)
    async with system.database.write() as tx:
        await tx.run(select(segments.c.id).where(segments.c.id == id).with_for_update())
        row = await _found(tx, id)
        expect(_shown(row))
        if name is not None and name != row.name:
            await _check_free(tx, name, id)
        if values:
            await tx.run(update(segments).where(segments.c.id == id).values(**values))
        before = {field: getattr(row, field) for field in values}
        await audit_log.note(
            tx, "segment.change", str(id), before=before, after=values, actor=actor
        )
        return _shown(await _found(tx, id))


async def errors_of_name(system: AppContext, name: str, id: int = 0) -> list[UmsError]:
    """All that is wrong with the name of a segment that is to be made, or of `id`."""
    async with system.database.read() as tx:
        taken = await all_awaited([_check_free(tx, name, id)])
    return [*all_of([lambda: check_title(name)]), *taken]


async def remove(system: AppContext, id: int, *, actor: str | None = None) -> None:
    """Delete the segment. Raises Invalid while a message that waits is for it."""
    async with system.database.write() as tx:
        row = await _found(tx, id)
        for message in await tx.rows(_WAITING):
            if read_audience(message.audience).segment == id:
                raise Invalid("segment_used", id=id, msgid=message.msgid)
        await tx.run(delete(segments).where(segments.c.id == id))
        before = {"name": row.name, "conditions": row.conditions}
        await audit_log.note(tx, "segment.delete", str(id), row.name, before=before, actor=actor)


async def list_segments(system: AppContext) -> list[Segment]:
    async with system.database.read() as tx:
        return [_shown(row) for row in await tx.rows(select(segments).order_by(segments.c.id))]


async def page_segments(
    system: AppContext,
    *,
    sort: ByName = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """Segments, the oldest first unless `sort` says another."""
    query = _ORDER.sort(select(segments), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, _shown, _ORDER.place(sort))


async def show(system: AppContext, id: int) -> Segment:
    """Raises NotFound."""
    async with system.database.read() as tx:
        return _shown(await _found(tx, id))


async def count(system: AppContext, conditions: object) -> int:
    """How many users conditions select now; they need not be saved. Raises Invalid."""
    node = await _read(system, conditions)
    dialect = system.database.dialect
    compiled = compile_conditions(node, dialect, clock.now())
    async with system.database.read() as tx:
        query = Statement(f"SELECT count(*) FROM users u WHERE {compiled.sql}")
        return int(await tx.value(query, compiled.params))


async def sample(
    system: AppContext, conditions: object, *, after: str | None = None, limit: int = 50
) -> Page:
    """The users that conditions select, in the order they came in. Raises Invalid."""
    node = await _read(system, conditions)
    compiled = compile_conditions(node, system.database.dialect, clock.now())
    query = Statement(
        "SELECT u.id, u.userid, CAST(u.attributes AS text) AS attributes FROM users u"
        f" WHERE u.id > :after AND {compiled.sql} ORDER BY u.id LIMIT :limit"
    )
    bound = {"after": after_id(after), "limit": page_size(limit) + 1}
    async with system.database.read() as tx:
        rows = await tx.rows(query, {**compiled.params, **bound})
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return Page([_user(row) for row in rows[:limit]], following)


async def admit(tx: Tx, id: int) -> None:
    """Raises Invalid for an id that is no segment."""
    if await tx.first(select(segments.c.id).where(segments.c.id == id)) is None:
        raise Invalid("segment_unknown", id=id)


async def conditions_of(tx: Tx, id: int) -> Conditions | None:
    """The conditions as they are now; None where the segment is gone."""
    text = await tx.value(select(segments.c.conditions).where(segments.c.id == id))
    return None if text is None else msgspec.json.decode(text, type=Conditions)


async def name_of(tx: Tx, id: int | None) -> str:
    """What the segment is called; "" for none, and for one that is gone."""
    if id is None:
        return ""
    return str(await tx.value(select(segments.c.name).where(segments.c.id == id)) or "")


async def _checked(system: AppContext, conditions: object) -> str:
    await _read(system, conditions)
    return to_json(conditions)


async def _read(system: AppContext, conditions: object) -> Node | None:
    node = read(conditions)
    check_names(node, await system.directory.fresh())  # a channel may have been made just now
    return node


async def _check_free(tx: Tx, name: str, id: int = 0) -> None:
    others = (segments.c.name == name) & (segments.c.id != id)
    if await tx.first(select(segments.c.id).where(others)):
        raise Conflict("name_taken", name=name)


async def _found(tx: Tx, id: int) -> Any:
    known = 0 < id < 2**63
    row = await tx.first(select(segments).where(segments.c.id == id)) if known else None
    if row is None:
        raise NotFound("segment_unknown", id=id)
    return row


def _shown(row: Any) -> Segment:
    conditions = msgspec.json.decode(row.conditions, type=Conditions)
    return Segment(row.id, row.name, conditions, clock.iso(row.created_at))


def _user(row: Any) -> SegmentUser:
    return SegmentUser(row.userid, msgspec.json.decode(row.attributes, type=dict[str, Any]))
