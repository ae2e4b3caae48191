"""The rows an import rejected, handed back as a workbook with the reasons."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import xlsxwriter
from sqlalchemy import select

from ums.core.context.app_context import AppContext
from ums.core.tables import import_rejects, imports
from ums.errors import NotFound, recall

_PAGE = 2_000
_LONGEST = 32_767  # characters that a cell holds
_ADDED = {"en": ("row", "reason"), "zh": ("行号", "原因")}
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


async def rejected_workbook(
    system: AppContext, import_id: int, target: Path, language: str = "en"
) -> None:
    """Write the rejected rows of an import to an .xlsx file at `target`.

    Its columns: those of the file that was imported under their headings, the row's number in
    it, the reason in `language`. Every cell is text, so that none is a formula (threat 30).
    Raises NotFound.
    """
    names = await _names(system, import_id)
    book = xlsxwriter.Workbook(str(target), {**_OPTIONS, "tmpdir": str(target.parent)})
    try:
        sheet = book.add_worksheet("rejected")
        _write(sheet, 0, [*names, *_ADDED[language[:2]]])
        place = 1
        async for page in _pages(system, import_id):
            await asyncio.to_thread(_write_page, sheet, place, page, names, language)
            place += len(page)
    finally:
        await asyncio.to_thread(book.close)


async def _names(system: AppContext, import_id: int) -> list[str]:
    """The columns of the workbook: those of the file in its order, then the nameless ones."""
    async with system.database.read() as tx:
        if await tx.first(select(imports.c.id).where(imports.c.id == import_id)) is None:
            raise NotFound("import_unknown", id=import_id)
    names: dict[str, None] = {}
    async for page in _pages(system, import_id):
        for row in page:
            names.update(dict.fromkeys(row.cells))
    return list(names)


async def _pages(system: AppContext, import_id: int) -> AsyncGenerator[list["_Row"]]:
    """The rejected rows; no transaction is held while a page is being written."""
    after = 0
    mine = select(import_rejects).where(import_rejects.c.import_id == import_id)
    while True:
        rows = import_rejects.c.row
        async with system.database.read() as tx:
            found = await tx.rows(mine.where(rows > after).order_by(rows).limit(_PAGE))
        if not found:
            return
        yield [_Row(row) for row in found]
        after = found[-1][1]


class _Row:
    def __init__(self, row: Sequence[Any]) -> None:
        self.number: int = row[1]
        self.cells: dict[str, str] = msgspec.json.decode(row[2])
        self.reason: str = row[3]


def _write_page(sheet: Any, place: int, page: list[_Row], names: list[str], language: str) -> None:
    for offset, row in enumerate(page):
        cells = [row.cells.get(name, "") for name in names]
        _write(sheet, place + offset, [*cells, str(row.number), recall(row.reason, language)])


def _write(sheet: Any, place: int, cells: list[str]) -> None:
    for column, cell in enumerate(cells):
        if cell:
            sheet.write_string(place, column, cell[:_LONGEST])
