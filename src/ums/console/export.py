"""Lists as files that spreadsheets open."""

import csv
import io
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from litestar.response import Stream

from ums.console.rendering import SAFE_HEADERS, AnyRequest
from ums.console.stream_guard import watched
from ums.web.streams import begin

CSV: Final = "text/csv; charset=utf-8"
MARK: Final = "\ufeff"  # by it Excel knows that a file is UTF-8


async def stream_csv(
    request: AnyRequest,
    name: str,
    columns: Sequence[str],
    parts: AsyncGenerator[Iterable[Iterable[object]]],
) -> Stream:
    """An answer that is the rows of `parts` as CSV, of which the first part is there before it
    begins: whoever asks for what cannot be read gets an error and no file."""
    text = _lines(columns, await begin(parts))
    return Stream(watched(request, text), media_type=CSV, headers=saved_as(name))


async def _lines(
    columns: Sequence[str], parts: AsyncGenerator[Iterable[Iterable[object]]]
) -> AsyncGenerator[str]:
    yield MARK + lines([heads(columns)])
    async with aclosing(parts):
        async for part in parts:
            yield lines(part)


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
