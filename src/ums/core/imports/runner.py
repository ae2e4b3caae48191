"""Imports: a spreadsheet of users, applied in batches that a crash neither loses nor doubles.

States: draft -> waiting -> running -> done | failed -> undoing -> undone. Where an import is
running, `owner` is the worker that does it; each batch, its place in the file, its counts and what
it changed are one transaction, which begins by making sure that the import is still this worker's
(reliability.md F13). Drafts: `core.imports.drafts`; taking back: `core.imports.undo`.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.imports import undo
from ums.core.imports.columns import Choice, check_columns, look
from ums.core.imports.rejects import rejected_workbook
from ums.core.imports.row_mapping import Table, read
from ums.core.imports.undo import Lost
from ums.core.imports.uploads import discard, keep, leave_only
from ums.core.spreadsheets import reader as sheet_reader
from ums.core.spreadsheets.protocol import Batch, End, Head, Line
from ums.core.spreadsheets.reader import Reader
from ums.core.tables import imports
from ums.core.users.bulk_upsert import Difference, apply
from ums.core.users.entry_parser import Entry, Rights
from ums.core.users.fields import ALL
from ums.db import Statement, Tx, rows_json, to_json
from ums.errors import Invalid, NotFound, UmsError, dump

__all__ = ["Import", "claim", "open_import", "rejected_workbook", "run", "show", "step", "sweep"]
UNFINISHED = ("draft", "list", "waiting", "running")

_ALIVE = "EXISTS (SELECT 1 FROM workers w WHERE w.owner = imports.owner AND w.lease_until > $now)"
_FREE = f"(state = 'waiting' OR (state = 'running' AND (owner = :owner OR NOT {_ALIVE})))"
_OURS = "id = :id AND owner = :owner AND state = 'running'"

_OPEN = Statement("""
    INSERT INTO imports (file, name, digest, bind_id, state, detail, cursor, size, added, changed,
        unchanged, rejected, created_at, mapping, sheet, header, header_row)
    VALUES (:file, :name, :digest, :bind_id, 'waiting', '', 0, :size, 0, 0, 0, 0, :at, :mapping,
        :sheet, :header, :header_row) RETURNING id
""")
_CANDIDATES = Statement(
    f"SELECT id, file FROM imports WHERE {_FREE} ORDER BY id LIMIT 20 $skip_locked"
)
_TAKE = Statement(
    "UPDATE imports SET state = 'running', owner = :owner,"
    " started_at = coalesce(started_at, CAST(:now AS bigint))"
    f" WHERE id = :id AND {_FREE} RETURNING id"
)
_RELEASE = Statement(f"UPDATE imports SET state = 'waiting', owner = NULL WHERE {_OURS}")
_ADVANCE = Statement(
    "UPDATE imports SET cursor = :cursor + :read, size = :size"
    f" WHERE {_OURS} AND cursor = :cursor RETURNING id"
)
_COUNT = Statement(
    "UPDATE imports SET added = added + :added, changed = changed + :changed,"
    " unchanged = unchanged + :unchanged, rejected = rejected + :rejected WHERE id = :id"
)
_CHANGED = Statement(
    "INSERT INTO import_batches (import_id, number, changes) VALUES (:id, :number, :changes)"
)
_REJECT = Statement("""
    INSERT INTO import_rejects (import_id, "row", cells, reason)
    SELECT CAST(:id AS bigint), r.number, r.cells, r.reason
    FROM $rows(r: number bigint, cells text, reason text)
""")
_FINISH = Statement(
    "UPDATE imports SET state = :state, detail = :detail, finished_at = :at, owner = NULL"
    f" WHERE {_OURS} RETURNING file"
)


class Import(Struct, frozen=True):
    """An import as it stands. Times are milliseconds; counts are rows."""

    id: int
    name: str
    bind_id: str
    state: str  # draft | waiting | running | done | failed | undoing | undone
    detail: str  # why it failed
    cursor: int  # rows done
    size: int  # rows in the sheet; 0 while not known
    added: int  # rows that made a user
    changed: int
    unchanged: int
    rejected: int
    created_at: int
    finished_at: int | None
    started_at: int | None = None
    sheet: str | None = None
    mapping: str | None = None  # JSON: what each column holds; None: as the header says
    header: str | None = None  # JSON: the headings
    header_row: int | None = None
    undone: int = 0  # users whose change was taken back
    kept: int = 0  # users whose change was not: somebody changed them since


SELECT = select(*[imports.c[field] for field in Import.__struct_fields__])


async def open_import(
    system: AppContext, path: Path, *, bind_id: str = ALL, name: str, choice: Choice | None = None
) -> Import:
    """Keep a copy of the file at `path` to be imported; the engine, or `run`, does the rest.

    `bind_id` is where values go whose row names none: `all`, a ChannelKey or a sender code. The
    same file read in the same way, when its import has not finished, is that import. Raises
    Invalid when the file, its columns or the bind id cannot be used (ums-spec 4; threats 14
    and 31).
    """
    await check_bind_id(system, bind_id)
    copy, digest = await keep(system.settings, path)
    known: Import | None = None
    try:
        await sheet_reader.check(copy, system.settings)
        found = await look(system, copy, choice or Choice())
        check_columns(found.columns)
        read_as = found.values()
        async with system.database.write() as tx:
            known = await _unfinished(tx, digest, bind_id, read_as)
            if known is None:
                shown = "".join(char if char.isprintable() else " " for char in name)[:200]
                new = {"file": str(copy), "name": shown, "digest": digest, "bind_id": bind_id}
                number = await tx.value(_OPEN, {**new, **read_as, "at": clock.now()})
                await _note_start(tx, number, {"name": shown, "bind_id": bind_id})
                return await _found(tx, number)
            await _note_start(tx, known.id, None)
            return known
    finally:
        if known is not None or not await is_kept(system, copy):
            await discard(copy)


async def _note_start(tx: Tx, id: int, new: dict[str, object] | None) -> None:
    """`new` says of what the import is; None for one that goes on."""
    before: dict[str, object] = {} if new is None else {"state": None}
    after = {} if new is None else {"state": "waiting", **new}
    await audit_log.note(tx, "import.start", str(id), before=before, after=after)


async def check_bind_id(system: AppContext, bind_id: str) -> None:
    snapshot = await system.directory.now()
    if not (bind_id == ALL or bind_id in snapshot.channels or bind_id in snapshot.sender_codes):
        raise Invalid("bad_bind_id", kind="import", bind_id=bind_id[:64])


async def show(tx: Tx, import_id: int) -> Import | None:
    """The import `import_id`."""
    row = await tx.first(SELECT.where(imports.c.id == import_id))
    return None if row is None else Import(*row)


async def claim(tx: Tx, owner: str) -> int | None:
    """Make an import `owner`'s that is waiting or whose worker is dead; its id.

    Also one that is already `owner`'s: do not call it while running one. On several machines
    only the one that was given the file has it, so the others leave the import alone.
    """
    mine = {"owner": owner, "now": clock.now()}
    for row in await tx.rows(_CANDIDATES, mine):
        if await asyncio.to_thread(Path(row.file).exists):
            return await tx.value(_TAKE, {**mine, "id": row.id})
    return await undo.claim(tx, owner)


async def run(system: AppContext, import_id: int, owner: str) -> None:
    """Do the import to its end, or until it is another worker's; or take it back.

    What is wrong with the file is stored as the import's `detail`, not raised. When this task is
    cancelled or the database goes away, the import waits to be claimed again.
    """
    row = await _take(system, import_id, owner)
    if row is None:
        await undo.run(system, import_id, owner)
        return
    try:
        await _read_all(system, row, owner)
    except Lost:
        return
    except BaseException:
        with suppress(UmsError):
            await asyncio.shield(_release(system, import_id, owner))
        raise


async def sweep(system: AppContext) -> int:
    """Remove copies that no unfinished import wants: what a crash left behind. How many."""
    async with system.database.read() as tx:
        unfinished = imports.c.state.in_(UNFINISHED)
        wanted = {row[0] for row in await tx.rows(select(imports.c.file).where(unfinished))}
    return await leave_only(system.settings, wanted)


async def step(system: AppContext, import_id: int, owner: str) -> bool:
    """Do the next batch alone; False when there is nothing more to do.

    Each call starts a reader of its own: `run` is for doing all of it.
    """
    row = await _take(system, import_id, owner)
    if row is None:
        return False
    try:
        async with _reading(system, row) as reader:
            work = await _Work.begin(system, row, owner, reader)
            return await work.step()
    except Lost:
        return False
    except Invalid as error:
        await _finish(system, row, owner, error)
        return False


async def _read_all(system: AppContext, row: Any, owner: str) -> None:
    try:
        async with _reading(system, row) as reader:
            work = await _Work.begin(system, row, owner, reader)
            while await work.step():
                pass
    except Invalid as error:
        await _finish(system, row, owner, error)


def _reading(system: AppContext, row: Any) -> AbstractAsyncContextManager[Reader]:
    names: list[str] | None = None if row.mapping is None else msgspec.json.decode(row.mapping)
    return sheet_reader.reading(
        Path(row.file), system.settings, row.cursor, names, row.sheet, row.header_row
    )


class _Work:
    """An import while its reader runs."""

    def __init__(self, system: AppContext, row: Any, owner: str, reader: Reader) -> None:
        self._system, self._row, self._owner, self._reader = system, row, owner, reader
        self._cursor: int = row.cursor
        self._size = 0
        self._table: Table

    @classmethod
    async def begin(cls, system: AppContext, row: Any, owner: str, reader: Reader) -> "_Work":
        work = cls(system, row, owner, reader)
        head = await reader.next()
        if not isinstance(head, Head):
            raise sheet_reader.lost()
        rights = Rights(await system.directory.now())
        work._size = head.size
        work._table = Table(head.columns, row.bind_id, rights, head.header)
        work._table.check()
        return work

    async def step(self) -> bool:
        item = await self._reader.next()
        if isinstance(item, Batch):
            await self._batch(item.lines)
            return True
        if self._cursor != self._size or not isinstance(item, End):
            raise sheet_reader.lost()
        await _finish(self._system, self._row, self._owner, None)
        return False

    async def _batch(self, lines: list[Line]) -> None:
        entries = await self._entries(lines)
        place = {"cursor": self._cursor, "read": len(lines), "size": self._size}
        async with self._system.database.write() as tx:
            ours = {"id": self._row.id, "owner": self._owner}
            if await tx.value(_ADVANCE, {**ours, **place}) is None:
                raise Lost
            await self._apply(tx, lines, entries)
        self._cursor += len(lines)

    async def _entries(self, lines: list[Line]) -> list[Entry | UmsError]:
        entries: list[Entry | UmsError] = []
        for start in range(0, len(lines), 100):
            entries += [read(self._table, line) for line in lines[start : start + 100]]
            await asyncio.sleep(0)  # requests are served in between
        return entries

    async def _apply(self, tx: Tx, lines: list[Line], entries: list[Entry | UmsError]) -> None:
        good = [entry for entry in entries if isinstance(entry, Entry)]
        differences: list[Difference] = []
        applied = iter(await apply(tx, good, differences, by=f"import {self._row.id}"))
        counts = {"added": 0, "changed": 0, "unchanged": 0, "rejected": 0}
        rejects: list[tuple[object, ...]] = []
        for line, entry in zip(lines, entries, strict=True):
            outcome = next(applied) if isinstance(entry, Entry) else entry
            counts["rejected" if isinstance(outcome, UmsError) else outcome] += 1
            if isinstance(outcome, UmsError):
                rejects.append((line.number, self._told(line), _clear(dump(outcome))))
        await tx.run(_COUNT, {"id": self._row.id, **counts})
        if differences:
            changes = to_json(differences)
            place = {"id": self._row.id, "number": self._cursor}
            await tx.run(_CHANGED, {**place, "changes": changes})
        if rejects:
            await tx.run(_REJECT, {"id": self._row.id, "r": rows_json(rejects)})

    def _told(self, line: Line) -> str:
        return to_json(self._table.named(line))


def _clear(text: str) -> str:
    # A cell's own words may stand in a reason; PostgreSQL takes no NUL in text.
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


async def _take(system: AppContext, import_id: int, owner: str) -> Any:
    mine = {"owner": owner, "now": clock.now(), "id": import_id}
    async with system.database.write() as tx:
        row = await tx.first(select(imports).where(imports.c.id == import_id))
        if row is None:
            raise NotFound("import_unknown", id=import_id)
        if await tx.value(_TAKE, mine) is None:
            return None
        # Read again: another worker may have moved the cursor between the two statements.
        return await tx.first(select(imports).where(imports.c.id == import_id))


async def _release(system: AppContext, import_id: int, owner: str) -> None:
    async with system.database.write() as tx:
        await tx.run(_RELEASE, {"id": import_id, "owner": owner})


async def _finish(system: AppContext, row: Any, owner: str, error: Invalid | None) -> None:
    end = {"state": "done", "detail": ""}
    if error is not None:
        end = {"state": "failed", "detail": _clear(dump(error))}
    ours = {"id": row.id, "owner": owner, "at": clock.now()}
    async with system.database.write() as tx:
        file = await tx.value(_FINISH, {**ours, **end})
    if file is not None:
        await discard(Path(file))


async def _unfinished(tx: Tx, digest: str, bind_id: str, read_as: dict[str, Any]) -> Import | None:
    same = (imports.c.digest == digest) & (imports.c.bind_id == bind_id)
    for name in ("mapping", "sheet", "header_row"):
        same &= imports.c[name].is_not_distinct_from(read_as[name])
    open_ = imports.c.state.in_(("waiting", "running"))
    for row in await tx.rows(select(imports).where(same & open_).order_by(imports.c.id)):
        if await asyncio.to_thread(Path(row.file).exists):
            return await _found(tx, row.id)
    return None


async def _found(tx: Tx, import_id: int) -> Import:
    found = await show(tx, import_id)
    if found is None:
        raise NotFound("import_unknown", id=import_id)
    return found


async def is_kept(system: AppContext, copy: Path) -> bool:
    async with system.database.read() as tx:
        return await tx.first(select(imports.c.id).where(imports.c.file == str(copy))) is not None
