"""Imports before they run: the file is here, and somebody says what its columns hold."""

import asyncio
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core import audit, sheet_reader
from ums.core.editing import Expect, anything
from ums.core.import_rows import Table
from ums.core.imports import SELECT, Import, check_bind_id, is_kept
from ums.core.models import imports
from ums.core.paging import MOST, Page, cut
from ums.core.sheets import COLUMNS, Sight, letters
from ums.core.sorting import ByName, Order
from ums.core.system import System
from ums.core.upload import discard, keep_stream
from ums.core.user_entries import Rights
from ums.core.user_kinds import ALL
from ums.db import Tx
from ums.errors import Conflict, Invalid, NotFound

SHOWN = 20  # rows of a preview
_ORDER = Order(imports.c.id, (imports.c.name,))
KEPT_FOR = 7 * clock.DAY  # how long a draft waits to be started
State = Literal["draft", "waiting", "running", "done", "failed", "undoing", "undone"]
_ALSO = {
    "userid": ("user", "user id", "user_id", "id", "用户", "用户id", "用户标识", "账号"),
    "email": ("e-mail", "mail", "邮箱", "邮件", "电子邮箱", "邮箱地址", "email address"),
    "phone": ("mobile", "telephone", "tel", "手机", "手机号", "手机号码", "电话"),
    "tag": ("tags", "标签"),
    "bind_id": ("bind id", "绑定标识"),
}
_GUESSES = {name: column for column, names in _ALSO.items() for name in names}


class ImportInfo(Struct, frozen=True):
    """An import as it is shown. Counts are rows, but for the last two."""

    id: int
    name: str
    bind_id: Annotated[str, Meta(description="Where values go whose row names no bind id.")]
    state: str
    detail: Annotated[str, Meta(description="Why it failed.")]
    columns: Annotated[
        list[str] | None,
        Meta(description='What each column holds, "" nothing; null: as its header says.'),
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
    created_at: str
    started_at: str | None
    finished_at: str | None


class ColumnView(Struct, frozen=True):
    """A column of the file."""

    letter: str
    header: str
    holds: Annotated[str, Meta(description='One of the columns of an import; "" nothing.')]


class Preview(Struct, frozen=True):
    """What is in the file."""

    columns: list[ColumnView]
    rows: list[list[str]]
    size: int
    sheets: Annotated[list[str], Meta(description="Of a workbook, those that are shown.")]


async def upload(system: System, source: IO[bytes], name: str, *, bind_id: str = ALL) -> ImportInfo:
    """Keep the spreadsheet as a draft, with a guess of what its columns hold. Raises Invalid."""
    await check_bind_id(system, bind_id)
    copy, digest = await keep_stream(system.settings, source, name)
    try:
        await sheet_reader.check(copy, system.settings)
        sight = await sheet_reader.look(copy, system.settings, 0)
        header = _header(sight)
        row = {
            "file": str(copy),
            "sheet": sight.sheet,
            "header": header,
            "name": _printable(name),
            "digest": digest,
            "bind_id": bind_id,
            "state": "draft",
            "detail": "",
            "cursor": 0,
            "size": sight.size,
            "added": 0,
            "changed": 0,
            "unchanged": 0,
            "rejected": 0,
            "created_at": clock.now(),
        }
        async with system.database.write() as tx:
            row["mapping"] = await _remembered(tx, header) or _guessed(sight)
            id = await tx.value(insert(imports).returning(imports.c.id), row)
            await audit.note(tx, "import.upload", str(id), _printable(name))
            return info(await _row(tx, id))
    finally:
        if not await is_kept(system, copy):
            await discard(copy)


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)[:200]


def guess(header: list[str]) -> list[str]:
    """What the columns hold, going by their names; "" where they tell nothing, or it again."""
    found: list[str] = []
    for cell in header:
        name = cell.strip().lower()
        column = name if name in COLUMNS else _GUESSES.get(name, "")
        found.append("" if column in found else column)
    return found


async def preview(system: System, import_id: int) -> Preview:
    """The first rows of a draft. Raises NotFound, Conflict."""
    row, file = await file_of(system, import_id)
    sight = await sheet_reader.look(file, system.settings, SHOWN, row.sheet)
    holds = columns_of(row)
    columns = [
        ColumnView(letters(place), header, holds[place] if place < len(holds) else "")
        for place, header in enumerate(sight.header)
    ]
    return Preview(columns, sight.rows, sight.size, sight.sheets)


async def file_of(system: System, import_id: int) -> tuple[Import, Path]:
    """A draft and its file. Raises NotFound, Conflict."""
    async with system.database.read() as tx:
        row = await _draft(tx, import_id)
        file = await tx.value(select(imports.c.file).where(imports.c.id == import_id))
    if not await asyncio.to_thread(Path(file).exists):
        raise Conflict("import_elsewhere")
    return row, Path(file)


async def change(
    system: System,
    import_id: int,
    *,
    columns: list[str] | None = None,
    bind_id: str | None = None,
    sheet: str | None = None,
    expect: Expect = anything,
) -> ImportInfo:
    """Say what the columns of a draft hold, where its values go, or which sheet is meant, whose
    columns are then guessed unless they are given. Raises NotFound, Conflict, Invalid, and what
    `expect` raises."""
    if bind_id is not None:
        await check_bind_id(system, bind_id)
    values: dict[str, Any] = {} if bind_id is None else {"bind_id": bind_id}
    if sheet is not None:
        values |= await _of_sheet(system, import_id, sheet)
    if columns is not None:
        check_columns(columns)
        values["mapping"] = msgspec.json.encode(columns).decode()
    async with system.database.write() as tx:
        expect(info(await _draft(tx, import_id, lock=True)))
        if values:
            await tx.run(update(imports).where(imports.c.id == import_id).values(values))
            await audit.note(tx, "import.change", str(import_id))
        return info(await _row(tx, import_id))


async def _of_sheet(system: System, import_id: int, sheet: str) -> dict[str, Any]:
    _, file = await file_of(system, import_id)
    sight = await sheet_reader.look(file, system.settings, 0, sheet)
    header = _header(sight)
    async with system.database.read() as tx:
        mapping = await _remembered(tx, header) or _guessed(sight)
    return {"sheet": sheet, "size": sight.size, "header": header, "mapping": mapping}


def _header(sight: Sight) -> str:
    return msgspec.json.encode([cell.strip().lower() for cell in sight.header]).decode()


def _guessed(sight: Sight) -> str:
    return msgspec.json.encode(guess(sight.header)).decode()


async def _remembered(tx: Tx, header: str) -> str | None:
    """What the columns of the last file with this header held."""
    started = imports.c.state.notin_(("draft", "failed")) & imports.c.mapping.is_not(None)
    same = select(imports.c.mapping).where((imports.c.header == header) & started)
    return await tx.value(same.order_by(imports.c.id.desc()).limit(1))


def check_columns(columns: list[str]) -> None:
    """Raises Invalid for names that there are not, or twice, or without a userid."""
    named = [name for name in columns if name]
    unknown = [name for name in named if name not in COLUMNS]
    if unknown:
        detail = f"unknown: {unknown[0][:40]}; there are: {', '.join(COLUMNS)}"
        raise Invalid("sheet_columns", field="columns", detail=detail)
    if len(set(named)) < len(named):
        raise Invalid("sheet_columns", field="columns", detail="one is given twice")
    if "userid" not in named:
        raise Invalid("sheet_columns", field="columns", detail="there is no column userid")


async def start(system: System, import_id: int) -> ImportInfo:
    """Let the engine do the draft. Raises NotFound, Conflict, and Invalid where no row could be
    right."""
    snapshot = await system.directory.now()
    async with system.database.write() as tx:
        row = await _draft(tx, import_id, lock=True)
        check_columns(columns_of(row))
        Table(columns_of(row), row.bind_id, Rights(snapshot)).check()
        await tx.run(update(imports).where(imports.c.id == import_id).values(state="waiting"))
        await audit.note(tx, "import.start", str(import_id), row.name)
        return info(await _row(tx, import_id))


async def remove(system: System, import_id: int, expect: Expect = anything) -> None:
    """Throw a draft away, its file too. Raises NotFound, Conflict, and what `expect` raises."""
    async with system.database.write() as tx:
        expect(info(await _draft(tx, import_id, lock=True)))
        file = await tx.value(
            delete(imports).where(imports.c.id == import_id).returning(imports.c.file)
        )
        await audit.note(tx, "import.remove", str(import_id))
    await discard(Path(file))


async def forget(system: System) -> None:
    """Remove drafts that nobody started; `imports.sweep` removes their files."""
    old = (imports.c.state == "draft") & (imports.c.created_at < clock.now() - KEPT_FOR)
    async with system.database.write() as tx:
        await tx.run(delete(imports).where(old))


async def list_imports(
    tx: Tx,
    *,
    state: State | None = None,
    sort: ByName = "-created_at",
    after: str | None = None,
    limit: int = MOST,
) -> Page[ImportInfo]:
    """Imports, the newest first unless `sort` says another."""
    query = SELECT
    if state is not None:
        query = query.where(imports.c.state == state)
    rows = await tx.rows(_ORDER.sort(query, sort, after).limit(limit + 1))
    return cut(rows, limit, lambda row: info(Import(*row)), _ORDER.place(sort))


async def show(tx: Tx, import_id: int) -> ImportInfo:
    """Raises NotFound."""
    return info(await _row(tx, import_id))


async def _row(tx: Tx, import_id: int, *, lock: bool = False) -> Import:
    query = SELECT.where(imports.c.id == import_id)
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


def info(row: Import) -> ImportInfo:
    return ImportInfo(
        id=row.id,
        name=row.name,
        bind_id=row.bind_id,
        state=row.state,
        detail=row.detail,
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
        started_at=clock.iso_or_none(row.started_at),
        created_at=clock.iso(row.created_at),
        finished_at=clock.iso_or_none(row.finished_at),
    )
