"""The parent's side of `worker`: start the reader, take its batches, outlive its end."""

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
from ums.core.isolation import child_process
from ums.core.spreadsheets import worker
from ums.core.spreadsheets.protocol import Batch, End, Fault, Head, Item, Order, Sight
from ums.db import to_json
from ums.errors import Detail, Invalid

BATCH = 1_000  # rows in one transaction: the web must not wait long behind it
_LONGEST = 8 * 1024 * 1024  # of a line; see sheets.MAX_LINE
_MEGABYTE = 1024 * 1024

# The package's own modules, and nothing else of what `-I` leaves out.
_PROGRAM = (
    "import sys, runpy; sys.path.insert(0, sys.argv[1]); del sys.argv[:2];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)

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
            raise _failed("sheet_limit", "long_row") from None
        # Only waiting counts: a slow database is not the file's fault.
        self._left -= time.monotonic() - began
        return self._understand(line) if line.endswith(b"\n") else await self._died()

    def _understand(self, line: bytes) -> Head | Sight | Batch | End:
        try:
            item = _items.decode(line)
        except msgspec.DecodeError:
            raise lost() from None
        if isinstance(item, Fault):
            reason = item.reason if item.reason.startswith("sheet_") else "sheet_unreadable"
            raise _told(reason, item)
        return item

    async def _died(self) -> Head:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()
        code = self._process.returncode
        if code in {-signal.SIGXCPU, -signal.SIGKILL}:
            raise self._too_slow()
        if code in {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS}:
            most = self._settings.import_memory_bytes // _MEGABYTE
            raise _failed("sheet_limit", "memory", limit=most)
        raise _failed("sheet_unreadable", "stopped")

    def _too_slow(self) -> Invalid:
        most = f"{self._settings.import_seconds:g}"
        return _failed("sheet_limit", "slow", limit=most)

    async def close(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        # A full pipe would keep the transport open after the process is gone.
        with suppress(ValueError):
            while await self._stream.read(65_536):
                pass
        await self._process.wait()


def lost() -> Invalid:
    """What a reader that tells nonsense comes to."""
    return _failed("sheet_unreadable", "lost")


def _told(reason: str, fault: Fault) -> Invalid:
    try:
        return _failed(reason, fault.detail, **fault.values)
    except (KeyError, IndexError, ValueError):  # no words of ours: it tells nonsense
        return lost()


def _failed(reason: str, detail: str, **values: object) -> Invalid:
    return Invalid(reason, detail=Detail(f"sheet_{detail}", **values))


@asynccontextmanager
async def reading(
    path: Path,
    settings: Settings,
    start: int,
    names: list[str] | None = None,
    sheet: str | None = None,
    header: int | None = None,
) -> AsyncGenerator[Reader]:
    """A reader of the file at `path` that passes over its first `start` rows.

    `names` says what each column holds, whatever the header does; `header` is its row's number.
    """
    order = _order(path, settings, "read", start)
    order.names, order.sheet, order.header = names, sheet, header
    async with _started(order, settings) as reader:
        yield reader


async def look(
    path: Path,
    settings: Settings,
    show: int,
    sheet: str | None = None,
    header: int | None = None,
) -> Sight:
    """The header and the first `show` rows of the file. Raises Invalid for one that is none."""
    order = _order(path, settings, "look", 0)
    order.show, order.sheet, order.header = show, sheet, header
    async with _started(order, settings) as reader:
        item = await reader.next()
    if not isinstance(item, Sight):
        raise lost()
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
        memory=settings.import_memory_bytes,
        seconds=max(1, round(settings.import_seconds)),
    )


@asynccontextmanager
async def _started(order: Order, settings: Settings) -> AsyncGenerator[Reader]:
    program, argument = str(Path(worker.__file__)), to_json(order)
    process = await child_process.start(
        "-c", _PROGRAM, child_process.ROOT, program, argument, limit=_LONGEST
    )
    reader = Reader(process, cast(asyncio.StreamReader, process.stdout), settings)
    try:
        yield reader
    finally:
        await asyncio.shield(reader.close())
