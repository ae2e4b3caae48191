"""Transactions on both databases: cancelled, failed, and when the database is away."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from support.databases import end_connections, execute
from ums.config import Settings
from ums.db import Database, Statement, open_database, rows_json
from ums.errors import Conflict, Invalid, Unavailable

PUT = text("INSERT INTO meta (name, value) VALUES (:name, 'x')")
COUNT = text("SELECT count(*) FROM meta WHERE name LIKE 't%'")


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = open_database(settings.database_url, settings.data_dir)
    yield opened
    await opened.close()


async def count(database: Database) -> int:
    async with database.read() as tx:
        return await tx.value(COUNT)


async def put(database: Database, *names: str) -> None:
    async with database.write() as tx:
        for name in names:
            await tx.run(PUT, {"name": name})


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def broken() -> None:
        async with database.write() as tx:
            await tx.run(PUT, {"name": "t1"})
            raise LookupError

    with pytest.raises(LookupError):
        await broken()
    assert await count(database) == 0
    async with database.write() as tx:
        await tx.run(PUT, {"name": "t1"})
    assert await count(database) == 1


async def test_an_error_of_the_statement_is_told_and_rolled_back(database: Database) -> None:
    told = Conflict if database.dialect == "postgresql" else IntegrityError
    with pytest.raises(told):
        await put(database, "t1", "t1")
    assert await count(database) == 0


async def test_a_transaction_sees_nothing_of_an_open_one(database: Database) -> None:
    async with database.write() as tx:
        await tx.run(PUT, {"name": "t1"})
        assert await count(database) == 0
    assert await count(database) == 1


async def test_a_cancelled_transaction_does_not_spoil_the_next(database: Database) -> None:
    """Cancelled at every point: while it waits, begins, writes, commits."""
    await put(database, "first")
    kept = 0
    for turns in range(16):
        task = asyncio.create_task(put(database, f"t{turns}"))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        if turns % 2:
            time.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await put(database, f"tt{turns}")
        kept += 1 if task.cancelled() else 2
        assert kept <= await count(database) <= 2 * (turns + 1)


async def test_cancelled_waiters_do_not_hold_the_writer(database: Database) -> None:
    async def wait() -> None:
        async with database.write() as tx:
            await tx.run(PUT, {"name": "t9"})

    async with database.write() as tx:
        waiters = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        await tx.run(PUT, {"name": "t1"})
    async with database.write() as tx:
        await tx.run(PUT, {"name": "t2"})
    assert await count(database) == 2


async def test_a_reader_cannot_write_on_sqlite(database: Database) -> None:
    if database.dialect == "sqlite":
        with pytest.raises(Exception, match="readonly"):
            async with database.read() as tx:
                await tx.run(PUT, {"name": "t1"})
    assert await count(database) == 0


async def test_rows_of_every_type_go_in_and_out(database: Database) -> None:
    statement = Statement(
        "SELECT r.a, r.b, r.c, r.d FROM $rows(r: a bigint, b text, c smallint, d boolean)"
        " ORDER BY r.a"
    )
    rows = [
        (2**40, "你好 '\";:x$rows\\ \U0001f600", -3, True),
        (5, None, None, False),
        (9, "", 0, None),
    ]
    async with database.read() as tx:
        found = await tx.rows(statement, {"r": rows_json(rows)})
        assert [tuple(row) for row in found] == sorted(rows)
        assert await tx.rows(statement, {"r": rows_json([])}) == []


async def test_the_databases_own_clock_tells_leases(database: Database) -> None:
    statement = Statement("SELECT $now")
    async with database.read() as tx:
        now = await tx.value(statement, {"now": 5} if database.dialect == "sqlite" else None)
    assert now == 5 if database.dialect == "sqlite" else now > 1_700_000_000_000


async def test_locked_rows_are_passed_over(database: Database) -> None:
    statement = Statement("SELECT m.name FROM meta m WHERE m.name LIKE 't%' $lock(m)")
    async with database.write() as tx:
        await tx.run(PUT, {"name": "t1"})
    async with database.write() as tx:
        assert [row.name for row in await tx.rows(statement)] == ["t1"]
        if database.dialect == "postgresql":
            async with database.write() as other:
                assert await other.rows(statement) == []


def test_a_template_is_fitted_to_its_dialect() -> None:
    statement = Statement("SELECT id FROM m WHERE at <= $now LIMIT 1 $lock(m) $skip_locked")
    assert str(statement.on("sqlite")).split() == [
        "SELECT",
        "id",
        "FROM",
        "m",
        "WHERE",
        "at",
        "<=",
        ":now",
        "LIMIT",
        "1",
    ]
    fitted = str(statement.on("postgresql"))
    assert "FOR UPDATE OF m SKIP LOCKED" in fitted
    assert "clock_timestamp" in fitted
    assert statement.on("sqlite") is statement.on("sqlite")


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_postgresql_that_is_away_is_unavailable_and_comes_back(
    database: Database, settings: Settings, postgres_server: str
) -> None:
    name = settings.database_url.rpartition("/")[2]

    async def cut_off(*more: str) -> None:
        async with database.write() as tx:
            await tx.run(PUT, {"name": "t1"})
            await end_connections(postgres_server, name)
            for other in more:
                await tx.run(PUT, {"name": other})

    with pytest.raises(Unavailable):
        await cut_off("t2")  # at a statement
    with pytest.raises(Unavailable):
        await cut_off()  # at the commit
    assert await count(database) == 0
    await execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await end_connections(postgres_server, name)
    with pytest.raises(Unavailable):
        await count(database)
    await execute(postgres_server, f"ALTER DATABASE {name} RENAME TO {name}_away")
    with pytest.raises(Unavailable):
        await count(database)
    await execute(postgres_server, f"ALTER DATABASE {name}_away RENAME TO {name}")
    await execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert await count(database) == 0


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_deadlock_is_something_to_try_again(database: Database) -> None:
    async with database.write() as tx:
        for name in ("t1", "t2"):
            await tx.run(PUT, {"name": name})
    lock = text("SELECT name FROM meta WHERE name = :name FOR UPDATE")
    both = asyncio.Barrier(2)

    async def crosswise(first: str, second: str) -> None:
        async with database.write() as tx:
            await tx.run(lock, {"name": first})
            await both.wait()
            await tx.run(lock, {"name": second})

    answers = await asyncio.gather(
        crosswise("t1", "t2"), crosswise("t2", "t1"), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {Unavailable, type(None)}


async def test_nobody_listens_there(settings: Settings) -> None:
    database = open_database("postgresql://ums@127.0.0.1:9/none", settings.data_dir)
    with pytest.raises(Unavailable):
        await count(database)
    await database.close()


async def test_a_database_that_is_reached_by_tls_alone_hears_nothing_in_clear(
    settings: Settings,
) -> None:
    asks_for_tls, heard = bytes.fromhex("0000000804d2162f"), bytearray()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readexactly(len(asks_for_tls)))
        writer.write(b"N")
        heard.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://ums:hidden@127.0.0.1:{port}/none?ssl=require"
        database = open_database(url, settings.data_dir)
        with pytest.raises(Unavailable):
            await count(database)
        await database.close()
    assert heard
    assert not heard.replace(asks_for_tls, b"")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_full_disk_is_unavailable_and_passes(database: Database) -> None:
    async with database.write() as tx:
        pages = await tx.value(text("PRAGMA page_count"))
        await tx.run(text(f"PRAGMA max_page_count = {pages + 2}"))
    big = text("INSERT INTO meta (name, value) VALUES ('t1', :value)")
    with pytest.raises(Unavailable):
        async with database.write() as tx:
            await tx.run(big, {"value": "x" * 1_000_000})
    assert await count(database) == 0
    async with database.write() as tx:
        await tx.run(text("PRAGMA max_page_count = 1000000"))
        await tx.run(big, {"value": "x" * 1_000_000})
    assert await count(database) == 1


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite:///x"])
def test_other_urls_are_refused(url: str, tmp_path: object) -> None:
    with pytest.raises(Invalid):
        open_database(url, tmp_path)  # type: ignore[arg-type]
