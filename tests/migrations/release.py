"""The database of a release as SQL text: written once at the release, and upgraded ever after.

    PYTHONPATH=src:tests .venv/bin/python tests/migrations/release.py

writes `releases/VERSION.sqlite.sql` and `releases/VERSION.postgresql.sql` with a small world in it,
for the version that `ums.__version__` names. A file of a version that was released never changes.
"""

import asyncio
import base64
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import asyncpg

from support import postgres, worlds
from support.databases import beside, execute
from support.doors import open_door
from ums import __version__
from ums.config import Settings

FOLDER: Final = Path(__file__).parent / "releases"
KEY: Final = base64.b64encode(b"a key of tests, which is no key.").decode()
SEARCH: Final = "user_search_index"  # virtual, with tables of its own
_TRIGRAMS: Final = """\
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
    {index}
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'pg_trgm is missing';
END $$;
"""


def write() -> None:
    """Write the two files of this version."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(Path(folder), "")
        asyncio.run(_fill(settings))
        with closing(sqlite3.connect(Path(folder) / "ums.db")) as connection:
            _put("sqlite", "\n".join(_of_sqlite(connection)))
    with postgres.server() as server, tempfile.TemporaryDirectory() as folder:
        name = f"ums_release_{os.getpid()}"
        url = beside(server, name)
        asyncio.run(execute(server, f"CREATE DATABASE {name}"))
        asyncio.run(_fill(_settings(Path(folder), url)))
        _put("postgresql", _of_postgresql(url))
        asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def _settings(folder: Path, url: str) -> Settings:
    return Settings(data_dir=folder, database_url=url, demo=False, secret_key=KEY)


async def load(settings: Settings, text: str) -> None:
    """Make the database of `settings`, which is empty, that of a release."""
    if settings.is_sqlite:
        with closing(sqlite3.connect(settings.data_dir / "ums.db")) as connection:
            connection.executescript(f"BEGIN;\n{text}\nCOMMIT;")
        return
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute(text)
    await connection.close()


async def _fill(settings: Settings) -> None:
    async with open_door(settings) as door:
        await worlds.make(door)


def _put(dialect: str, text: str) -> None:
    (FOLDER / f"{__version__}.{dialect}.sql").write_text(text.rstrip("\n") + "\n", "utf-8")


def _of_sqlite(connection: sqlite3.Connection) -> Iterator[str]:
    kinds = "CASE type WHEN 'table' THEN sql LIKE 'CREATE VIRTUAL%' WHEN 'index' THEN 2 ELSE 3 END"
    query = f"SELECT name, sql FROM sqlite_master WHERE sql <> '' ORDER BY {kinds}, rowid"
    for name, sql in connection.execute(query).fetchall():
        if name.startswith((f"{SEARCH}_", "sqlite_")):
            continue
        yield f"{sql};"
        if sql.startswith("CREATE TABLE"):
            yield from _rows(connection, name)
        elif name == SEARCH:
            yield f"INSERT INTO {SEARCH} ({SEARCH}) VALUES ('rebuild');"


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    quoted = " || ', ' || ".join(f'quote("{column}")' for column in columns)
    for (values,) in connection.execute(f"SELECT {quoted} FROM {table}"):
        yield f"INSERT INTO {table} VALUES ({values});"


def _of_postgresql(url: str) -> str:
    command = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", "--no-comments", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    kept, index = [], ""
    for line in done.stdout.splitlines():
        if line.startswith(
            ("SET ", "SELECT pg_catalog.set_config", "--", "\\", "CREATE EXTENSION")
        ):
            continue
        if "gin_trgm_ops" in line:
            index = line
        elif line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join([*kept, _TRIGRAMS.format(index=index)])


if __name__ == "__main__":
    write()
