"""Blocklists and allowlists: who must not, or who alone may, get a message (ums-spec 2.4, 3.5).

A list is a channel's own and holds userids and addresses. A message names one by its id; its
entries count as they stand when the message is expanded.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, func, insert, select, tuple_, update

from ums import clock
from ums.bounds import EMAIL, said
from ums.core.audit import audit_log
from ums.core.audit.long_lists import note_lines
from ums.core.common.identifiers import USERID, is_userid
from ums.core.common.names import check_name
from ums.core.common.pagination import Page, after_id, page, page_size
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import list_entries, lists
from ums.db import Statement, Tx, rows_json
from ums.errors import Conflict, Detail, Invalid, NotFound, Refused
from ums.mail.addresses import BadAddress, clean

ListKind = Literal["block", "allow"]
EntryKind = Literal["userid", "address"]
EntryOrder = Literal["value", "-value"]
MAX_ENTRIES = 10_000  # in one call
KEPT = clock.DAY  # a message may have been accepted with it just before it was deleted

_ADD = Statement(
    "INSERT INTO list_entries (list_id, kind, value)"
    " SELECT CAST(:list AS bigint), r.kind, r.value FROM $rows(r: kind text, value text)"
    " WHERE true ON CONFLICT DO NOTHING RETURNING kind, value"
)
_REMOVE = Statement(
    "DELETE FROM list_entries WHERE list_id = :list AND (kind, value) IN"
    " (SELECT r.kind, r.value FROM $rows(r: kind text, value text)) RETURNING kind, value"
)
_FORGET = Statement(
    "DELETE FROM lists WHERE deleted_at < :over AND NOT EXISTS (SELECT 1 FROM messages m"
    " WHERE m.state <> 'expanded' AND (m.black_id = lists.id OR m.white_id = lists.id))"
)
_COUNT = (select(func.count()).where(list_entries.c.list_id == lists.c.id).scalar_subquery()).label(
    "entries"
)


class Entry(Struct, frozen=True):
    """A userid, or an address, which counts in its normal form."""

    kind: EntryKind
    value: str


Given = Annotated[
    Entry,
    said(
        anyOf=[
            {"properties": {"kind": {"const": "userid"}, "value": {"pattern": USERID}}},
            {"properties": {"kind": {"const": "address"}, "value": EMAIL}},
        ]
    ),
]
"""An entry as callers give it."""


class ListInfo(Struct, frozen=True):
    """A list; its `id` is what `option.black_id` or `option.white_id` takes."""

    id: int
    kind: ListKind
    name: str
    entries: int
    created_at: str


class Change(Struct, frozen=True):
    """What a change did: so many entries were added or removed; the others were as wanted."""

    changed: int
    unchanged: int


async def create(
    system: AppContext, channel: Channel, kind: ListKind, name: str, *, actor: str | None = None
) -> ListInfo:
    """Make an empty list. Raises Invalid for a bad name or one that is taken."""
    check_title(name)
    now = clock.now()
    row = {"channel_id": channel.id, "kind": kind, "name": name, "created_at": now}
    async with system.database.write() as tx:
        same = (lists.c.name == name) & _of(channel, kind)
        if await tx.first(select(lists.c.id).where(same)):
            raise Conflict("name_taken", name=name)
        id = int(await tx.value(insert(lists).returning(lists.c.id), row))
        subject, after = f"{channel.key} {id}", {"name": name}
        await audit_log.note(tx, f"{kind}list.create", subject, name, after=after, actor=actor)
    return ListInfo(id, kind, name, 0, clock.iso(now))


async def list_lists(
    system: AppContext,
    channel: Channel,
    kind: ListKind,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """The channel's lists of one kind, the oldest first."""
    query = select(lists, _COUNT).where(_of(channel, kind), lists.c.id > after_id(after))
    async with system.database.read() as tx:
        rows = await tx.rows(query.order_by(lists.c.id).limit(page_size(limit) + 1))
    return page([_shown(row) for row in rows], limit, lambda shown: str(shown.id))


async def show(system: AppContext, channel: Channel, kind: ListKind, id: int) -> ListInfo:
    """Raises NotFound for a list that is not the channel's."""
    async with system.database.read() as tx:
        return _shown(await _found(tx, channel, kind, id))


async def find(system: AppContext, channel: Channel, id: int) -> ListInfo:
    """The same whatever its kind."""
    async with system.database.read() as tx:
        kind: ListKind = "block" if await _exists(tx, channel, "block", id) else "allow"
        return _shown(await _found(tx, channel, kind, id))


async def entries(
    system: AppContext,
    channel: Channel,
    kind: ListKind,
    id: int,
    *,
    sort: EntryOrder = "value",
    after: str | None = None,
    limit: int = 50,
) -> Page[Entry]:
    """The list's entries: addresses first, each kind in order of its values, or all of that the
    other way round."""
    columns, down = (list_entries.c.kind, list_entries.c.value), sort == "-value"
    query = select(*columns).where(list_entries.c.list_id == id)
    if after is not None:
        query = query.where(_beyond(after, down=down))
    order = [column.desc() if down else column for column in columns]
    async with system.database.read() as tx:
        await _found(tx, channel, kind, id)
        rows = await tx.rows(query.order_by(*order).limit(page_size(limit) + 1))
    found = [Entry(row.kind, row.value) for row in rows]
    return page(found, limit, lambda entry: f"{entry.kind}:{entry.value}")


async def add(
    system: AppContext,
    channel: Channel,
    kind: ListKind,
    id: int,
    given: Sequence[Entry],
    *,
    actor: str | None = None,
) -> Change:
    """Put entries on the list, all or none. Raises Invalid naming the first that is none."""
    return await _change(system, channel, kind, id, given, _ADD, "add", actor)


async def remove(
    system: AppContext,
    channel: Channel,
    kind: ListKind,
    id: int,
    given: Sequence[Entry],
    *,
    actor: str | None = None,
) -> Change:
    """Take entries off the list, all or none. Raises Invalid naming the first that is none."""
    return await _change(system, channel, kind, id, given, _REMOVE, "remove", actor)


async def remove_list(
    system: AppContext, channel: Channel, kind: ListKind, id: int, *, actor: str | None = None
) -> None:
    """Delete the list. Messages that were accepted with it are still held to it."""
    async with system.database.write() as tx:
        row = await _found(tx, channel, kind, id)
        await tx.run(update(lists).where(lists.c.id == id).values(deleted_at=clock.now()))
        subject, before = f"{channel.key} {id}", {"name": row.name, "entries": row.entries}
        action = f"{kind}list.delete"
        await audit_log.note(tx, action, subject, row.name, before=before, actor=actor)


async def admit(tx: Tx, channel: Channel, black_id: int | None, white_id: int | None) -> None:
    """Raises Refused (1015046) or Invalid for an id that is no list of the channel's."""
    if black_id and not await _exists(tx, channel, "block", black_id):
        raise Refused("blocklist_unknown", id=black_id)
    if white_id and not await _exists(tx, channel, "allow", white_id):
        raise Invalid("allowlist_unknown", id=white_id)


async def forget(tx: Tx) -> None:
    """Drop what is left of deleted lists that no waiting message names."""
    await tx.run(_FORGET, {"over": clock.now() - KEPT})


def check_title(name: str) -> None:
    """The name of a list, segment or strategy. Raises Invalid."""
    check_name(name, 60)


async def _change(
    system: AppContext,
    channel: Channel,
    kind: ListKind,
    id: int,
    given: Sequence[Entry],
    statement: Statement,
    action: str,
    actor: str | None,
) -> Change:
    if not 1 <= len(given) <= MAX_ENTRIES:
        raise Invalid("batch_size", limit=MAX_ENTRIES)
    rows = sorted({_cleaned(entry, number) for number, entry in enumerate(given)})
    async with system.database.write() as tx:
        if not await _exists(tx, channel, kind, id):
            raise NotFound("list_unknown", id=id)
        found = await tx.rows(statement, {"list": id, "r": rows_json(rows)})
        lines = sorted(f"{one} {value}" for one, value in found)
        subject, action = f"{channel.key} {id}", f"{kind}list.{action}"
        await note_lines(
            tx, action, subject, lines, "entries", gone=statement is _REMOVE, actor=actor
        )
    return Change(len(lines), len(rows) - len(lines))


def _cleaned(entry: Entry, number: int) -> tuple[str, str]:
    if entry.kind == "userid":
        if not is_userid(entry.value):
            raise Invalid("bad_userid", field=f"entries[{number}]")
        return entry.kind, entry.value
    try:
        return entry.kind, clean(entry.value)
    except BadAddress as error:
        raise Invalid("bad_address", field=f"entries[{number}]", detail=error.detail) from None


def _of(channel: Channel, kind: ListKind) -> ColumnElement[bool]:
    mine = (lists.c.channel_id == channel.id) & (lists.c.kind == kind)
    return mine & lists.c.deleted_at.is_(None)


async def _exists(tx: Tx, channel: Channel, kind: ListKind, id: int) -> bool:
    if not 0 < id < 2**63:
        return False
    found = await tx.first(select(lists.c.id).where(lists.c.id == id, _of(channel, kind)))
    return found is not None


async def _found(tx: Tx, channel: Channel, kind: ListKind, id: int) -> Any:
    row = None
    if 0 < id < 2**63:
        row = await tx.first(select(lists, _COUNT).where(lists.c.id == id, _of(channel, kind)))
    if row is None:
        raise NotFound("list_unknown", id=id)
    return row


def _shown(row: Any) -> ListInfo:
    return ListInfo(row.id, row.kind, row.name, row.entries, clock.iso(row.created_at))


def _beyond(after: str, *, down: bool) -> ColumnElement[bool]:
    kind, colon, value = after.partition(":")
    if not colon or "\x00" in after:
        raise Invalid("bad_filter", field="after", detail=Detail("next_of_page"))
    keys, place = tuple_(list_entries.c.kind, list_entries.c.value), (kind, value)
    return keys < place if down else keys > place
