"""Which table of a spreadsheet is read, what its columns hold, and what becomes of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from sqlalchemy import text

from support.spreadsheets import ME, counts, prepare, shown
from ums.core.context.app_context import AppContext
from ums.core.imports import drafts, runner, undo
from ums.core.imports.columns import Choice
from ums.core.imports.dry_run import dry_run
from ums.core.imports.runner import Import
from ums.core.spreadsheets.headings import guess
from ums.core.users import users
from ums.errors import Invalid, recall

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
"""For what has nothing to do with the database."""
Rows = list[list[Any]]
ROWS: Rows = [["会员号", "电子邮件", "姓名", "备注"], ["007", "a@a.org", "张三", "x"]]


@pytest.fixture
async def world(system: AppContext) -> AppContext:
    await prepare(system)
    return system


async def done(system: AppContext, path: Path, **chosen: Any) -> Import:
    opened = await runner.open_import(
        system, path, bind_id="all", name=path.name, choice=Choice(**chosen)
    )
    await runner.run(system, opened.id, ME)
    return await shown(system, opened.id)


async def held(system: AppContext, userid: str) -> users.User:
    async with system.database.read() as tx:
        found = await users.find(tx, userid)
    assert found is not None
    return found


def by_openpyxl(path: Path, rows: Rows) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(path)
    return path


def by_xlsxwriter(path: Path, rows: Rows) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return path


def as_text(encoding: str, mark: str) -> Callable[[Path, Rows], Path]:
    def write(path: Path, rows: Rows) -> Path:
        path = path.with_suffix(".csv")
        text = "".join(mark.join(map(str, row)) + "\r\n" for row in rows)
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "write",
    [by_openpyxl, by_xlsxwriter, as_text("gbk", ","), as_text("utf-16", "\t")],
    ids=["openpyxl", "xlsxwriter", "gbk", "utf-16"],
)
@pytest.mark.parametrize("above", [0, 2], ids=["header-first", "below-a-title"])
async def test_a_table_is_read_as_it_comes(
    world: AppContext, tmp_path: Path, write: Callable[[Path, Rows], Path], above: int
) -> None:
    title: Rows = [["2026 年会员名单"], []][:above]
    one = await done(world, write(tmp_path / "a.xlsx", [*title, *ROWS]))
    assert (one.state, counts(one), one.header_row) == ("done", (1, 0, 0, 0), above + 1)
    user = await held(world, "007")
    assert user.addresses == {"email": {"all": ["a@a.org"]}}
    assert user.attributes == {"name": "张三"}


@on_sqlite
async def test_the_sheet_with_the_table_is_found_or_chosen(
    world: AppContext, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["A note on this file"])  # type: ignore[union-attr]
    for name, userid in (("members", "m1"), ("more", "m2")):
        sheet = book.create_sheet(name)
        sheet.append(["userid", "email"])
        sheet.append([userid, "a@a.org"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    one = await done(world, path)
    assert (one.sheet, counts(one)) == ("members", (1, 0, 0, 0))
    one = await done(world, path, sheet="more")
    assert (one.sheet, counts(one)) == ("more", (1, 0, 0, 0))
    with pytest.raises(Invalid, match="there are: Sheet, members, more"):
        await done(world, path, sheet="gone")


@on_sqlite
async def test_the_header_row_is_chosen(world: AppContext, tmp_path: Path) -> None:
    rows: Rows = [["userid", "email"], ["名", "址"], ["u1", "a@a.org"]]
    path = by_openpyxl(tmp_path / "a.xlsx", rows)
    chosen: dict[str, Any] = {"header_row": 2, "fields": {"名": "userid", "B": "email"}}
    assert counts(await done(world, path, **chosen)) == (1, 0, 0, 0)
    for row in (4, 100_000):
        with pytest.raises(Invalid, match=f"row {row} is empty or not there"):
            await done(world, path, header_row=row)


@on_sqlite
async def test_a_row_with_an_address_is_no_header(world: AppContext, tmp_path: Path) -> None:
    data: Rows = [["a@x.org", "private", "none"], ["b@x.org", "member", "company"]]
    data += [["c@x.org", "customer", "group"], ["e@x.org", "x", "y"]]
    path = by_openpyxl(tmp_path / "a.xlsx", [["email", "type", "segment"], *data])
    one = await done(world, path)
    assert (one.header_row, counts(one)) == (1, (4, 0, 0, 0))
    # A line of the title may hold one, and the headings stand below.
    title: Rows = [["Exported by", "admin@x.org"], ["email", "city"], ["f@x.org", "Ulm"]]
    one = await done(world, by_openpyxl(tmp_path / "b.xlsx", title))
    assert (one.header_row, counts(one)) == (2, (1, 0, 0, 0))


@on_sqlite
async def test_a_table_without_headings_loses_no_row(world: AppContext, tmp_path: Path) -> None:
    rows: Rows = [["1", "a@x.org", "Ann"], ["2", "b@x.org", "Bob", "more"], ["3", "c@x.org", "Cy"]]
    one = await done(world, by_openpyxl(tmp_path / "a.xlsx", rows), fields={"C": "user.name"})
    assert (one.header_row, counts(one)) == (0, (3, 0, 0, 0))
    assert (await held(world, "a@x.org")).attributes == {"name": "Ann"}
    # What looks like headings may be said to be none.
    bare: Rows = [["user", "email"], ["mail", "name"]]
    one = await done(
        world, by_openpyxl(tmp_path / "b.xlsx", bare), header_row=0, fields={"A": "userid"}
    )
    assert (one.header_row, counts(one)) == (0, (2, 0, 0, 0))
    with pytest.raises(Invalid, match="empty"):
        await done(world, by_openpyxl(tmp_path / "c.xlsx", []), header_row=0)


async def test_columns_are_mapped_and_ignored(world: AppContext, tmp_path: Path) -> None:
    head = ["ID", "Number", "Mail", "City", "Phone", "Joined"]
    path = by_openpyxl(tmp_path / "a.xlsx", [head, ["x", "u1", "a@a.org", "Ulm", "123456", "2020"]])
    fields = {"number": "userid", "F": "user.joined"}
    one = await done(world, path, fields=fields, ignore=["Phone"])
    assert (one.state, counts(one)) == ("done", (1, 0, 0, 0))
    user = await held(world, "u1")
    assert user.addresses == {"email": {"all": ["a@a.org"]}}
    assert user.attributes == {"city": "Ulm", "joined": "2020"}
    for wrong, words in (
        ({"Colour": "email"}, "no column Colour; it has: ID, Number"),
        ({"City": "colour"}, "unknown: colour"),
        ({"City": "user.a b"}, "unknown: user.a b"),
        ({"City": "user.userid"}, "unknown: user.userid"),
        ({"Number": "phone", "City": "phone"}, "phone is given twice"),
    ):
        with pytest.raises(Invalid, match=words):
            await done(world, path, fields=wrong)
    with pytest.raises(Invalid, match="no column holds the userid"):
        await done(world, path, ignore=["ID", "Mail"])


async def test_columns_of_which_nothing_is_said_are_not_read(
    world: AppContext, tmp_path: Path
) -> None:
    path = by_openpyxl(tmp_path / "a.xlsx", [["A", "B", "C"], ["u1", "a@a.org", "x"]])
    with path.open("rb") as file:
        made = await drafts.upload(world, file, "a.xlsx")
    await drafts.change(world, made.id, columns=["userid"])
    told = await dry_run(world, made.id)
    assert (told.new, told.invalid) == (1, 0)
    await drafts.start(world, made.id)
    await runner.run(world, made.id, ME)
    assert counts(await shown(world, made.id)) == (1, 0, 0, 0)


async def test_attributes_keep_their_type(world: AppContext, tmp_path: Path) -> None:
    head = ["userid", "user.zip", "user.age", "user.vip", "user.score"]
    path = by_openpyxl(tmp_path / "a.xlsx", [head, ["u1", "01067", 42, True, 8.5], ["u2"]])
    await done(world, path)
    wanted = {"zip": "01067", "age": 42, "vip": True, "score": 8.5}
    assert (await held(world, "u1")).attributes == wanted
    assert (await held(world, "u2")).attributes == {}
    text = as_text("utf-8", ",")(
        tmp_path / "b.csv",
        [head, ["t1", "01067", "42", "TRUE", "8.5"], ["t2", "10115", "", "", "1e5"]],
    )
    await done(world, text)
    # Only where every cell of a column is a number for sure, text is one.
    wanted = {"zip": "01067", "age": 42, "vip": "TRUE", "score": "8.5"}
    assert (await held(world, "t1")).attributes == wanted
    assert (await held(world, "t2")).attributes == {"zip": "10115", "score": "1e5"}


async def test_an_empty_cell_keeps_an_attribute_and_the_undo_restores(
    world: AppContext, tmp_path: Path
) -> None:
    head = ["userid", "city", "name"]
    first = by_openpyxl(tmp_path / "a.xlsx", [head, ["u1", "Ulm", "Ann"]])
    await done(world, first)
    one = await done(
        world, by_openpyxl(tmp_path / "b.xlsx", [head, ["u1", "Bonn", ""], ["u2", "Kiel", ""]])
    )
    assert counts(one) == (1, 1, 0, 0)
    assert (await held(world, "u1")).attributes == {"city": "Bonn", "name": "Ann"}
    await undo.request(world, one.id)
    await runner.run(world, one.id, ME)
    assert (await held(world, "u1")).attributes == {"city": "Ulm", "name": "Ann"}
    async with world.database.read() as tx:
        assert await users.find(tx, "u2") is None
    assert ((await shown(world, one.id)).undone, (await shown(world, one.id)).kept) == (2, 0)


async def test_an_address_alone_is_enough(world: AppContext, tmp_path: Path) -> None:
    rows: Rows = [["E-mail Address"], ["a@Example.org"], ["o'hara@a.org"], ["nobody"]]
    path = by_openpyxl(tmp_path / "a.xlsx", rows)
    with path.open("rb") as file:
        made = await drafts.upload(world, file, "a.xlsx")
    assert made.columns == ["email+userid"]
    told = await dry_run(world, made.id, "zh")
    assert (told.new, told.invalid, told.users) == (1, 2, 1)
    # The reasons name the column as the file does.
    assert told.examples[0].reason.startswith("E-mail Address：该地址不能用作 userid")
    assert told.examples[1].reason.startswith("E-mail Address：邮箱地址不合法（")
    one = await done(world, path)
    assert counts(one) == (1, 0, 0, 2)
    assert (await held(world, "a@example.org")).addresses == {"email": {"all": ["a@example.org"]}}


async def test_the_same_address_under_two_userids_is_told(
    world: AppContext, tmp_path: Path
) -> None:
    head = ["userid", "email"]
    await done(world, by_openpyxl(tmp_path / "a.xlsx", [head, ["old", "a@a.org"]]))
    rows: Rows = [head, ["u1", "a@a.org"], ["u2", "b@a.org"], ["u3", "b@a.org"], ["u3", "b@a.org"]]
    with by_openpyxl(tmp_path / "b.xlsx", rows).open("rb") as file:
        made = await drafts.upload(world, file, "b.xlsx")
    told = await dry_run(world, made.id)
    assert (told.new, told.duplicate, told.users, told.shared) == (3, 1, 3, 3)
    assert [(one.row, one.other) for one in told.shared_examples] == [
        (2, "old"),
        (4, "u2"),
        (5, "u2"),
    ]


HTML = b"<html><table><tr><td>userid</td></tr></table></html>"
FODS = b'<?xml version="1.0"?>\n<office:document xmlns:office="urn:x"/>'


@on_sqlite
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xls", HTML, "it is a web page or XML"),
        ("a.xlsx", b"\xef\xbb\xbf  " + HTML, "it is a web page or XML"),
        ("a.fods", FODS, "it is a web page or XML"),
        ("a.xlsx", b"PK\x03\x04" + os.urandom(100), "it is not an .xlsx workbook"),
        ("a.xlsx", b"nonsense", "it is not an .xlsx workbook"),
        ("a.csv", b"userid\n\x00", "it is no text file"),
        ("a.csv", b"\xff\xfe\x00", "neither UTF-8 nor GB18030"),
        ("a.csv", b"", "the sheet is empty"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "old .xls"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said_in_both_languages(
    world: AppContext, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(Invalid) as refused:
        await drafts.upload(world, file, name)
    assert words in refused.value.words()
    assert "zip" not in refused.value.words()
    chinese = refused.value.words("zh")
    assert words not in chinese
    assert "sheet" not in chinese


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["会员号", "手机号", "邮箱"], ["userid", "phone", "email"]),
        (["客户编号", "电子邮件"], ["userid", "email"]),
        (["Member ID", "E-Mail Address", "City"], ["userid", "email", "user.city"]),
        (["手机号", "邮箱（必填）"], ["phone", "email+userid"]),
        (["userid", "user_id", "*email:"], ["userid", "", "email"]),
        (["备注", "user.age", "USER.X Y"], ["", "user.age", ""]),
    ],
)
def test_headings_that_are_known(header: list[str], columns: list[str]) -> None:
    assert guess(header) == columns


def test_what_is_stored_of_an_error_has_words_in_both_languages() -> None:
    assert recall("as it was stored before") == "as it was stored before"


async def test_reasons_name_the_headings_of_the_file(world: AppContext, tmp_path: Path) -> None:
    rows: Rows = [["会员号", "邮箱", "手机"], ["a b", "", ""], ["", "a@a.org", ""]]
    rows += [["u1", "nobody", ""], ["u2", "", 1e16]]
    with by_openpyxl(tmp_path / "a.xlsx", rows).open("rb") as file:
        made = await drafts.upload(world, file, "a.xlsx")
    await drafts.change(world, made.id, columns=["userid", "email", "phone"])
    told = [one.reason for one in (await dry_run(world, made.id, "zh")).examples]
    assert told[0].startswith("会员号：")
    assert "会员号" in told[1]
    assert told[2].startswith("邮箱：邮箱地址不合法")
    assert told[3].startswith("手机：")
    await drafts.start(world, made.id)
    await runner.run(world, made.id, ME)
    async with world.database.read() as tx:
        rejected = await tx.rows(text("SELECT reason FROM import_rejects ORDER BY row"))
    assert [recall(row.reason, "zh") for row in rejected] == told


async def test_an_ods_file_with_the_shapes_of_libreoffice(world: AppContext) -> None:
    """The package, styles and settings are those of a file that LibreOffice 7.3 saved; its cells
    were written anew by a script, in the same markup: a title, blank cells to the end of the sheet,
    cells that stand for several, a link, a date."""
    path = Path(__file__).with_name("members.ods")
    with path.open("rb") as file:
        made = await drafts.upload(world, file, path.name)
    assert (made.sheet, made.header_row, made.size) == ("会员", 3, 3)
    columns = ["email+userid", "user.name", "user.level", "user.since"]
    await drafts.change(world, made.id, columns=columns)
    told = await dry_run(world, made.id)
    assert [(one.row, one.cells[0]) for one in told.examples] == [(6, "nobody")]
    await drafts.start(world, made.id)
    await runner.run(world, made.id, ME)
    assert counts(await shown(world, made.id)) == (2, 0, 0, 1)
    wanted = {"name": "张三", "level": 7, "since": "2021-01-31"}
    assert (await held(world, "a@a.org")).attributes == wanted
    wanted = {"name": "O'Neil   & Co", "level": 8.5}
    assert (await held(world, "b@a.org")).attributes == wanted
