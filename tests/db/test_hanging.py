"""A PostgreSQL that says nothing at all, and does not hang up either (F20)."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from support import postgres
from support.databases import Databases
from support.doors import open_door
from ums.app import PATIENCE
from ums.config import Settings
from ums.db import open_database, patience
from ums.errors import Unavailable

pytestmark = [
    pytest.mark.skipif(not postgres.can_start(), reason="no PostgreSQL is here to be started"),
    pytest.mark.slow,
]
BODY = {"aud_email": [{"data": ["a@example.org"]}], "msg_email": [{"subject": "s", "text": "t"}]}


@pytest.fixture(scope="module")
def own_server() -> Iterator[postgres.Cluster]:
    """A server that can be stopped while others go on with theirs."""
    with postgres.started() as own:
        yield own


@pytest.fixture
def settings(own_server: postgres.Cluster, tmp_path: Path) -> Iterator[Settings]:
    databases = Databases(own_server.url)
    with databases.lend() as url:
        yield Settings(data_dir=tmp_path, demo=False, database_url=url)
    databases.close()


def processes(server: postgres.Cluster) -> list[int]:
    """The server's processes, its first one last."""
    children = subprocess.run(
        ["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=True
    )
    return [*map(int, children.stdout.split()), server.pid]


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


async def test_no_request_hangs_and_all_goes_on(
    settings: Settings, own_server: postgres.Cluster
) -> None:
    """The figure of reliability.md: no request hangs for more than 10 s; some room for a busy
    machine."""
    async with open_door(settings) as door:
        channel = await door.channel()
        sent = await door.post("/v1/sent", BODY, channel)
        assert sent.status == 200
        pids = processes(own_server)
        began = time.monotonic()
        with frozen(pids):
            asked = (
                door.post("/v1/sent", BODY, channel),
                door.get("/readyz"),
                door.get("/healthz"),
            )
            posted, ready, alive = await asyncio.gather(*asked)
            hung = time.monotonic() - began
        assert (posted.told, ready.told) == ((503, 5000, "unavailable"),) * 2
        assert alive.status == 200
        assert hung < PATIENCE + 12
        assert (await door.get("/readyz")).status == 200
        assert (await door.post("/v1/sent", BODY, channel)).status == 200


async def test_a_statement_that_hangs_is_given_up(settings: Settings) -> None:
    database = open_database(settings.database_url, settings.data_dir)
    token = patience.set(0.2)
    try:
        with pytest.raises(Unavailable):
            async with database.write() as tx:
                await tx.value(text("SELECT pg_sleep(30)"))
        async with database.read() as tx:
            assert await tx.value(text("SELECT 1")) == 1
    finally:
        patience.reset(token)
        await database.close()
