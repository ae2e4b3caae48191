"""PostgreSQL databases for tests: emptied and used again, as making one takes half a second."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from support.transition_guard import guard_transitions
from ums.db import open_database
from ums.migrations import runner

USES: Final = 40  # deleted rows stay in the files, and slow scans down after a while
PATIENCE: Final = 3.0  # seconds in which the server notices that a client is gone

_SCHEMA: Final = """
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat(relname, relkind), ',' ORDER BY relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(concat(attrelid::regclass, attname, atttypid, attnotnull, atthasdef), ','
    ORDER BY attrelid, attnum) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0),
  (SELECT string_agg(concat(conname, convalidated), ',' ORDER BY conname) FROM pg_constraint),
  (SELECT string_agg(concat(indexrelid::regclass, indisvalid), ',' ORDER BY indexrelid)
    FROM pg_index WHERE NOT indisvalid),
  (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger),
  (SELECT string_agg(concat(setdatabase, setrole, setconfig), ',') FROM pg_db_role_setting),
  (SELECT count(*) FROM pg_statistic JOIN pg_class ON pg_class.oid = starelid
    WHERE relnamespace = 'public'::regnamespace)))
"""
_EMPTY: Final = """
SET session_replication_role = replica;
DO $$
DECLARE t regclass;
BEGIN
  FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind = 'r' AND relname <> ALL (ARRAY[{seeded}]::text[])
  LOOP
    EXECUTE format('DELETE FROM %s', t);
  END LOOP;
  PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""


class Leak(AssertionError):
    """A test has ended and left a connection open."""


class Databases:
    """Migrated databases of one server, each of one test at a time."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.template = f"ums_template_{os.getpid()}"
        self._numbers = itertools.count()
        self._uses = USES
        self._free: list[tuple[str, int]] = []  # names, and how often each was used
        asyncio.run(self._make_template())

    async def _make_template(self) -> None:
        await execute(self.server, f"CREATE DATABASE {self.template}")
        database = open_database(beside(self.server, self.template), Path())
        await runner.migrate(database)
        await guard_transitions(database)
        await database.close()
        connection = await asyncpg.connect(beside(self.server, self.template))
        try:
            if await connection.fetchval("SHOW is_superuser") != "on":
                self._uses = 0  # only a superuser empties tables without regard to their order
            self._seeded = await _seeded(connection)
            self._fresh = await self._state(connection)
        finally:
            await connection.close()

    @contextmanager
    def lend(self, *, leaks: bool = False) -> Iterator[str]:
        """The URL of a database that is as after a migration. Raises Leak for who leaves a
        connection to it open, unless that is what the test is about."""
        name, uses = self._free.pop() if self._free else (self._make(), 0)
        try:
            yield beside(self.server, name)
        except BaseException:
            self._drop(name)
            raise
        left = asyncio.run(self._clean(name)) if uses < self._uses else None
        if left == "":
            self._free.append((name, uses + 1))
            return
        self._drop(name)
        if left and not leaks:
            raise Leak(f"left open: {left}")

    def close(self) -> None:
        """Drop what is not lent."""
        for name, _ in self._free:
            self._drop(name)
        self._drop(self.template)

    def _make(self) -> str:
        name = f"ums_test_{os.getpid()}_{next(self._numbers)}"
        asyncio.run(execute(self.server, f"CREATE DATABASE {name} TEMPLATE {self.template}"))
        return name

    def _drop(self, name: str) -> None:
        asyncio.run(execute(self.server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    async def _clean(self, name: str) -> str | None:
        """Empty the database: "" when it can be used again, else None, or what is still connected
        to it."""
        try:
            connection = await asyncpg.connect(beside(self.server, name))
        except (asyncpg.PostgresError, OSError):
            return None  # dropped, renamed or closed by the test
        try:
            left = await _connected(connection)
            if left:
                return left
            await connection.execute(_EMPTY.format(seeded=", ".join(map(_literal, self._seeded))))
            return "" if await self._state(connection) == self._fresh else None
        finally:
            await connection.close()

    async def _state(self, connection: Any) -> list[object]:
        state: list[object] = [await connection.fetchval(_SCHEMA)]
        for table in self._seeded:
            state.append(await connection.fetch(f"SELECT t::text FROM {table} t ORDER BY 1"))
        return state


async def _seeded(connection: Any) -> list[str]:
    """Tables that a migration leaves rows in."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = [row[0] for row in tables]
    return [one for one in found if await connection.fetchval(f"SELECT 1 FROM {one} LIMIT 1")]


async def _connected(connection: Any) -> str:
    """What others connected to this database do, once the server had time to notice their end."""
    query = (
        "SELECT string_agg(concat(application_name, ' ', state, ' ', left(query, 200)), '; ')"
        " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    for _ in range(round(PATIENCE / 0.02)):
        left = await connection.fetchval(query)
        if not left:
            return ""
        await asyncio.sleep(0.02)
    return str(left)


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def end_connections(url: str, name: str) -> None:
    """End all connections to the database `name`."""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
    await execute(url, f"{end} '{name}'")


def beside(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return f"{url.rpartition('/')[0]}/{name}"
