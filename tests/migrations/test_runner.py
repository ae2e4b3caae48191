"""A database of another version: brought up to date, or refused and left as it is."""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ums import __version__
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.db import DataLock
from ums.errors import Invalid
from ums.migrations import runner

# Of revision 0030, the last before 0.2.0, as far as it tells one schema from the other.
OLD = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE meta (name VARCHAR(40) NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE channels (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(30) NOT NULL UNIQUE,
  key VARCHAR(32) NOT NULL UNIQUE, secret TEXT NOT NULL, open BOOLEAN NOT NULL,
  rules TEXT DEFAULT '{}' NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE senders (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(30) NOT NULL UNIQUE,
  cooldown_until BIGINT, warm_up_frozen BOOLEAN DEFAULT false NOT NULL);
INSERT INTO alembic_version VALUES ('0030');
INSERT INTO meta VALUES ('instance', '0f3a');
INSERT INTO channels VALUES (1, 'Shop', 'shop', 'sealed', true, '{}', 1780000000000);
INSERT INTO senders VALUES (1, 'mail', 1780000000000, false);
"""
# Leaves as a process does that is killed: what it wrote stands in the log alone.
KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.executescript(sys.stdin.read())
os._exit(0)
"""


def old_file(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(OLD)
    database.close()


def killed_file(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, path], input=OLD, text=True, check=True)
    path.with_name("ums.db-shm").unlink()
    assert path.with_name("ums.db-wal").stat().st_size > 0


def content(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "ums.lock"
    }


async def test_fresh_database_is_at_the_head(system: AppContext) -> None:
    assert await runner.revision(system.database) == runner.head()
    assert await runner.migrate(system.database) is False


@pytest.mark.parametrize("make", [old_file, killed_file])
async def test_a_file_of_before_the_release_is_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "ums.db")
    before = content(tmp_path)
    with pytest.raises(Invalid) as refused:
        async with open_system(Settings(data_dir=tmp_path)):
            pass
    assert refused.value.reason == "older_schema"
    for language, told in (("en", "before the first release (revision 0030)"), ("zh", "（0030）")):
        words = refused.value.words(language)
        assert told in words
        assert f"UMS {__version__}" in words
        assert "UMS_DATA_DIR" in words
    assert content(tmp_path) == before
    DataLock(tmp_path).take()  # nobody holds it


async def test_a_database_of_before_the_release_is_left_as_it_is(
    tmp_path: Path, postgres_server: str
) -> None:
    name = f"ums_before_{os.getpid()}"
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgres_server.rpartition('/')[0]}/{name}"
    try:
        own = await asyncpg.connect(url)
        await own.execute(OLD)
        before = await _rows(own)
        with pytest.raises(Invalid, match="0030"):
            async with open_system(Settings(data_dir=tmp_path, database_url=url)):
                pass
        assert await _rows(own) == before
        assert len(before) > 10
        await own.close()
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


async def _rows(connection: Any) -> list[Any]:
    """Every column there is, and every row."""
    found = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    for name in sorted({row["table_name"] for row in found}):
        found += await connection.fetch(f"SELECT * FROM {name}")
    return found


def test_a_file_of_this_version_passes(sqlite_template: Path, tmp_path: Path) -> None:
    runner.check_file(tmp_path / "none")
    (tmp_path / "rubbish").write_bytes(b"rubbish" * 1000)
    runner.check_file(tmp_path / "rubbish")  # opening it tells what is wrong with it
    shutil.copy(sqlite_template, tmp_path / "ums.db")
    runner.check_file(tmp_path / "ums.db")
    assert asyncio.run(_opened(tmp_path)) == runner.head()


async def _opened(folder: Path) -> str | None:
    async with open_system(Settings(data_dir=folder, demo=False)) as system:
        return await runner.revision(system.database)
