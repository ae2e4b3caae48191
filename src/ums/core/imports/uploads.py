"""Our own copy of an uploaded spreadsheet, under a random name in the data folder."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import IO

from ums import clock
from ums.config import Settings
from ums.core.common.durable_files import sync_folder
from ums.errors import Detail, Invalid

_PIECE = 256 * 1024
_MEGABYTE = 1024 * 1024


async def keep(settings: Settings, path: Path) -> tuple[Path, str]:
    """Copy the file at `path`: (the copy's path, its SHA-256).

    The copy is on the disk when this returns. Raises Invalid when there is no such file or it is
    larger than `settings.import_limit_bytes`.
    """
    return await asyncio.to_thread(_keep, settings, path)


async def keep_stream(settings: Settings, source: IO[bytes], name: str) -> tuple[Path, str]:
    """The same for an upload that was called `name`."""
    return await asyncio.to_thread(_take, settings, source, name)


async def discard(copy: Path) -> None:
    """Remove a copy; it is no error that it is gone."""
    await asyncio.to_thread(copy.unlink, missing_ok=True)


async def leave_only(settings: Settings, wanted: Collection[str]) -> int:
    """Remove the copies, a day old or older, whose path is not in `wanted`; how many."""
    return await asyncio.to_thread(_leave_only, settings, wanted)


def _leave_only(settings: Settings, wanted: Collection[str]) -> int:
    before, count = (clock.now() - clock.DAY) / clock.SECOND, 0
    for copy in _folder(settings).iterdir():
        # A young one may belong to an upload that is just being looked at.
        if str(copy) not in wanted and copy.stat().st_mtime < before:
            copy.unlink(missing_ok=True)
            count += 1
    return count


def _folder(settings: Settings) -> Path:
    folder = settings.data_dir.resolve() / "imports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _keep(settings: Settings, path: Path) -> tuple[Path, str]:
    if not path.is_file():
        raise Invalid("file_missing", path=path.name)
    with path.open("rb") as source:
        return _take(settings, source, path.name)


def _take(settings: Settings, source: IO[bytes], name: str) -> tuple[Path, str]:
    suffix = ".xlsx" if name.lower().endswith((".xlsx", ".xlsm")) else ".csv"
    copy = _folder(settings) / f"{secrets.token_hex(16)}{suffix}"
    try:
        return copy, _copy(source, copy, settings.import_limit_bytes)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise


def _copy(source: IO[bytes], copy: Path, most: int) -> str:
    digest, size = hashlib.sha256(), 0
    file = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as target:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > most:
                raise Invalid("sheet_limit", detail=Detail("sheet_size", limit=most // _MEGABYTE))
            digest.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    sync_folder(copy.parent)
    return digest.hexdigest()
