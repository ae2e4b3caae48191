"""Imports before they run: the file is here, and somebody says what its columns hold."""

import asyncio
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.pagination import MOST, Page, cut
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, Order
from ums.core.context.app_context import AppContext
from ums.core.imports.columns import Choice, check_columns, look
from ums.core.imports.row_mapping import Table
from ums.core.imports.runner import SELECT, Import, check_bind_id, is_kept
from ums.core.imports.uploads import discard, keep_stream
from ums.core.spreadsheets import reader
from ums.core.spreadsheets.headings import letters
from ums.core.tables import imports
from ums.core.users.entry_parser import Rights
from ums.core.users.fields import ALL
from ums.db import Tx, to_json
from ums.errors import Conflict, NotFound, recall

SHOWN = 20  # rows of a preview
_ORDER = Order(imports.c.id, (imports.c.name,))
KEPT_FOR = 7 * clock.DAY  # how long a draft waits to be started
State = Literal["draft", "waiting", "running", "done", "failed", "undoing", "undone"]


class ImportInfo(Struct, frozen=True):
    """An import as it is shown. Counts are rows, but for the last two."""

    id: int
    name: str
    bind_id: Annotated[str, Meta(description="Where values go whose row names no bind id.")]
    state: str
    detail: Annotated[str, Meta(description="Why it failed.")]
    columns: Annotated[
        list[str] | None,
        Meta(
            description="What each column holds: a field, `user.` and the name of an attribute, "
            '`email+userid` for an address that is the userid too, or "" for nothing; null: as its '
            "header says."
        ),
    ]
    read: Annotated[int, Meta(description="Rows done.")]
    size: Annotated[int, Meta(description="Rows in the sheet; 0 while not known.")]
    added: int
    changed: int
    unchanged: int
    rejected: int
    undone: Annotated[int, Meta(description="Users whose change was taken back.")]
    kept: Annotated[int, Meta(description="Users not taken back: somebody changed them since.")]
    sheet: Annotated[str | None, Meta(description="Of a workbook; null: its first.")]
    header_row: Annotated[
        int | None, Meta(description="The number of the row with the headings; null: the first.")
    ]
    created_at: str
    started_at: str | None
    finished_at: str | None


class ColumnView(Struct, frozen=True):
    """A column of the file."""

    letter: str
    header: str
    holds: Annotated[
        str, Meta(description='A field of the user, or `user.` and an attribute; "" nothing.')
    ]


class TopRow(Struct, frozen=True):
    """A row at the top of a sheet."""

    row: int
    cells: list[str]


class Preview(Struct, frozen=True):
    """What is in the file."""

    columns: list[ColumnView]
    rows: list[list[str]]
    size: int
    sheets: Annotated[list[str], Meta(description="Of a workbook, those that are shown.")]
    sheet: Annotated[str | None, Meta(description="Of a workbook, the one that is read.")] = None
    header_row: Annotated[int, Meta(description="The row with the headings; 0: there is none.")] = 1
    top: Annotated[
        list[TopRow], Meta(description="The first rows of the sheet: one of them is the header.")
    ] = []


async def upload(
    system: AppContext,
    source: IO[bytes],
    name: str,
    *,
    bind_id: str = ALL,
    choice: Choice | None = None,
    remembered: bool = False,
) -> ImportInfo:
    """Keep the spreadsheet as a draft, with a guess of what its columns hold, where `choice` does
    not say it; `remembered`: as in the last file with this header. Raises Invalid."""
    await check_bind_id(system, bind_id)
    copy, digest = await keep_stream(system.settings, source, name)
    try:
        await reader.check(copy, system.settings)
        found = await look(system, copy, choice or Choice(), remembered=remembered)
        row = {
            **found.values(),
            "file": str(copy),
            "name": _printable(name),
            "digest": digest,
            "bind_id": bind_id,
            "state": "draft",
            "detail": "",
            "cursor": 0,
            "added": 0,
            "changed": 0,
            "unchanged": 0,
            "rejected": 0,
            "created_at": clock.now(),
        }
        async with system.database.write() as tx:
            id = await tx.value(insert(imports).returning(imports.c.id), row)
            made = info(await _row(tx, id))
            after = {"name": _printable(name), **_noted(made)}
            await audit_log.note(tx, "import.upload", str(id), _printable(name), after=after)
            return made
    finally:
        if not await is_kept(system, copy):
            await discard(copy)


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)[:200]


async def preview(system: AppContext, import_id: int) -> Preview:
    """The first rows of a draft. Raises NotFound, Conflict."""
    row, file = await file_of(system, import_id)
    sight = await reader.look(file, system.settings, SHOWN, row.sheet, row.header_row)
    holds = columns_of(row)
    columns = [
        ColumnView(letters(place), header, holds[place] if place < len(holds) else "")
        for place, header in enumerate(sight.header)
    ]
    top = [TopRow(number, cells) for number, cells in sight.above]
    return Preview(
        columns, sight.rows, sight.size, sight.sheets, sight.sheet, sight.header_row, top
    )


async def file_of(system: AppContext, import_id: int) -> tuple[Import, Path]:
    """A draft and its file. Raises NotFound, Conflict."""
    async with system.database.read() as tx:
        row = await _draft(tx, import_id)
        file = await tx.value(select(imports.c.file).where(imports.c.id == import_id))
    if not await asyncio.to_thread(Path(file).exists):
        raise Conflict("import_elsewhere")
    return row, Path(file)


async def change(
    system: AppContext,
    import_id: int,
    *,
    columns: list[str] | None = None,
    bind_id: str | None = None,
    choice: Choice | None = None,
    remembered: bool = False,
    expect: Expect = anything,
) -> ImportInfo:
    """Say what the columns of a draft hold, where its values go, or with `choice` which sheet and
    header are meant, whose columns are then guessed unless they are given, or are as in the last
    file with this header where they are to be `remembered`. Raises NotFound,
    Conflict, Invalid, and what `expect` raises."""
    if bind_id is not None:
        await check_bind_id(system, bind_id)
    values: dict[str, Any] = {} if bind_id is None else {"bind_id": bind_id}
    if choice is not None and choice != Choice():
        values |= await _as_chosen(system, import_id, choice, remembered=remembered)
    if columns is not None:
        check_columns(columns)
        values["mapping"] = to_json(columns)
    async with system.database.write() as tx:
        before = info(await _draft(tx, import_id, lock=True))
        expect(before)
        if values:
            await tx.run(update(imports).where(imports.c.id == import_id).values(values))
        after = info(await _row(tx, import_id))
        was, now = _noted(before), _noted(after)
        await audit_log.note(tx, "import.change", str(import_id), before=was, after=now)
        return after


def _noted(shown: ImportInfo) -> dict[str, object]:
    """What may be changed of a draft."""
    return {name: getattr(shown, name) for name in ("columns", "bind_id", "sheet", "header_row")}


async def _as_chosen(
    system: AppContext, import_id: int, choice: Choice, *, remembered: bool
) -> dict[str, Any]:
    row, file = await file_of(system, import_id)
    same = choice.sheet is None and choice.header_row is None
    if choice.sheet is None:
        header = row.header_row if same else choice.header_row
        choice = replace(choice, sheet=row.sheet, header_row=header)
    found = await look(system, file, choice, remembered=remembered)
    if same and row.mapping is not None:  # what is not chosen stays
        found = found.over(columns_of(row), choice)
    if choice.fields:
        check_columns(found.columns)
    return found.values()


async def start(system: AppContext, import_id: int) -> ImportInfo:
    """Let the engine do the draft. Raises NotFound, Conflict, and Invalid where no row could be
    right."""
    snapshot = await system.directory.now()
    async with system.database.write() as tx:
        row = await _draft(tx, import_id, lock=True)
        check_columns(columns_of(row))
        Table(columns_of(row), row.bind_id, Rights(snapshot)).check()
        await tx.run(update(imports).where(imports.c.id == import_id).values(state="waiting"))
        before, after = {"state": row.state}, {"state": "waiting"}
        subject = str(import_id)
        await audit_log.note(tx, "import.start", subject, row.name, before=before, after=after)
        return info(await _row(tx, import_id))


async def remove(system: AppContext, import_id: int, expect: Expect = anything) -> None:
    """Throw a draft away, its file too. Raises NotFound, Conflict, and what `expect` raises."""
    async with system.database.write() as tx:
        row = await _draft(tx, import_id, lock=True)
        expect(info(row))
        file = await tx.value(
            delete(imports).where(imports.c.id == import_id).returning(imports.c.file)
        )
        before = {"name": row.name, **_noted(info(row))}
        await audit_log.note(tx, "import.remove", str(import_id), row.name, before=before)
    await discard(Path(file))


async def dismiss(system: AppContext, import_id: int) -> None:
    """Tell of the import's rejected rows, or of its failure, no more. Raises NotFound."""
    async with system.database.write() as tx:
        row = await _row(tx, import_id, lock=True)
        mine = (imports.c.id == import_id) & imports.c.dismissed_at.is_(None)
        done = await tx.run(update(imports).where(mine).values(dismissed_at=clock.now()))
        before, after = {"dismissed": done.count == 0}, {"dismissed": True}
        subject = str(import_id)
        await audit_log.note(tx, "import.dismiss", subject, row.name, before=before, after=after)


async def in_need(tx: Tx, since: int, limit: int, language: str = "en") -> list[ImportInfo]:
    """Imports that failed or rejected rows since then, and that nobody dismissed; newest first."""
    bad = (imports.c.state == "failed") | ((imports.c.state == "done") & (imports.c.rejected > 0))
    open_ = bad & (imports.c.created_at > since) & imports.c.dismissed_at.is_(None)
    rows = await tx.rows(SELECT.where(open_).order_by(imports.c.id.desc()).limit(limit))
    return [info(Import(*row), language) for row in rows]


async def forget(system: AppContext) -> None:
    """Remove drafts that nobody started; `imports.sweep` removes their files."""
    old = imports.c.state.in_(("draft", "list")) & (imports.c.created_at < clock.now() - KEPT_FOR)
    async with system.database.write() as tx:
        await tx.run(delete(imports).where(old))


async def list_imports(
    tx: Tx,
    *,
    state: State | None = None,
    sort: ByName = "-created_at",
    after: str | None = None,
    limit: int = MOST,
    language: str = "en",
) -> Page[ImportInfo]:
    """Imports, the newest first unless `sort` says another."""
    query = SELECT.where(imports.c.state != "list")
    if state is not None:
        query = query.where(imports.c.state == state)
    rows = await tx.rows(_ORDER.sort(query, sort, after).limit(limit + 1))
    return cut(rows, limit, lambda row: info(Import(*row), language), _ORDER.place(sort))


async def show(tx: Tx, import_id: int, language: str = "en") -> ImportInfo:
    """Raises NotFound."""
    return info(await _row(tx, import_id), language)


async def _row(tx: Tx, import_id: int, *, lock: bool = False) -> Import:
    query = SELECT.where((imports.c.id == import_id) & (imports.c.state != "list"))
    row = await tx.first(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("import_unknown", id=import_id)
    return Import(*row)


async def _draft(tx: Tx, import_id: int, *, lock: bool = False) -> Import:
    row = await _row(tx, import_id, lock=lock)
    if row.state != "draft":
        raise Conflict("import_state", state=row.state)
    return row


def columns_of(row: Import) -> list[str]:
    """What the columns of the file hold."""
    return msgspec.json.decode(row.mapping, type=list[str]) if row.mapping else []


def info(row: Import, language: str = "en") -> ImportInfo:
    return ImportInfo(
        id=row.id,
        name=row.name,
        bind_id=row.bind_id,
        state=row.state,
        detail=recall(row.detail, language),
        columns=None if row.mapping is None else columns_of(row),
        read=row.cursor,
        size=row.size,
        added=row.added,
        changed=row.changed,
        unchanged=row.unchanged,
        rejected=row.rejected,
        undone=row.undone,
        kept=row.kept,
        sheet=row.sheet,
        header_row=row.header_row,
        started_at=clock.iso_or_none(row.started_at),
        created_at=clock.iso(row.created_at),
        finished_at=clock.iso_or_none(row.finished_at),
    )
