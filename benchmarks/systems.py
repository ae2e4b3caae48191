"""Fresh databases to measure on, and what has to be in them."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg
import msgspec

from benchmarks.processes import ROOT
from ums import clock
from ums.config import Settings
from ums.core.channels import channels
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.maintenance.startup import open_system
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.db import Statement

sys.path.append(str(ROOT / "tests"))  # the tests know how to find a PostgreSQL
from support import postgres

_numbers = count()
# The numbers i from 1 to :count.
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
    " SELECT i FROM n",
    "postgresql": "SELECT CAST(i AS bigint) AS i FROM generate_series(1, CAST(:count AS int)) i",
}
_ADD = (
    "INSERT INTO users (userid, attributes, created_at, updated_at)"
    " SELECT 'u' || n.i, '{{}}', :at, :at FROM ({}) n"
)
_BIND = Statement(
    "INSERT INTO addresses (user_id, kind, bind_id, value)"
    " SELECT id, 'email', 'all', userid || '@users.example' FROM users"
)


class Databases:
    """Both kinds, PostgreSQL started once where there is one."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.kinds = ["SQLite", "PostgreSQL"] if server else ["SQLite"]

    @contextmanager
    def fresh(self, kind: str) -> Iterator[Settings]:
        """Settings of an empty database."""
        folder = Path(tempfile.mkdtemp(prefix="ums-bench-"))
        settings = Settings(data_dir=folder, demo=False, smtp_sessions=20)
        if kind == "PostgreSQL":
            name = f"ums_bench_{next(_numbers)}"
            asyncio.run(_sql(self._server, f"CREATE DATABASE {name}"))
            url = f"{self._server.rpartition('/')[0]}/{name}"
            settings = msgspec.structs.replace(settings, database_url=url)
        try:
            yield settings
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if kind == "PostgreSQL":
                asyncio.run(_sql(self._server, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def databases() -> Iterator[Databases]:
    """SQLite, and PostgreSQL with its waiting for the disk where one is found."""
    if not postgres.describe():
        yield Databases("")
        return
    with postgres.server(durable=True) as url:
        yield Databases(url)


async def _sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


class Keys(msgspec.Struct):
    """What a caller logs in with."""

    channel: str  # key:secret
    channelkey: str


async def prepare(settings: Settings, port: int, users: int = 0) -> Keys:
    """A channel without a limit of calls, with a sender to the server at `port`, and so many
    users."""
    async with open_system(settings) as system:
        made = await channels.create(system, "bench")
        await channels.set_rules(system, made.channelkey, ChannelPolicy(requests_per_second=0))
        await senders.create(
            system,
            NewSender(
                code="bench",
                name="bench",
                host="127.0.0.1",
                port=port,
                encryption="none",
                from_address="bench@example.org",
                channels=[made.channelkey],
                allow_port=True,
            ),
        )
        if users:
            async with system.database.write() as tx:
                add = Statement(_ADD.format(NUMBERS[tx.dialect]))
                await tx.run(add, {"count": users, "at": clock.now()})
                await tx.run(_BIND)
    return Keys(f"{made.channelkey}:{made.mastersecret}", made.channelkey)
