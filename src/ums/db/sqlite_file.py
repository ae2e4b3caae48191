"""Looking into a SQLite file without changing it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any


def read_untouched(path: Path, query: str) -> Sequence[Any]:
    """The rows of `query`; none where the file or what is asked for is not there.

    To be called while nobody else has the file open: the caller holds the `DataLock`. Neither the
    file nor its write-ahead log changes, and nothing is left beside them.
    """
    if not path.exists():
        return ()
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    # What a crash left in the log counts too, and to read it SQLite makes an index beside it.
    has_log = log.exists() and log.stat().st_size > 0
    had_index = index.exists()
    uri = f"{path.absolute().as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error:
        return ()
    finally:
        if has_log and not had_index:
            index.unlink(missing_ok=True)
