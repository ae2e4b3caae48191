"""What the migrations make is what `core.tables` says: all of it, on both databases."""

import re

from sqlalchemy import text

from ums.config import Settings
from ums.core.tables import metadata
from ums.db import open_database

# Less what the tests add to it (support.transition_guard).
SQLITE = (
    "SELECT coalesce(sql, type || ' ' || name) FROM sqlite_master WHERE name <> 'legal_transitions'"
)
POSTGRESQL = """
    SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod),
      attnotnull, pg_get_expr(adbin, adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
# What is made by hand, as each database has its own: the index that users are searched by.
BY_HAND = {"sqlite": ("user_search_index",), "postgresql": ("ix_user_search_text",)}


async def test_migrations_make_the_tables(settings: Settings, empty: Settings) -> None:
    database = open_database(empty.database_url, empty.data_dir)
    await database.exclusively(metadata.create_all)
    await database.close()
    migrated, wanted = await schema_of(settings), await schema_of(empty)
    marks = ("alembic_version", *BY_HAND["sqlite" if settings.is_sqlite else "postgresql"])
    assert [one for one in migrated if not any(mark in " ".join(one) for mark in marks)] == wanted
    assert len(wanted) > len(metadata.tables)
    for mark in marks:
        assert any(mark in " ".join(one) for one in migrated)


async def schema_of(settings: Settings) -> list[list[str]]:
    """What the database says of each table, index and constraint, in lines whose order is fixed:
    that of the constraints of a table says nothing. Nor do the casts and parentheses that
    PostgreSQL puts around a condition, more of them where it was read from a dump."""
    database = open_database(settings.database_url, settings.data_dir)
    async with database.read() as tx:
        rows = await tx.rows(text(SQLITE if settings.is_sqlite else POSTGRESQL))
    await database.close()
    texts = [re.sub(r"::(character varying|text)(\[\])?|[()]", "", str(row[0])) for row in rows]
    return sorted(sorted(line.strip(" ,") for line in one.splitlines()) for one in texts)
