"""One process at a time may write a SQLite database; this lock says which one."""

import fcntl
import os
from pathlib import Path


class HeldError(Exception):
    """Another process holds the data folder."""


class DataLock:
    """An advisory lock on `ums.lock` in the data folder; ends with the process, however it ends.

    SQLite itself would allow several writing processes, but until 3.51.3 a race between them
    could corrupt the write-ahead log (architecture.md, SQLite's rule).
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ums.lock"
        self._file: int | None = None

    def take(self) -> None:
        """Raises HeldError when another process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise HeldError(str(self._path)) from None
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
