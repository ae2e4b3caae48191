"""The files that spreadsheets come in: workbooks (.xlsx, .ods) and text with columns (.csv).

Runs in the reader's process (`worker`). The content decides what a file is, never its name.
"""

import csv
import re
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from ums.core.spreadsheets.protocol import MAX_LINE, MAX_SHEETS, Numbered, Order, SheetError

Rows = Callable[[], Iterator[Numbered]]
_MOST_LOOKED_AT: Final = 10  # sheets
_MARKUP: Final = re.compile(
    rb"\s*(?:<!doctype html|<html|<\?xml|<table|<head|<meta|<office:|<workbook)", re.IGNORECASE
)

_OTHER_FORMATS: Final = (
    *(b"%PDF-", b"{\\rtf", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    *(b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"),
)
"""How files begin that may pass for text with columns: PDF, RTF, pictures, archives."""


def is_workbook(path: str) -> bool:
    """Whether the content is that of an .xlsx or .ods file; text with columns is none.

    Raises SheetError for what is neither.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise SheetError("sheet_unreadable", "old_workbook")
    if start.startswith(b"PK\x03\x04"):
        return True
    if start.startswith(_OTHER_FORMATS):
        raise SheetError("sheet_unreadable", "no_workbook")
    text = start.removeprefix(b"\xef\xbb\xbf")
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        text = start.decode("utf-16", "ignore").encode()
    if _MARKUP.match(text):
        raise SheetError("sheet_unreadable", "markup")
    if path.endswith(".xlsx"):
        raise SheetError("sheet_unreadable", "no_workbook")
    return False


def check_archive(order: Order) -> None:
    """Look at the zip directory, before anything is unpacked. Raises SheetError."""
    try:
        with zipfile.ZipFile(order.path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        raise SheetError("sheet_unreadable", "no_workbook") from None
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > order.entries:
        raise SheetError("sheet_limit", "many_parts", limit=order.entries)
    if unpacked > order.unpacked:
        raise SheetError("sheet_limit", "unpacked", limit=order.unpacked // 2**20)
    if unpacked > order.ratio * max(packed, 10_000):
        raise SheetError("sheet_limit", "packed", limit=order.ratio)


def text_rows(order: Order) -> Rows:
    """The rows of a text with columns, whose encoding and separator show in it."""
    encoding = _encoding(order.path)
    delimiter = _delimiter(order.path, encoding)
    csv.field_size_limit(MAX_LINE)

    def rows() -> Iterator[Numbered]:
        with open(order.path, encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                yield from enumerate(reader, 1)
            except csv.Error:
                line = reader.line_num
                raise SheetError("sheet_unreadable", "broken_line", line=line) from None

    return rows


def open_book(order: Order) -> Any:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    return CalamineWorkbook.from_path(order.path)


def book_rows(book: Any, order: Order) -> Rows:
    """The rows of the sheet that the order names."""
    names = shown_sheets(book)
    if order.sheet is not None and order.sheet not in names:
        raise SheetError("sheet_unreadable", "no_such_sheet", names=", ".join(names)[:300])
    sheet = book.get_sheet_by_name(names[0] if order.sheet is None else order.sheet)
    if sheet.total_width > order.columns:
        raise SheetError("sheet_limit", "many_columns", limit=order.columns)
    return lambda: enumerate(sheet.iter_rows(), 1)


def shown_sheets(book: Any) -> list[str]:
    """The names of the sheets that are no charts and not hidden."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415

    tables = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    shown = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
    if not shown:
        raise SheetError("sheet_unreadable", "no_sheet")
    return shown[:MAX_SHEETS]


def likely_sheet(book: Any, rank: Callable[[Iterator[Numbered]], int]) -> str | None:
    """The first sheet that `rank` says more than 1 of, else the first that it says 1 of."""
    filled: str | None = None
    for name in shown_sheets(book)[:_MOST_LOOKED_AT]:
        rated = rank(enumerate(book.get_sheet_by_name(name).iter_rows(), 1))
        if rated > 1:
            return name
        filled = name if rated and filled is None else filled
    return filled


def _encoding(path: str) -> str:
    with open(path, "rb") as file:
        start = file.read(3)
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        if _decodes(path, "utf-16"):
            return "utf-16"  # what Excel calls Unicode text
        raise SheetError("sheet_unreadable", "encoding")
    for encoding in ("utf-8-sig", "gb18030"):
        if _decodes(path, encoding):
            return encoding
    raise SheetError("sheet_unreadable", "encoding")


def _decodes(path: str, encoding: str) -> bool:
    try:
        with open(path, encoding=encoding, newline="") as file:
            for piece in iter(lambda: file.read(65_536), ""):
                if "\x00" in piece:
                    raise SheetError("sheet_unreadable", "binary")
    except UnicodeError:
        return False
    return True


def _delimiter(path: str, encoding: str) -> str:
    """What stands in most of the first lines: a title above them has none, or another."""
    with open(path, encoding=encoding, newline="") as file:
        filled = (line for line in iter(lambda: file.readline(65_536), "") if line.strip())
        lines = list(islice(filled, 20))
    lines = lines or [""]
    return max(",;\t", key=lambda mark: (sum(mark in one for one in lines), lines[0].count(mark)))
