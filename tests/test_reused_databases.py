"""That a database is as new when the next test gets it."""

import asyncio

import asyncpg
import pytest

from support.databases import Databases, Leak, execute


def _run(url: str, *statements: str) -> None:
    for statement in statements:
        asyncio.run(execute(url, statement))


async def _count(url: str) -> tuple[int, int]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetchval("SELECT count(*) FROM meta")
        return rows, await connection.fetchval("SELECT nextval('audit_id_seq')")
    finally:
        await connection.close()


def test_rows_and_numbers_begin_anew(postgres_databases: Databases) -> None:
    with postgres_databases.lend() as first:
        _run(first, "INSERT INTO meta VALUES ('a', 'b')", "SELECT nextval('audit_id_seq')")
    with postgres_databases.lend() as second:
        assert second == first
        assert asyncio.run(_count(second)) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE other (id int)",
        "ALTER TABLE meta ADD COLUMN other int",
        "DROP INDEX ix_audit_unsealed",
        "ANALYZE meta",
        "UPDATE alembic_version SET version_num = 'x'",
        "ALTER DATABASE {name} SET statement_timeout = 1000",
    ],
)
def test_a_database_of_another_form_is_not_used_again(
    postgres_databases: Databases, change: str
) -> None:
    with postgres_databases.lend() as first:
        name = first.rpartition("/")[2]
        _run(first, "INSERT INTO meta VALUES ('a', 'b')", change.format(name=name))
    with postgres_databases.lend() as second:
        assert second != first
        assert asyncio.run(_count(second)) == (0, 1)


def test_who_leaves_a_connection_open_fails(
    postgres_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.databases.PATIENCE", 0.1)

    loop = asyncio.new_event_loop()

    async def ask(url: str) -> asyncpg.Connection:
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT 42")
        return connection

    with pytest.raises(Leak, match="SELECT 42"), postgres_databases.lend() as url:
        connection = loop.run_until_complete(ask(url))
    connection.terminate()
    loop.close()
