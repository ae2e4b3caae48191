"""How rows are kept: SQLite in one process, or PostgreSQL among many. Only here do they differ."""

from ums.db.database import Database, Done, Tx, open_database, patience
from ums.db.group import GroupCommit
from ums.db.hot import Hot, rows_json
from ums.db.lock import DataLock, HeldError

__all__ = [
    "DataLock",
    "Database",
    "Done",
    "GroupCommit",
    "HeldError",
    "Hot",
    "Tx",
    "open_database",
    "patience",
    "rows_json",
]
