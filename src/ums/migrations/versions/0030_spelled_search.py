"""users: search by characters of any script"""

import json
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from ums.core.users.search import texts_of

revision = "0030"
down_revision = "0029"

SLICE = 5_000
CLEAR = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS user_search_added",
        "DROP TRIGGER IF EXISTS user_search_removed",
        "DROP TRIGGER IF EXISTS user_search_changed",
        "DROP TABLE IF EXISTS user_search_terms",
        "DROP TABLE IF EXISTS user_search_index",
        "DELETE FROM user_search",
    ),
    "postgresql": ("DROP INDEX IF EXISTS ix_user_search_text", "TRUNCATE user_search"),
}
SQLITE = (
    "CREATE VIRTUAL TABLE user_search_index USING fts5("
    "text, content='user_search', content_rowid='id', detail='none', columnsize=0,"
    " tokenize='trigram case_sensitive 1')",
    "INSERT INTO user_search_index (user_search_index) VALUES ('rebuild')",
    "CREATE VIRTUAL TABLE user_search_terms USING fts5vocab(user_search_index, row)",
    "CREATE TRIGGER user_search_added AFTER INSERT ON user_search BEGIN"
    " INSERT INTO user_search_index (rowid, text) VALUES (new.id, new.text); END",
    "CREATE TRIGGER user_search_removed AFTER DELETE ON user_search BEGIN"
    " INSERT INTO user_search_index (user_search_index, rowid, text)"
    " VALUES ('delete', old.id, old.text); END",
    "CREATE TRIGGER user_search_changed AFTER UPDATE OF text ON user_search BEGIN"
    " INSERT INTO user_search_index (user_search_index, rowid, text)"
    " VALUES ('delete', old.id, old.text);"
    " INSERT INTO user_search_index (rowid, text) VALUES (new.id, new.text); END",
)
# Where the extension cannot be had, searches read the whole table: slower, and right.
POSTGRESQL = """
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_user_search_text ON user_search USING gin (text gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'pg_trgm is missing: searches of users will be slow';
END $$
"""
HELD = sa.text(
    "SELECT user_id, kind, bind_id, value FROM addresses WHERE user_id > :after AND user_id <= :to"
    " UNION ALL SELECT user_id, 'tag', bind_id, tag FROM tags"
    " WHERE user_id > :after AND user_id <= :to ORDER BY 1"
)


def upgrade() -> None:
    """Store the texts of all users anew, and index them."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for statement in CLEAR["sqlite" if sqlite else "postgresql"]:
        connection.exec_driver_sql(statement)
    _fill(connection)
    for statement in SQLITE if sqlite else (POSTGRESQL,):
        connection.exec_driver_sql(statement)


def _fill(connection: sa.Connection) -> None:
    after = 0
    while True:
        users = connection.execute(
            sa.text(
                "SELECT id, userid, CAST(attributes AS text) AS attributes FROM users"
                " WHERE id > :after ORDER BY id LIMIT :slice"
            ),
            {"after": after, "slice": SLICE},
        ).all()
        if not users:
            return
        rows = _texts(connection, users, after)
        put = sa.text("INSERT INTO user_search (user_id, bind_id, text) VALUES (:u, :b, :t)")
        connection.execute(put, rows)
        after = users[-1].id


def _texts(connection: sa.Connection, users: Any, after: int) -> list[dict[str, Any]]:
    held = connection.execute(HELD, {"after": after, "to": users[-1].id}).all()
    slots: dict[int, dict[tuple[str, str], list[str]]] = {}
    for user_id, group in groupby(held, key=lambda row: row[0]):
        mine = slots.setdefault(user_id, {})
        for _, kind, bind_id, value in group:
            mine.setdefault((kind, bind_id), []).append(value)
    return [
        {"u": user.id, "b": bind_id, "t": each}
        for user in users
        for bind_id, each in texts_of(
            user.userid, user.attributes or json.dumps({}), slots.get(user.id, {})
        ).items()
    ]
