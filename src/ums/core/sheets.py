"""Reads a spreadsheet in a process of its own, which may run out of memory, hang or die.

    python sheets.py ORDER     ORDER is the JSON of `Order`; JSON lines of `Item` on stdout

The parent (`core.sheet_reader`) gives this process no secrets: an empty environment, a file name
and limits. So this file runs by itself and imports nothing of UMS. Formulas are not evaluated:
the reader sees the values that the spreadsheet program saved. The whole sheet is looked through
before the first row is told, so that what is wrong with the file as a whole comes before any
row is applied (reliability.md F41, threats 14 and 15).
"""

import csv
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

MAX_CELL = 32_768  # characters; a spreadsheet program's own limit is one less
MAX_ROW = 100_000
MAX_NAME = 200  # of a cell that is only shown
MAX_SHEETS = 100  # that are offered
MAX_LINE = 1_000_000  # characters in one line of output, about
EXACT = 10**15  # a spreadsheet keeps 15 digits of a number
_WECHAT = ("wechatmp_openid", "alipaylife_userid", "wechatoa_openid", "dingtalk_userid")
_WORK = ("wechatwk_userid", "wechatwk_linkedcorp_userid", "tag")
COLUMNS = ("userid", "bind_id", "phone", "email", "app_regid", *_WECHAT, *_WORK)

Numbered = tuple[int, list[Any]]


class Order(Struct):
    """What to read, and how much it may take. Sizes in bytes, times in seconds."""

    path: str
    action: Literal["check", "look", "read"]
    sheet: str | None = None  # of a workbook; None: a look takes the first that holds something
    start: int = 0  # rows to pass over
    names: list[str] | None = None  # what each column holds, "" nothing; None: as the header says
    show: int = 0  # rows that a look shows
    batch: int = 1_000  # rows in a batch
    rows: int = 100_000
    columns: int = 200
    unpacked: int = 200 * 1024 * 1024
    ratio: int = 100
    entries: int = 2_000
    memory: int = 512 * 1024 * 1024
    seconds: int = 300


class Head(Struct, tag="head"):
    """The columns, in their order ("" where one has no name), and how many rows there are."""

    columns: list[str]
    size: int


class Sight(Struct, tag="sight"):
    """The header as it stands, the first rows, how many rows there are, and the sheets."""

    header: list[str]
    rows: list[list[str]]
    size: int
    sheets: list[str] = []  # of a workbook, those that are shown
    sheet: str | None = None  # the one that was read


class Line(Struct, array_like=True, gc=False):
    """A row: its number as the spreadsheet program counts, its cells as text, what is wrong."""

    number: int
    cells: list[str]
    flaw: str = ""  # a reason of ums.errors
    column: str = ""


class Batch(Struct, tag="batch"):
    lines: list[Line]


class End(Struct, tag="end"):
    """There is nothing more. A stream without it was cut off."""


class Fault(Struct, tag="fault"):
    """The file cannot be imported."""

    reason: str
    detail: str


Item = Head | Sight | Batch | End | Fault


class SheetError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, detail)


class CellError(Exception):
    def __init__(self, reason: str, column: int) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


def main(argument: str) -> None:
    order = msgspec.json.decode(argument, type=Order)
    confine(order)
    try:
        for item in {"check": check, "look": look, "read": read}[order.action](order):
            _tell(item)
    except SheetError as stop:
        _tell(stop.fault)
    except MemoryError:
        _tell(Fault("sheet_limit", "reading it takes too much memory"))
    except Exception as error:  # whatever the parsers raise on a broken file
        _tell(Fault("sheet_unreadable", _words(error)))


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _tell(item: Item) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(item) + b"\n")
    sys.stdout.buffer.flush()


def confine(order: Order) -> None:
    """Limits that no file can talk its way out of."""
    limits = {resource.RLIMIT_AS: order.memory, resource.RLIMIT_CPU: order.seconds}
    for limit, value in {**limits, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}.items():
        resource.setrlimit(limit, (value, value))
    os.nice(5)  # mail goes first


def is_workbook(path: str) -> bool:
    """Whether the content, not the name, is that of an .xlsx file."""
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        detail = "it is an old .xls or a protected file; save it as .xlsx"
        raise SheetError("sheet_unreadable", detail)
    if start.startswith(b"PK\x03\x04"):
        return True
    if path.endswith(".xlsx"):
        raise SheetError("sheet_unreadable", "it is not an .xlsx workbook, or was cut off")
    return False


def check(order: Order) -> Iterator[Item]:
    """Look at the zip directory, before anything is unpacked."""
    if is_workbook(order.path):
        with zipfile.ZipFile(order.path) as archive:
            entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        if len(entries) > order.entries:
            raise SheetError("sheet_limit", f"more than {order.entries} parts")
        if unpacked > order.unpacked:
            raise SheetError("sheet_limit", f"more than {order.unpacked // 2**20} MB unpacked")
        if unpacked > order.ratio * max(packed, 10_000):
            raise SheetError("sheet_limit", f"packed more than {order.ratio} times")
    yield End()


def look(order: Order) -> Iterator[Item]:
    """What an operator is shown before deciding what the columns hold."""
    book = _book(order) if is_workbook(order.path) else None
    if book is not None and order.sheet is None:
        order.sheet = _filled(book)
    filled = (row for _, row in _rows(order)() if not _blank(row))
    header = [_plain(cell).strip()[:MAX_NAME] for cell in next(filled, [])]
    if not header:
        raise SheetError("sheet_columns", "the sheet is empty")
    if len(header) > order.columns:
        raise SheetError("sheet_limit", f"more than {order.columns} columns")
    shown: list[list[str]] = []
    size = 0
    for row in filled:
        size += 1
        if size > order.rows:
            raise SheetError("sheet_limit", f"more than {order.rows} rows")
        if len(shown) < order.show:
            shown.append([_plain(cell)[:MAX_NAME] for cell in row[: order.columns]])
    yield Sight(header, shown, size, [] if book is None else _shown(book), order.sheet)


def _rows(order: Order) -> Callable[[], Iterator[Numbered]]:
    return _workbook(order) if is_workbook(order.path) else _text_file(order)


def read(order: Order) -> Iterator[Item]:
    rows = _rows(order)
    columns, size = _look(rows(), order)
    yield Head(columns, size)
    lines: list[Line] = []
    length = 0
    for line in _lines(rows(), columns, order):
        lines.append(line)
        length += sum(map(len, line.cells))
        if len(lines) == order.batch or length > MAX_LINE:
            yield Batch(lines)
            lines, length = [], 0
    yield from [Batch(lines)] if lines else []
    yield End()


def _look(rows: Iterator[Numbered], order: Order) -> tuple[list[str], int]:
    filled = (row for _, row in rows if not _blank(row))
    header = next(filled, None)
    if header is None:
        raise SheetError("sheet_columns", "the sheet is empty")
    columns = _columns(header, order)
    size = 0
    for _ in filled:
        size += 1
        if size > order.rows:
            raise SheetError("sheet_limit", f"more than {order.rows} rows")
    return columns, size


def _columns(header: list[Any], order: Order) -> list[str]:
    if order.names is not None:
        return order.names
    names = [_plain(cell).strip().lower() for cell in header]
    while names and not names[-1]:
        names.pop()
    if len(names) > order.columns:
        raise SheetError("sheet_limit", f"more than {order.columns} columns")
    if unknown := [name[:40] for name in names if name and name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        raise SheetError("sheet_columns", f"unknown: {', '.join(unknown[:10])}; there are: {known}")
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise SheetError("sheet_columns", f"twice: {', '.join(sorted(twice))}")
    if "userid" not in names:
        raise SheetError("sheet_columns", "there is no column userid")
    return names


def _lines(rows: Iterator[Numbered], columns: list[str], order: Order) -> Iterator[Line]:
    filled = (row for row in rows if not _blank(row[1]))
    for index, (number, row) in enumerate(filled, -1):  # -1 is the header
        if index >= order.start:
            yield _line(number, row if order.names is None else _wanted(row, columns), columns)


def _wanted(row: list[Any], columns: list[str]) -> list[Any]:
    """The row without what stands in columns that were put aside."""
    return [cell if name else "" for cell, name in zip(row, columns, strict=False)]


def _line(number: int, row: list[Any], columns: list[str]) -> Line:
    try:
        cells = [_text(cell, place) for place, cell in enumerate(row)]
        _refuse_nameless(cells, columns)
    except CellError as flaw:
        cells = [_plain(cell)[:MAX_CELL] for cell in row]
        names = dict(enumerate(columns))
        column = names.get(flaw.column) or letters(flaw.column)
        return Line(number, _short(cells), flaw.reason, column)
    del cells[len(columns) :]
    cells += [""] * (len(columns) - len(cells))
    if sum(map(len, cells)) > MAX_ROW:
        return Line(number, _short(cells), "row_long")
    return Line(number, cells)


def _refuse_nameless(cells: list[str], columns: list[str]) -> None:
    for place, cell in enumerate(cells):
        if cell and (place >= len(columns) or not columns[place]):
            raise CellError("cell_nameless", place)


def _short(cells: list[str]) -> list[str]:
    return [cell[:1_000] for cell in cells[:100]]


def letters(place: int) -> str:
    """The name a spreadsheet program gives the column at `place`, from 0: A, Z, AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text


def _blank(row: list[Any]) -> bool:
    return row.count("") == len(row) or not any(_plain(cell).strip() for cell in row)


def _text(cell: Any, place: int) -> str:
    if isinstance(cell, float) and abs(cell) >= EXACT:
        raise CellError("cell_number", place)
    text = _plain(cell).strip()
    if len(text) > MAX_CELL:
        raise CellError("cell_long", place)
    return text


def _plain(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a telephone number has no ".0"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return "" if cell is None else str(cell) if isinstance(cell, timedelta) else f"{cell}"


def _workbook(order: Order) -> Callable[[], Iterator[Numbered]]:
    book = _book(order)
    names = _shown(book)
    if order.sheet is not None and order.sheet not in names:
        raise SheetError("sheet_unreadable", "there is no such sheet in it")
    sheet = book.get_sheet_by_name(names[0] if order.sheet is None else order.sheet)
    if sheet.total_width > order.columns:
        raise SheetError("sheet_limit", f"more than {order.columns} columns")
    return lambda: enumerate(sheet.iter_rows(), 1)


def _book(order: Order) -> Any:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    return CalamineWorkbook.from_path(order.path)


def _shown(book: Any) -> list[str]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415

    tables = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    shown = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
    if not shown:
        raise SheetError("sheet_unreadable", "there is no sheet in it")
    return shown[:MAX_SHEETS]


def _filled(book: Any) -> str | None:
    """The first sheet that holds something."""
    sheets = ((name, book.get_sheet_by_name(name)) for name in _shown(book))
    return next((n for n, one in sheets if not all(map(_blank, one.iter_rows()))), None)


def _text_file(order: Order) -> Callable[[], Iterator[Numbered]]:
    encoding = _encoding(order.path)
    delimiter = _delimiter(order.path, encoding)
    csv.field_size_limit(MAX_LINE)

    def rows() -> Iterator[Numbered]:
        with open(order.path, encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                yield from enumerate(reader, 1)
            except csv.Error as error:
                raise SheetError("sheet_unreadable", f"line {reader.line_num}: {error}") from None

    return rows


def _encoding(path: str) -> str:
    with open(path, "rb") as file:
        start = file.read(3)
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"  # what Excel calls Unicode text
    for encoding in ("utf-8-sig", "gb18030"):
        if _decodes(path, encoding):
            return encoding
    raise SheetError("sheet_unreadable", "it is neither UTF-8 nor GB18030 text")


def _decodes(path: str, encoding: str) -> bool:
    try:
        with open(path, encoding=encoding, newline="") as file:
            for piece in iter(lambda: file.read(65_536), ""):
                if "\x00" in piece:
                    raise SheetError("sheet_unreadable", "it is no text file: it holds NUL bytes")
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: str, encoding: str) -> str:
    with open(path, encoding=encoding, newline="") as file:
        for line in iter(lambda: file.readline(65_536), ""):
            if line.strip():
                return max(",;\t", key=line.count)
    return ","


if __name__ == "__main__":
    main(sys.argv[1])
