"""Killed while it makes or renews its tables (F14): all of the change is there, or nothing."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from faults.audit import Record
from support.databases import beside, execute
from ums.db import open_database
from ums.migrations import runner

KILLS = 12
MIGRATE = """
import asyncio, sys
from pathlib import Path
from ums.db import open_database
from ums.migrations import runner
database = open_database(sys.argv[1], Path(sys.argv[2]))
print("begun", flush=True)
asyncio.run(runner.migrate(database))
"""


def test_a_migration_is_whole_or_not_there(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest, record_property: Record
) -> None:
    server: str = request.getfixturevalue("postgres_server") if dialect == "postgresql" else ""
    chance, took, nothing = random.Random(5), 0.0, 0
    for n in range(KILLS + 1):
        with _fresh(server, tmp_path / str(n)) as (url, folder):
            if not n:
                took = _migrate(url, folder, None)
                whole = asyncio.run(_tables(url, folder))
                continue
            _migrate(url, folder, chance.uniform(0.0, took))
            found = asyncio.run(_revision(url, folder))
            assert found in (None, runner.head())
            nothing += found is None
            _migrate(url, folder, None)
            assert asyncio.run(_revision(url, folder)) == runner.head()
            assert asyncio.run(_tables(url, folder)) == whole
    told = f"{KILLS} kills of a migration: {nothing} times nothing was there, else all"
    record_property("faults", f"{dialect}, {told}")
    assert nothing > 0


@contextmanager
def _fresh(server: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """An empty database: its URL, and its folder."""
    folder.mkdir()
    if not server:
        yield "", folder
        assert asyncio.run(_sound(folder)) == "ok"
        return
    name = f"ums_migrating_{os.getpid()}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))
    yield beside(server, name), folder
    asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def _migrate(url: str, folder: Path, kill_after: float | None) -> float:
    """Seconds that it took, from its first touch of the database on."""
    command = [sys.executable, "-c", MIGRATE, url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        if kill_after is None:
            assert process.wait(60) == 0
        else:
            time.sleep(kill_after)
            process.kill()
        return time.monotonic() - began


async def _revision(url: str, folder: Path) -> str | None:
    database = open_database(url, folder)
    try:
        return await runner.revision(database)
    finally:
        await database.close()


async def _sound(folder: Path) -> str:
    database = open_database("", folder)
    async with database.read() as tx:
        found = str(await tx.value(text("PRAGMA integrity_check")))
    await database.close()
    return found


async def _tables(url: str, folder: Path) -> list[str]:
    """The names of all tables and indexes."""
    catalog = (
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' ORDER BY relname"
    )
    query = catalog if url else "SELECT name FROM sqlite_master ORDER BY name"
    database = open_database(url, folder)
    async with database.read() as tx:
        rows = await tx.rows(text(query))
    await database.close()
    return [str(row[0]) for row in rows]
