"""Spreadsheets of users for tests, and imports of them."""

from pathlib import Path
from typing import Any

import xlsxwriter
from sqlalchemy import insert

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.imports import runner
from ums.core.imports.runner import Import
from ums.core.tables import senders

ME = "worker.1"


async def prepare(system: AppContext) -> None:
    """Channels A and B, sender MINE."""
    await channels.create(system, "A", key="A")
    await channels.create(system, "B", key="B")
    async with system.database.write() as tx:
        row = {"code": "MINE", "name": "m", "type": "email", "settings": "{}", "open": True}
        await tx.run(insert(senders), {**row, "created_at": 0})
        await touch(tx)
    system.directory.forget()


def table(path: Path, *rows: list[Any]) -> Path:
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    return path


def people(path: Path, count: int) -> Path:
    rows = ([f"user{i}", f"user{i}@example.com"] for i in range(count))
    return table(path, ["userid", "email"], *rows)


async def done(system: AppContext, path: Path, bind_id: str = "A") -> Import:
    opened = await runner.open_import(system, path, bind_id=bind_id, name=path.name)
    await runner.run(system, opened.id, ME)
    return await shown(system, opened.id)


async def shown(system: AppContext, import_id: int) -> Import:
    async with system.database.read() as tx:
        found = await runner.show(tx, import_id)
    assert found is not None
    return found


def counts(one: Import) -> tuple[int, int, int, int]:
    return one.added, one.changed, one.unchanged, one.rejected
