"""Named locks: many share one, or one has it alone; on SQLite every writer is alone anyway."""

import asyncio

import pytest
from sqlalchemy import text

from ums.config import Settings
from ums.db import Database, open_database

LOCK = 42
PUT = text("INSERT INTO meta (name, value) VALUES ('t', 'x')")
COUNT = text("SELECT count(*) FROM meta WHERE name = 't'")


@pytest.fixture
async def database(settings: Settings) -> Database:
    return open_database(settings.database_url, settings.data_dir)


async def test_what_was_committed_before_is_seen(database: Database) -> None:
    """One who waits for the lock sees all that its holder wrote, though it began before."""
    written, asked = asyncio.Event(), asyncio.Event()

    async def alone() -> None:
        async with database.write() as tx:
            await tx.run(PUT)
            await tx.exclude(LOCK)
            written.set()
            await asked.wait()

    async def shares() -> int:
        await written.wait()
        asyncio.get_running_loop().call_soon(asked.set)
        async with database.write() as tx:
            await tx.share(LOCK)
            return await tx.value(COUNT)

    _, seen = await asyncio.gather(alone(), shares())
    assert seen == 1
    await database.close()


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_many_share_and_one_waits_for_them(database: Database) -> None:
    order: list[str] = []

    async def alone() -> None:
        async with database.write() as tx:
            await tx.exclude(LOCK)
            order.append("alone")

    async with database.write() as one, database.write() as two:
        await one.share(LOCK)
        await two.share(LOCK)
        waiting = asyncio.create_task(alone())
        while not await one.value(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        ):
            await asyncio.sleep(0.01)
        order.append("shared")
    await waiting
    assert order == ["shared", "alone"]
    await database.close()
