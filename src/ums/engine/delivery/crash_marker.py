"""Which mail this process is making, in a file that outlives it.

Making a mail is the one part of a hand-over that can take the process along: it runs native code
over what others wrote. The mark is eight octets in a mapped file, so it costs no system call and
stays when the process is killed. Whoever starts next reads whom it was about (quarantine).
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ums.engine.failpoints import reach

_PREFIX: Final = "making."
_ID: Final = struct.Struct("<q")


class CrashMarker:
    """This process's own; its file is locked as long as the process lives."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._path = folder / f"{_PREFIX}{owner}"
        self._file = _create(self._path)
        os.ftruncate(self._file, _ID.size)
        self._map = mmap.mmap(self._file, _ID.size)

    @contextmanager
    def making(self, delivery_id: int) -> Generator[None]:
        """If the process dies in this block, this delivery was the one."""
        self._put(delivery_id)
        reach("making")
        try:
            yield
        finally:
            self._put(0)

    def _put(self, delivery_id: int) -> None:
        if not self._map.closed:  # a stop may not have waited for everything
            _ID.pack_into(self._map, 0, delivery_id)

    def close(self) -> None:
        if self._map.closed:
            return
        self._map.close()
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def _create(path: Path) -> int:
    """A new file, locked; once more where somebody took it for a dead one's before its lock."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)


def left_behind(folder: Path) -> list[int]:
    """The deliveries whose mails dead processes of this machine were making; each is told once."""
    found: list[int] = []
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # locked: it lives
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                octets = os.pread(file, _ID.size, 0)
                path.unlink(missing_ok=True)
            finally:
                os.close(file)
            if len(octets) == _ID.size and (id := _ID.unpack(octets)[0]) > 0:
                found.append(id)
    return found
