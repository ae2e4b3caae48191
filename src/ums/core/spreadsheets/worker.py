"""Reads a spreadsheet in a process of its own, which may run out of memory, hang or die.

    python sheets.py ORDER     ORDER is the JSON of `Order`; JSON lines of `Item` on stdout

The parent (`reader`) gives this process no secrets: an empty environment, a file name
and limits. Formulas are not evaluated: the reader sees the values that the spreadsheet program
saved. The whole sheet is looked through before the first row is told, so that what is wrong with
the file as a whole comes before any row is applied (reliability.md F41, threats 14 and 15).
"""

import os
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile
from math import isfinite
from typing import Any, Final

import msgspec
from msgspec import Struct

from ums.core.spreadsheets.files import (
    Rows,
    book_rows,
    check_archive,
    is_workbook,
    likely_sheet,
    open_book,
    shown_sheets,
    text_rows,
)
from ums.core.spreadsheets.headings import (
    ATTRIBUTE,
    guess,
    guess_from,
    is_address,
    letters,
    rank,
)
from ums.core.spreadsheets.protocol import (
    MAX_CELL,
    MAX_LINE,
    MAX_NAME,
    MAX_ROW,
    Batch,
    CellError,
    End,
    Fault,
    Head,
    Item,
    Line,
    Numbered,
    Order,
    SheetError,
    Sight,
)

EXACT: Final = 10**15  # a spreadsheet keeps 15 digits of a number
_SEARCHED: Final = 20  # filled rows among which the header is looked for
# Text that is a number for sure: as a program writes it, without zeros in front or behind.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,5}[1-9])?").fullmatch


def main(argument: str) -> None:
    order = msgspec.json.decode(argument, type=Order)
    confine(order)
    try:
        for item in {"check": check, "look": look, "read": read}[order.action](order):
            _tell(item)
    except SheetError as stop:
        _tell(stop.fault)
    except MemoryError:
        _tell(Fault("sheet_limit", "memory", {"limit": order.memory // 2**20}))
    except Exception:  # whatever the parsers raise on a broken file: their words help nobody
        _tell(Fault("sheet_unreadable", "damaged"))


def _tell(item: Item) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(item) + b"\n")
    sys.stdout.buffer.flush()


def confine(order: Order) -> None:
    """Limits that no file can talk its way out of."""
    limits = {resource.RLIMIT_AS: order.memory, resource.RLIMIT_CPU: order.seconds}
    for limit, value in {**limits, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}.items():
        resource.setrlimit(limit, (value, value))
    os.nice(5)  # mail goes first


def check(order: Order) -> Iterator[Item]:
    """Whether the file is one that may be read at all."""
    if is_workbook(order.path):
        check_archive(order)
    yield End()


def look(order: Order) -> Iterator[Item]:
    """What an operator is shown before deciding what the columns hold."""
    rows, sheets = _open(order)
    table = _Table.find(rows, order)
    shown: list[list[str]] = []
    size = 0
    for _, row in table.below(rows):
        size += 1
        if size > order.rows:
            raise SheetError("sheet_limit", "many_rows", limit=order.rows)
        if len(shown) < order.show:
            shown.append([_plain(cell)[:MAX_NAME] for cell in row[: order.columns]])
    above = [
        (number, [_plain(cell)[:MAX_NAME] for cell in row[: order.columns]])
        for number, row in islice(_filled(rows()), _SEARCHED)
    ]
    header = [cell[:MAX_NAME] for cell in table.header]
    yield Sight(header, shown, size, sheets, order.sheet, table.number, table.guessed(), above)


def read(order: Order) -> Iterator[Item]:
    """The rows, in batches."""
    rows, sheets = _open(order)
    table = _Table.find(rows, order)
    columns = table.guessed() if order.names is None else order.names
    columns += [""] * (len(table.header) - len(columns))  # of those nothing was said
    size, numeric = _look_through(table.below(rows), columns, order)
    if sheets:  # a workbook says itself what is a number
        numeric = set[int]()
    yield Head(columns, size, table.header)
    lines: list[Line] = []
    length = 0
    reading = _Reading(columns, numeric)
    for number, row in islice(table.below(rows), order.start, None):
        line = reading.line(number, row)
        lines.append(line)
        length += sum(map(len, line.cells))
        if len(lines) == order.batch or length > MAX_LINE:
            yield Batch(lines)
            lines, length = [], 0
    yield from [Batch(lines)] if lines else []
    yield End()


def _open(order: Order) -> tuple[Rows, list[str]]:
    """The rows of the sheet that is meant, and the sheets that there are."""
    if not is_workbook(order.path):
        if order.sheet is not None:
            raise SheetError("sheet_unreadable", "no_sheets")
        return text_rows(order), []
    book = open_book(order)
    if order.sheet is None:
        order.sheet = likely_sheet(book, _looks_like_table)
    return book_rows(book, order), shown_sheets(book)


def _looks_like_table(rows: Iterator[Numbered]) -> int:
    """0 for an empty sheet, more than 1 for one with headings that are known."""
    ranks = [_rank(row) for _, row in islice(_filled(rows), _SEARCHED)]
    return 1 + max(known for known, _ in ranks) if ranks else 0


def _rank(row: list[Any]) -> tuple[int, int]:
    return rank([_plain(cell) for cell in row[:200]])


class _Table(Struct):
    """Where in a sheet the table is: its header, and the number of the header's row.

    A table without headings has row 0 and empty headings, and `first` are its first rows.
    """

    header: list[str]
    number: int
    first: list[list[str]] = []

    @classmethod
    def find(cls, rows: Rows, order: Order) -> "_Table":
        first = list(islice(_filled(rows()), _SEARCHED))
        if order.header == 0 or (order.header is None and _is_headless(first)):
            return cls._without_header(first, order)
        if order.header is not None:
            first = [one for one in islice(rows(), order.header) if one[0] == order.header]
        if not first:
            reason = "empty" if order.header is None else "no_such_row"
            raise SheetError("sheet_columns", reason, row=order.header or 0)
        number, row = max(_candidates(first), key=_likelihood)
        header = [_plain(cell).strip() for cell in row]
        if order.header is not None and not any(header):
            raise SheetError("sheet_columns", "no_such_row", row=number)
        if len(header) > order.columns:
            raise SheetError("sheet_limit", "many_columns", limit=order.columns)
        return cls(header, number)

    @classmethod
    def _without_header(cls, first: list[Numbered], order: Order) -> "_Table":
        if not first:
            raise SheetError("sheet_columns", "empty", row=0)
        rows = [[_plain(cell) for cell in row] for _, row in first]
        width = max(map(len, rows))
        if width > order.columns:
            raise SheetError("sheet_limit", "many_columns", limit=order.columns)
        return cls([""] * width, 0, rows)

    def guessed(self) -> list[str]:
        """What the columns hold, going by the headings, or without any by the first rows."""
        return guess_from(self.first) if self.number == 0 else guess(self.header)

    def below(self, rows: Rows) -> Iterator[Numbered]:
        return (row for row in _filled(rows()) if row[0] > self.number)


def _is_headless(rows: list[Numbered]) -> bool:
    """Whether the table begins with its first row: there is an address in it, and no row below
    has headings that are known."""
    known = any(_rank(row)[0] for _, row in rows if not _has_address(row))
    return bool(rows) and _has_address(rows[0][1]) and not known


def _candidates(rows: list[Numbered]) -> list[Numbered]:
    """The rows that may be the header: without an address, and where one with known headings
    stands above the first address, none below."""
    bare = [one for one in rows if not _has_address(one[1])]
    above = list(takewhile(lambda one: not _has_address(one[1]), rows))
    return above if any(_rank(row)[0] for _, row in above) else bare or rows


def _has_address(row: list[Any]) -> bool:
    return any(is_address(_plain(cell)) for cell in row[:200])


def _likelihood(one: Numbered) -> tuple[int, bool]:
    """The row with most known headings; with none, the first that is more than a title."""
    known, filled = _rank(one[1])
    return known, filled > 1


def _filled(rows: Iterable[Numbered]) -> Iterator[Numbered]:
    return (row for row in rows if not _blank(row[1]))


def _look_through(
    rows: Iterator[Numbered], columns: list[str], order: Order
) -> tuple[int, set[int]]:
    """How many rows there are, and in which columns of attributes all text is numbers."""
    numeric = {place for place, name in enumerate(columns) if name.startswith(ATTRIBUTE)}
    size = 0
    for _, row in rows:
        size += 1
        if size > order.rows:
            raise SheetError("sheet_limit", "many_rows", limit=order.rows)
        if numeric:
            numeric -= {place for place in numeric if not _may_be_number(row, place)}
    return size, numeric


def _may_be_number(row: list[Any], place: int) -> bool:
    cell = row[place] if place < len(row) else ""
    return not isinstance(cell, str) or not cell.strip() or _NUMBER(cell.strip()) is not None


class _Reading:
    """Rows to lines."""

    def __init__(self, columns: list[str], numeric: set[int]) -> None:
        self._columns, self._numeric = columns, numeric
        self._attributes = [
            (place, name.removeprefix(ATTRIBUTE))
            for place, name in enumerate(columns)
            if name.startswith(ATTRIBUTE)
        ]

    def line(self, number: int, row: list[Any]) -> Line:
        columns = self._columns
        try:
            cells = [self._cell(cell, place) for place, cell in enumerate(row)]
            attributes = self._typed(row)
        except CellError as flaw:
            cells = [_plain(cell)[:MAX_CELL] for cell in row]
            return Line(number, _short(cells), flaw.reason, self._name(flaw.column))
        del cells[len(columns) :]
        cells += [""] * (len(columns) - len(cells))
        if sum(len(cell) for cell, name in zip(cells, columns, strict=True) if name) > MAX_ROW:
            return Line(number, _short(cells), "row_long")
        return Line(number, cells, attributes=attributes)

    def _name(self, place: int) -> str:
        return (self._columns[place] if place < len(self._columns) else "") or letters(place)

    def _cell(self, cell: Any, place: int) -> str:
        if place < len(self._columns) and not self._columns[place]:
            return _plain(cell).strip()[:1_000]  # not wanted: kept for whoever reads of the row
        text = _text(cell, place)
        if text and place >= len(self._columns):
            raise CellError("cell_nameless", place)
        return text

    def _typed(self, row: list[Any]) -> dict[str, str | int | float | bool]:
        found = {
            name: _typed(row[place], place, number=place in self._numeric)
            for place, name in self._attributes
            if place < len(row)
        }
        return {name: value for name, value in found.items() if value != ""}


def _short(cells: list[str]) -> list[str]:
    return [cell[:1_000] for cell in cells[:200]]


def _blank(row: list[Any]) -> bool:
    return row.count("") == len(row) or not any(_plain(cell).strip() for cell in row)


def _text(cell: Any, place: int) -> str:
    if isinstance(cell, float | int) and abs(cell) >= EXACT:
        raise CellError("cell_number", place)
    text = _plain(cell).strip()
    if len(text) > MAX_CELL:
        raise CellError("cell_long", place)
    return text


def _typed(cell: Any, place: int, *, number: bool) -> str | int | float | bool:
    """A cell as the value of an attribute: numbers and truth values stay what they are."""
    text = _text(cell, place)
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, float | int) and isfinite(cell):
        return int(cell) if cell == int(cell) else cell
    if number and isinstance(cell, str) and text:
        return float(text) if "." in text else int(text)
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


if __name__ == "__main__":
    main(sys.argv[1])
