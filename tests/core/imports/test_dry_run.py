"""Drafts of imports: which sheet, what its columns held last time, and what it would do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from support.spreadsheets import ME, counts, prepare, shown
from ums.core.context.app_context import AppContext
from ums.core.imports import drafts, runner
from ums.core.imports.columns import Choice
from ums.core.imports.drafts import ImportInfo
from ums.core.imports.dry_run import dry_run
from ums.errors import Invalid

HEADER = ["userid", "邮箱", "remark"]
Sheets = dict[str, list[list[Any]]]


def workbook(path: Path, sheets: Sheets) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


async def uploaded(system: AppContext, path: Path, *, remembered: bool = True) -> ImportInfo:
    with path.open("rb") as file:
        return await drafts.upload(system, file, path.name, remembered=remembered)


async def ran(system: AppContext, import_id: int) -> tuple[int, int, int, int]:
    await drafts.start(system, import_id)
    await runner.run(system, import_id, ME)
    return counts(await shown(system, import_id))


def rows_of_every_kind() -> Iterator[list[str]]:
    yield HEADER
    for number in range(1, 2_301):  # more than two batches
        yield [f"user{number}", f"user{number}@example.com", ""]
    yield ["user1", "user1@example.com", "again"]
    yield ["user2300", "other@example.com", "again, with something else"]
    yield ["bad address", "not an address", ""]
    yield ["user7", "nobody", ""]


async def test_a_dry_run_counts_what_the_run_does(system: AppContext, tmp_path: Path) -> None:
    await prepare(system)
    few = [HEADER, ["user1", "user1@example.com", ""], ["user2", "old@example.com", ""]]
    first = await uploaded(system, workbook(tmp_path / "few.xlsx", {"s": few}))
    assert await ran(system, first.id) == (2, 0, 0, 0)
    made = await uploaded(system, workbook(tmp_path / "all.xlsx", {"s": [*rows_of_every_kind()]}))
    told = await dry_run(system, made.id)
    assert (told.new, told.changed, told.unchanged) == (2298, 1, 1)
    assert (told.duplicate, told.invalid, told.size) == (2, 2, 2304)
    assert [one.row for one in told.examples] == [2304, 2305]
    assert told.examples[1].cells[:2] == ["user7", "nobody"]
    assert told == await dry_run(system, made.id)  # it changed nothing
    added, changed, unchanged, rejected = await ran(system, made.id)
    assert (added, rejected) == (told.new, told.invalid)
    assert changed + unchanged == told.changed + told.unchanged + told.duplicate


async def test_what_columns_held_is_remembered(system: AppContext, tmp_path: Path) -> None:
    await prepare(system)
    rows = [["编号", "联系方式"], ["a", "a@example.com"]]
    first = await uploaded(system, workbook(tmp_path / "one.xlsx", {"s": rows}))
    assert first.columns == ["", ""]
    with pytest.raises(Invalid):
        await dry_run(system, first.id)  # no column holds the userid
    await drafts.change(system, first.id, columns=["userid", "email"])
    assert await ran(system, first.id) == (1, 0, 0, 0)
    again = await uploaded(system, workbook(tmp_path / "two.xlsx", {"other": rows}))
    assert again.columns == ["userid", "email"]
    # What others uploaded changes nothing for a program, which says it each time.
    plain = await uploaded(system, workbook(tmp_path / "3.xlsx", {"s": rows}), remembered=False)
    assert plain.columns == ["", ""]
    other = await uploaded(
        system, workbook(tmp_path / "x.xlsx", {"s": [["编号", "备注"], ["b", ""]]})
    )
    assert other.columns == ["", ""]


async def test_a_sheet_is_chosen(system: AppContext, tmp_path: Path) -> None:
    await prepare(system)
    sheets: Sheets = {
        "empty": [],
        "一月": [["userid", "email"], ["a", "a@example.com"]],
        "二月": [["email", "userid"], ["b@example.com", "b"], ["c@example.com", "c"]],
    }
    made = await uploaded(system, workbook(tmp_path / "book.xlsx", sheets))
    assert (made.sheet, made.size, made.columns) == ("一月", 1, ["userid", "email"])
    seen = await drafts.preview(system, made.id)
    assert seen.sheets == ["empty", "一月", "二月"]
    for wrong in ("三月", "empty"):
        with pytest.raises(Invalid):
            await drafts.change(system, made.id, choice=Choice(wrong))
    changed = await drafts.change(system, made.id, choice=Choice("二月"))
    assert (changed.sheet, changed.size, changed.columns) == ("二月", 2, ["email", "userid"])
    assert (await dry_run(system, made.id)).new == 2
    assert await ran(system, made.id) == (2, 0, 0, 0)
    assert (await shown(system, made.id)).started_at is not None
