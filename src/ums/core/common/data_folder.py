"""The data folder: it and what lies in it are for the user that runs UMS alone."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from ums.config import SettingsError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OURS: Final = frozenset({"ums.db", "ums.key", "ums.lock"})
_NOBODYS: Final = frozenset({"lost+found"})  # of a file system that was just made


def secure(folder: Path) -> None:
    """Make the folder with mode 700, or tighten the one that is there, with its files.

    Raises SettingsError where others can read it and that cannot, or must not, be changed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _close(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            # What somebody else owns in a folder that is closed, nobody reaches.
            with suppress(FileNotFoundError, PermissionError):
                _tighten(entry)


def _close(folder: Path) -> None:
    mode = folder.stat().st_mode
    if not mode & _OTHERS:
        return
    names = set(os.listdir(folder)) - _NOBODYS
    if mode & stat.S_ISVTX or (names and not names & _OURS):
        # Of /tmp or of somebody's home, the rights are not ours to change.
        raise SettingsError(
            f"other users can read {folder.absolute()}, and it holds what is not of UMS: set"
            " UMS_DATA_DIR to a folder of its own, or close it with chmod 700"
        )
    try:
        folder.chmod(0o700)
    except OSError:
        raise SettingsError(
            f"other users can read {folder.absolute()}, and this user may not change that: set"
            " UMS_DATA_DIR to a folder inside it, or have its owner close it with chmod 700"
        ) from None


def _tighten(entry: os.DirEntry[str]) -> None:
    mode = entry.stat(follow_symlinks=False).st_mode
    plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    if plain and mode & _OTHERS:
        # It is no link, and in a folder that is closed nobody makes it one. Not every system can
        # do it without following (`follow_symlinks`).
        os.chmod(entry.path, stat.S_IMODE(mode) & ~_OTHERS)
