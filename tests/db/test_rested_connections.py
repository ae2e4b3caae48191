"""Connections that PostgreSQL closed while they rested in the pool."""

import asyncpg
import pytest
from sqlalchemy import text

from ums.core.context.app_context import AppContext
from ums.db import engines
from ums.errors import Unavailable

ME = text("SELECT pg_backend_pid()")


@pytest.fixture
def dialect() -> str:
    return "postgresql"


async def cut(system: AppContext) -> None:
    """Have the server end the connection that the pool will hand out next."""
    async with system.database.read() as tx:
        pid = await tx.value(ME)
    other = await asyncpg.connect(system.settings.database_url)
    await other.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    await other.close()


async def test_a_connection_that_rested_is_asked_before_it_is_used(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cut(system)
    monkeypatch.setattr(engines, "PING_AFTER", 0.0)
    async with system.database.read() as tx:
        assert await tx.value(text("SELECT 1")) == 1


async def test_one_that_did_not_fails_as_unavailable_and_the_next_one_works(
    system: AppContext,
) -> None:
    await cut(system)
    with pytest.raises(Unavailable):
        async with system.database.read() as tx:
            await tx.value(text("SELECT 1"))
    async with system.database.read() as tx:
        assert await tx.value(text("SELECT 1")) == 1
