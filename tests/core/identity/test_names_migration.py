"""What the migration to unique names and to makers of tokens does with old data."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

import ums.migrations
from ums.core.common import operator_names
from ums.core.tables import operators, tokens
from ums.db import open_database
from ums.migrations import runner


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of an empty database."""
    if dialect == "sqlite":
        yield ""
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"ums_names_{os.getpid()}"

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name}"))
    yield f"{server.rpartition('/')[0]}/{name}"
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


def _old(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(ums.migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0022")
    for name in ("Li", "li", "zhao"):
        row = {"name": name, "at": 1}
        sql = "INSERT INTO operators (name, password_hash, role, created_at)"
        connection.execute(text(f"{sql} VALUES (:name, '', 'viewer', :at)"), row)
    for made_by in ("operator:li", "token:1:CI", "local", "token:99:gone"):
        row = {"by": made_by, "digest": made_by}
        sql = "INSERT INTO tokens (name, digest, hint, scopes, channels, created_by, created_at)"
        values = "VALUES ('t', :digest, '', '[]', 'null', :by, 1)"
        connection.execute(text(f"{sql} {values}"), row)


async def test_names_that_look_alike_stay_and_no_further_one_is_made(
    url: str, tmp_path: Path
) -> None:
    database = open_database(url, tmp_path)
    try:
        await database.exclusively(_old)
        await runner.migrate(database)
        async with database.read() as tx:
            found = await tx.rows(select(operators).order_by(operators.c.id))
            made = await tx.rows(select(tokens).order_by(tokens.c.id))
    finally:
        await database.close()
    assert [row.name for row in found] == ["Li", "li", "zhao"]
    assert len({row.name_key for row in found}) == 3
    assert found[0].name_key == operator_names.key("LI")
    assert [(row.operator_id, row.parent_id) for row in made] == [
        (2, None),
        (None, 1),
        (None, None),
        (None, None),
    ]
