"""How rows are kept: SQLite in one process, or PostgreSQL among many. Only here do they differ."""

from ums.db.data_lock import DataLock, HeldError
from ums.db.database import Database, Done, Tx, open_database, patience
from ums.db.group_commit import GroupCommit
from ums.db.sqlite_file import read_untouched
from ums.db.statements import Statement, rows_json, to_json

__all__ = [
    "DataLock",
    "Database",
    "Done",
    "GroupCommit",
    "HeldError",
    "Statement",
    "Tx",
    "open_database",
    "patience",
    "read_untouched",
    "rows_json",
    "to_json",
]
