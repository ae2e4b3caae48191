"""The parent's side of `core.sheets`: start the reader, take its batches, outlive its end."""

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, cast

import msgspec

from ums.config import Settings
from ums.core import child, sheets
from ums.core.sheets import Batch, End, Fault, Head, Item, Order, Sight
from ums.errors import Invalid

BATCH = 1_000  # rows in one transaction: the web must not wait long behind it
_LONGEST = 8 * 1024 * 1024  # of a line; see sheets.MAX_LINE
_MEGABYTE = 1024 * 1024

_items = msgspec.json.Decoder(Item)


class Reader:
    """A reader process at work."""

    def __init__(self, process: Process, stream: asyncio.StreamReader, settings: Settings) -> None:
        self._process, self._stream = process, stream
        self._settings = settings
        self._left = settings.import_seconds

    async def next(self) -> Head | Sight | Batch | End:
        """The next thing the reader tells. Raises Invalid when the file, or the reader, fails."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                line = await self._stream.readline()
        except TimeoutError:
            raise self._too_slow() from None
        except ValueError:
            raise Invalid("sheet_limit", detail="a row is too long") from None
        # Only waiting counts: a slow database is not the file's fault.
        self._left -= time.monotonic() - began
        return self._understand(line) if line.endswith(b"\n") else await self._died()

    def _understand(self, line: bytes) -> Head | Sight | Batch | End:
        try:
            item = _items.decode(line)
        except msgspec.DecodeError:
            raise Invalid("sheet_unreadable", detail="the reader lost its way") from None
        if isinstance(item, Fault):
            reason = item.reason if item.reason.startswith("sheet_") else "sheet_unreadable"
            raise Invalid(reason, detail=item.detail)
        return item

    async def _died(self) -> Head:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()
        code = self._process.returncode
        if code in {-signal.SIGXCPU, -signal.SIGKILL}:
            raise self._too_slow()
        if code in {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS}:
            most = self._settings.import_memory // _MEGABYTE
            raise Invalid("sheet_limit", detail=f"reading it takes more than {most} MB of memory")
        raise Invalid("sheet_unreadable", detail="the reader stopped in the middle of it")

    def _too_slow(self) -> Invalid:
        most = f"{self._settings.import_seconds:g}"
        return Invalid("sheet_limit", detail=f"reading it takes more than {most} seconds")

    async def close(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        # A full pipe would keep the transport open after the process is gone.
        with suppress(ValueError):
            while await self._stream.read(65_536):
                pass
        await self._process.wait()


@asynccontextmanager
async def reading(
    path: Path,
    settings: Settings,
    start: int,
    names: list[str] | None = None,
    sheet: str | None = None,
) -> AsyncGenerator[Reader]:
    """A reader of the file at `path` that passes over its first `start` rows.

    `names` says what each column holds, whatever the header does.
    """
    order = _order(path, settings, "read", start)
    order.names, order.sheet = names, sheet
    async with _started(order, settings) as reader:
        yield reader


async def look(path: Path, settings: Settings, show: int, sheet: str | None = None) -> Sight:
    """The header and the first `show` rows of the file. Raises Invalid for one that is none."""
    order = _order(path, settings, "look", 0)
    order.show, order.sheet = show, sheet
    async with _started(order, settings) as reader:
        item = await reader.next()
    if not isinstance(item, Sight):
        raise Invalid("sheet_unreadable", detail="the reader lost its way")
    return item


async def check(path: Path, settings: Settings) -> None:
    """Raises Invalid when the workbook at `path` is over a limit, before it is unpacked."""
    async with _started(_order(path, settings, "check", 0), settings) as reader:
        await reader.next()


def _order(
    path: Path, settings: Settings, action: Literal["check", "look", "read"], start: int
) -> Order:
    return Order(
        path=str(path),
        action=action,
        start=start,
        batch=BATCH,
        rows=settings.import_rows,
        memory=settings.import_memory,
        seconds=max(1, round(settings.import_seconds)),
    )


@asynccontextmanager
async def _started(order: Order, settings: Settings) -> AsyncGenerator[Reader]:
    program, argument = str(Path(sheets.__file__)), msgspec.json.encode(order).decode()
    process = await child.start(program, argument, limit=_LONGEST)
    reader = Reader(process, cast(asyncio.StreamReader, process.stdout), settings)
    try:
        yield reader
    finally:
        await asyncio.shield(reader.close())
