"""What the reader process makes of files: shapes, encodings, and files made to do harm."""

import csv
import io
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from ums.config import Settings
from ums.core.spreadsheets import reader as sheet_reader
from ums.core.spreadsheets import worker
from ums.core.spreadsheets.headings import COLUMNS, letters
from ums.core.spreadsheets.protocol import Batch, End, Head, Line
from ums.errors import Invalid

HEADER = ["userid", "email"]


def workbook(path: Path, *rows: list[Any], start: int = 0) -> Path:
    book = xlsxwriter.Workbook(str(path), {"strings_to_numbers": False})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows, start):
        sheet.write_row(number, 0, row)
    book.close()
    return path


def text_file(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


async def read(path: Path, start: int = 0, **knobs: Any) -> tuple[Head, list[Line]]:
    settings = Settings(**knobs)
    await sheet_reader.check(path, settings)
    lines: list[Line] = []
    async with sheet_reader.reading(path, settings, start) as reader:
        head = await reader.next()
        assert isinstance(head, Head)
        while isinstance(item := await reader.next(), Batch):
            lines += item.lines
        assert isinstance(item, End)
    return head, lines


async def refused(path: Path, **knobs: Any) -> str:
    with pytest.raises(Invalid) as error:
        await read(path, **knobs)
    return f"{error.value.reason}: {error.value.words()}"


async def test_workbook(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [" UserID ", "PHONE", "tag", ""],
        [1001, 13800138000, "a,b"],
        [],
        ["x"],
    ]
    head, lines = await read(workbook(tmp_path / "a.xlsx", *rows, start=2))
    assert head == Head(["userid", "phone", "tag"], 2, ["UserID", "PHONE", "tag"])
    assert lines == [
        Line(4, ["1001", "13800138000", "a,b"]),
        Line(6, ["x", "", ""]),
    ]


async def test_cells_become_text(tmp_path: Path) -> None:
    cells = [1.5, True, date(2026, 1, 2), "  a b ", "007", -0.0, 123456789012345]
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"), {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, COLUMNS[: len(cells)])
    sheet.write_row(1, 0, cells)
    sheet.write_formula(2, 0, "=1+1", None, 2)
    book.close()
    _, lines = await read(tmp_path / "a.xlsx")
    assert lines[0].cells == ["1.5", "TRUE", "2026-01-02", "a b", "007", "0", "123456789012345"]
    assert lines[1].cells[0] == "2"  # what was saved; nothing is calculated


async def test_rows_with_a_flaw_are_told_one_by_one(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        HEADER,
        [1234567890123456789],
        ["a", "b", "", "stray"],
        ["a", "x" * 32_767],
        ["ok", "a@a.org"],
    ]
    _, lines = await read(workbook(tmp_path / "a.xlsx", *rows))
    assert [(line.number, line.flaw, line.column) for line in lines] == [
        (2, "cell_number", "userid"),
        (3, "", ""),  # what stands under no heading is not read
        (4, "", ""),
        (5, "", ""),
    ]
    assert [letters(place) for place in (0, 25, 26, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "ZZ",
        "AAA",
    ]


async def test_a_row_that_is_longer_than_its_header_is_told(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "userid,email\nu1,Li, Si,a@a.org\nu2,b@a.org\n")
    _, lines = await read(path)
    assert [(line.flaw, line.column) for line in lines] == [("cell_nameless", "C"), ("", "")]


async def test_start_passes_rows_over(tmp_path: Path) -> None:
    rows = [HEADER, *([f"u{i}"] for i in range(2500))]
    path = workbook(tmp_path / "a.xlsx", *rows)
    head, lines = await read(path, 2400)
    assert head.size == 2500
    assert [lines[0].cells[0], len(lines)] == ["u2400", 100]
    assert (await read(path, 2500))[1] == []


CHINESE = "userid;tag\r\nu1;北京\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
async def test_encodings(tmp_path: Path, encoding: str) -> None:
    head, lines = await read(text_file(tmp_path / "a.csv", CHINESE, encoding))
    assert head.columns == ["userid", "tag"]
    assert lines == [Line(2, ["u1", "北京"])]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_delimiters_and_quotes(tmp_path: Path, delimiter: str) -> None:
    file = io.StringIO()
    rows = [["userid", "tag"], [], ["u1", f"a{delimiter}b"], ["u2", 'say "hi"\nthere']]
    csv.writer(file, delimiter=delimiter).writerows(rows)
    _, lines = await read(text_file(tmp_path / "a.csv", file.getvalue()))
    assert lines == [Line(3, rows[2]), Line(4, rows[3])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "sheet is empty"),
        ("\n\n , \n", "sheet is empty"),
        ('userid,email\nu1,"a@a.org\n', "line 2"),
        ("userid\nu\x00\n", "NUL"),
        ("userid,tag\nu1,\udcff\udc80\udcff\n", "neither UTF-8 nor GB18030"),
    ],
)
async def test_files_that_are_not_what_they_should_be(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert words in await refused(path)


async def test_too_many_rows_are_told_before_the_first(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "userid\n" + "u\n\n" * 11)
    assert "sheet_limit: " in await refused(path, import_rows=10)
    path = workbook(tmp_path / "a.xlsx", ["userid"], *(["u"] for _ in range(11)))
    assert "more than 10 rows" in await refused(path, import_rows=10)
    assert (await read(path, import_rows=11))[0].size == 11


async def test_too_many_columns(tmp_path: Path) -> None:
    wide = ["userid", *[""] * 300, "email"]
    assert "200 columns" in await refused(workbook(tmp_path / "a.xlsx", wide))
    assert "200 columns" in await refused(text_file(tmp_path / "a.csv", ",".join(wide)))


SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def forged(path: Path, part: str, content: str | bytes) -> Path:
    """A workbook in which `part` is replaced."""
    plain = workbook(path.with_name("plain.xlsx"), HEADER, ["u1", "a@a.org"])
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return path


def sheet(rows: str, dimension: str = "A1") -> str:
    return (
        f'<?xml version="1.0"?><worksheet xmlns="{NAMESPACE}"><dimension ref="{dimension}"/>'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )


def aborting(path: Path) -> Path:
    """Under 2 kB; a reader that makes room for the whole sheet asks for hundreds of gigabytes."""
    corners = (
        '<row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    )
    return forged(path, SHEET, sheet(corners, "A1:XFD1048576"))


def bomb(path: Path) -> Path:
    return forged(path, "xl/sharedStrings.xml", b" " * (60 * 1024 * 1024))


def larger_bomb(path: Path) -> Path:
    shutil.copy(workbook(path.with_name("plain.xlsx"), HEADER), path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(5):
            archive.writestr(f"xl/{number}", b"\x00" * (50 * 1024 * 1024))
    return path


def many_parts(path: Path) -> Path:
    shutil.copy(workbook(path.with_name("plain.xlsx"), HEADER), path)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(2001):
            archive.writestr(f"xl/{number}", b"")
    return path


def lying(path: Path) -> Path:
    """The directory tells another size than the part has."""
    bomb(path)
    data = path.read_bytes()
    true, false = (60 * 1024 * 1024).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    assert data.count(true) >= 1
    path.write_bytes(data.replace(true, false))
    return path


def laughing(path: Path) -> Path:
    entities = '<!ENTITY a "haha">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    strings = (
        f'<?xml version="1.0"?><!DOCTYPE sst [{entities}]><sst xmlns="{NAMESPACE}">'
        "<si><t>userid</t></si><si><t>&i;</t></si><si><t>u1</t></si><si><t>a</t></si></sst>"
    )
    return forged(path, "xl/sharedStrings.xml", strings)


def prying(path: Path) -> Path:
    strings = (
        '<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        f'<sst xmlns="{NAMESPACE}"><si><t>userid</t></si><si><t>email</t></si>'
        "<si><t>&x;</t></si><si><t>a@a.org</t></si></sst>"
    )
    return forged(path, "xl/sharedStrings.xml", strings)


def truncated(path: Path) -> Path:
    plain = workbook(path, HEADER, ["u1", "a@a.org"])
    path.write_bytes(plain.read_bytes()[:-300])
    return path


def not_a_zip(path: Path) -> Path:
    return text_file(path, "this is not a workbook")


def old_format(path: Path) -> Path:
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000))
    return path


def damaged(path: Path) -> Path:
    return forged(path, SHEET, sheet("<row r='1'><c r='A1' t='s'><v>999999999</v></c>"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (aborting, "memory"),
        (bomb, "packed more than 100 times"),
        (larger_bomb, "more than 200 MB unpacked"),
        (many_parts, "more than 2000 parts"),
        (lying, ""),
        (laughing, ""),
        (truncated, ""),
        (not_a_zip, "not an .xlsx workbook"),
        (old_format, "save it as .xlsx"),
        (damaged, ""),
    ],
)
async def test_hostile_workbooks(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path / "hostile.xlsx")
    tracemalloc.start()
    told = await refused(path, import_seconds=60.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in told
    assert peak < 20 * 1024 * 1024  # of ours: the reader's is its own


async def test_aborting_workbook_is_small(tmp_path: Path) -> None:
    assert aborting(tmp_path / "a.xlsx").stat().st_size < 6000


async def test_no_file_is_read_through_an_entity(tmp_path: Path) -> None:
    assert "root:" not in await refused(prying(tmp_path / "a.xlsx"))


async def test_slow_reader_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = text_file(tmp_path / "slow.py", "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(worker, "__file__", str(slow))
    told = await refused(text_file(tmp_path / "a.csv", "userid\n"), import_seconds=0.3)
    assert "more than 0.3 seconds" in told


@pytest.mark.parametrize(
    ("program", "seconds", "words"),
    [
        ("import os; os.abort()", 60.0, "memory"),
        ("while True: pass", 0.5, "seconds"),
        ("print('nonsense')", 60.0, "no proper answer"),
        ("print('[' * 9_000_000)", 60.0, "a row is too long"),
        ("print('{', end='')", 60.0, "stopped in the middle"),
    ],
)
async def test_reader_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, seconds: float, words: str
) -> None:
    monkeypatch.setattr(worker, "__file__", str(text_file(tmp_path / "bad.py", program)))
    path = text_file(tmp_path / "a.csv", "userid\n")
    assert words in await refused(path, import_seconds=seconds)


async def test_reader_is_given_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMS_SECRET_KEY", "s3cret")
    program = """
import os, json
told = {"names": str(sorted(os.environ))}
fault = {"type": "fault", "reason": "sheet_columns", "detail": "no_such_sheet", "values": told}
print(json.dumps(fault))
"""
    monkeypatch.setattr(worker, "__file__", str(text_file(tmp_path / "tell.py", program)))
    told = await refused(text_file(tmp_path / "a.csv", "userid\n"))
    assert "UMS" not in told
    assert "PATH" in told


async def test_memory_of_the_reader(tmp_path: Path) -> None:
    """Within all limits of the format, but 200 columns by 200,000 rows are a gigabyte."""
    corners = (
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="200000"><c r="GR200000"><v>1</v></c></row>'
    )
    path = forged(tmp_path / "a.xlsx", SHEET, sheet(corners, "A1:GR200000"))
    assert "more than 256 MB of memory" in await refused(
        path, import_memory_bytes=256 * 1024 * 1024
    )
