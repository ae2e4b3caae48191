"""Lists as files that spreadsheets open."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from ums.console.rendering import SAFE_HEADERS

CSV: Final = "text/csv; charset=utf-8"
MARK: Final = "\ufeff"  # by it Excel knows that a file is UTF-8


def saved_as(name: str) -> dict[str, str]:
    """The headers of an answer that a browser saves as a file of this name."""
    return {**SAFE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}


def heads(columns: Sequence[str]) -> list[str]:
    """The heads of a file's columns: those with times say that they are in UTC."""
    return [f"{name} (UTC)" if name == "at" or name.endswith("_at") else name for name in columns]


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV."""
    file = io.StringIO()
    csv.writer(file).writerows([[_plain(cell) for cell in row] for row in rows])
    return file.getvalue()


def _plain(cell: object) -> object:
    """A text that a spreadsheet would take for a formula is text."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{cell}"
    return cell
