"""The rejected rows of an import, handed back (threat 30)."""

from pathlib import Path

import openpyxl
import pytest

from support.spreadsheets import counts, done, prepare, table
from ums.core.context.app_context import AppContext
from ums.core.imports import runner
from ums.errors import NotFound

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


@pytest.fixture
async def world(system: AppContext) -> AppContext:
    await prepare(system)
    return system


async def test_rejected_rows_come_back_as_text(world: AppContext, tmp_path: Path) -> None:
    rows = [[cell, "nonsense", ""] for cell in FORMULAS]
    long = [1234567890123456789, "a@a.org", ""]
    path = table(
        tmp_path / "a.xlsx",
        ["userid", "email"],
        *rows,
        ["ok", "a@a.org"],
        long,
        ["u", "nobody", "=stray"],
        ["u", "\x00@a.org"],
    )
    one = await done(world, path)
    assert counts(one) == (1, 0, 0, len(rows) + 3)
    target = tmp_path / "rejected.xlsx"
    await runner.rejected_workbook(world, one.id, target)
    sheet = openpyxl.load_workbook(target).active
    assert sheet is not None
    read = list(sheet.iter_rows())
    assert [cell.value for cell in read[0]] == ["userid", "email", "C", "row", "reason"]
    assert [row[3].value for row in read[1:]] == ["2", "3", "4", "5", "6", "7", "9", "10", "11"]
    assert {cell.data_type for row in read[1:] for cell in row} <= {"s", "n"}
    assert all(cell.data_type == "s" for row in read[1:] for cell in row if cell.value is not None)
    assert [row[0].value for row in read[1:5]] == FORMULAS[:4]
    assert "15 digits" in str(read[7][4].value)
    assert read[8][2].value == "=stray"
    with pytest.raises(NotFound):
        await runner.rejected_workbook(world, 77, target)


async def test_the_file_s_own_columns_and_headings_are_kept(
    world: AppContext, tmp_path: Path
) -> None:
    head = ["备注", "会员号", "E-mail", "备注"]
    path = table(tmp_path / "a.xlsx", head, ["first", "m1", "nobody", "second"])
    one = await done(world, path)
    target = tmp_path / "rejected.xlsx"
    await runner.rejected_workbook(world, one.id, target, "zh")
    sheet = openpyxl.load_workbook(target).active
    assert sheet is not None
    header, row = sheet.iter_rows(values_only=True)
    assert header == ("备注", "会员号", "E-mail", "备注 (D)", "行号", "原因")
    assert row[:5] == ("first", "m1", "nobody", "second", "2")
    assert row[5] == "E-mail：邮箱地址不合法（地址须有且仅有一个 @）"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_many_rejects_are_paged(
    world: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.core.imports.rejects._PAGE", 7)
    one = await done(
        world, table(tmp_path / "a.xlsx", ["userid"], *([f"a b{i}"] for i in range(30)))
    )
    assert one.rejected == 30
    await runner.rejected_workbook(world, one.id, tmp_path / "r.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "r.xlsx").active
    assert sheet is not None
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        f"a b{i}" for i in range(30)
    ]
