"""Files as streams: what clients upload, and files that are made for one answer."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import IO, Final, TypeVar

from litestar.datastructures import UploadFile

T = TypeVar("T")
PIECE: Final = 256 * 1024  # bytes that are read at once


async def temporary_file(
    folder: Path, suffix: str, write: Callable[[Path], Awaitable[object]]
) -> IO[bytes]:
    """Open a file that `write` fills and that nobody else finds: it is gone once it is closed."""
    number, name = tempfile.mkstemp(suffix=suffix, dir=folder)
    os.close(number)
    path = Path(name)
    try:
        await write(path)
        return await asyncio.to_thread(path.open, "rb")
    finally:
        path.unlink()  # whoever has it open reads on


async def pieces_of(file: IO[bytes]) -> AsyncGenerator[bytes]:
    """Read an open file to its end, and close it."""
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


async def pieces_of_upload(file: UploadFile, size: int = PIECE) -> AsyncGenerator[bytes]:
    """Read an uploaded file by `size` bytes; the request closes it."""
    while piece := await asyncio.to_thread(file.file.read, size):
        yield piece


async def begin(pieces: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """Make the first of `pieces` now, and give them all.

    What cannot be made at all (a filter that fits nothing, no database) is raised here, where it
    can still be answered, and breaks no answer off that has begun.
    """
    none: object = object()
    first = await anext(pieces, none)

    async def all_of_them() -> AsyncGenerator[T]:
        async with aclosing(pieces):
            if first is not none:
                yield first  # type: ignore[misc]
            async for piece in pieces:
                yield piece

    return all_of_them()
