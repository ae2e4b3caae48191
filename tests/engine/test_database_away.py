"""The database goes away in the middle of sending and comes back: nothing lost, nothing twice."""

import asyncio
from collections import Counter

import msgspec
import pytest
from sqlalchemy import text

from support.databases import end_connections, execute
from support.fakes import Act, SmtpServer
from support.flow import open_flow, until
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.engine.delivery import dispatcher, journal
from ums.engine.worker import running
from ums.errors import Unavailable


@pytest.fixture
def dialect() -> str:
    return "postgresql"


async def test_sending_goes_on_after_the_database_was_away(
    settings: Settings, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "AUDIT_SECONDS", 0.2)
    monkeypatch.setattr(journal, "PAUSES", (0.05,))
    async with open_system(settings) as system, SmtpServer() as server:
        server.script["DOT"] = lambda call: Act(b"250 ok\r\n", after=0.005)
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(600)
        async with running(system):
            for sent in (100, 300):
                await until(lambda goal=sent: _sent(server, goal))
                await _away(settings, postgres_server, system)
            counts = await flow.until_settled(msgid, 60)
    copies = Counter(mail.rcpt_to for mail in server.mails)
    assert set(copies.values()) == {1}
    # Nobody died, so every reply found its row in the end.
    assert counts == {"sent": 600}
    assert len(copies) == 600


async def _sent(server: SmtpServer, goal: int) -> bool:
    return len(server.mails) >= goal


async def _away(settings: Settings, server: str, system: AppContext) -> None:
    """Take the database away, see that it is felt, and give it back."""
    name = settings.database_url.rpartition("/")[2]
    await execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await end_connections(server, name)
    with pytest.raises(Unavailable):
        async with system.database.read() as tx:
            await tx.value(text("SELECT 1"))
    await execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_a_stop_without_the_database_ends(settings: Settings, postgres_server: str) -> None:
    name = settings.database_url.rpartition("/")[2]
    async with open_system(settings) as system, SmtpServer() as server:
        system.settings = _hasty(system)
        gate = asyncio.Event()
        server.script["DOT"] = lambda call: _after(gate)
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(20)
        async with running(system):
            await until(lambda: _at_dot(server))
            await execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await end_connections(postgres_server, name)
            gate.set()
        await execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        system.settings = settings
        async with system.database.write() as tx:
            await tx.run(_LEASES_END)
        async with running(system):
            counts = await flow.until_settled(msgid)
    copies = Counter(mail.rcpt_to for mail in server.mails)
    assert set(copies.values()) == {1}
    assert counts["sent"] + counts.get("unknown", 0) == 20


_LEASES_END = text("UPDATE workers SET lease_until = 1")


def _hasty(system: AppContext) -> Settings:
    return msgspec.structs.replace(system.settings, shutdown_seconds=0.3, lease_seconds=60.0)


async def _after(gate: asyncio.Event) -> None:
    await gate.wait()


async def _at_dot(server: SmtpServer) -> bool:
    return server.counts["DOT"] > 0
