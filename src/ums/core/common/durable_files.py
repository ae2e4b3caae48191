"""Small files of the data folder that are replaced whole."""

import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write the file with mode 600: after a crash or a power cut either the old content or the new
    one is there, and never a part. Raises OSError."""
    write_aside(path, content).replace(path)
    sync_folder(path.parent)


def write_aside(path: Path, content: bytes) -> Path:
    """Write a new file beside `path`, to be renamed or linked to that; gives its path."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return aside


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable, on systems that know how."""
    if os.name == "nt":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
