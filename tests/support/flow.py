"""Mail flowing through a whole system in the test's process: channel, sender, engine, server.

async with SmtpServer() as server:
    flow = await open_flow(system, server)
    async with running(system):
        msgid = await flow.send("zhang@example.cn")
        await flow.until_settled(msgid)
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import func, select

from support.fakes import SmtpServer
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.intake import Accepted, Intake
from ums.core.messages.requests import parse
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.core.tables import attempts, deliveries, messages
from ums.core.tables import senders as sender_table
from ums.core.tables.states import FINAL
from ums.core.users import users


async def accept_body(
    intake: Intake,
    channel: Channel,
    body: bytes,
    *,
    broadcast: bool,
    key: str | None = None,
    origin: str = "v1",
) -> Accepted:
    """Accept a body of `/v1/sent` or `/v1/broadcast`, as the route does."""
    asked, where = parse(body, broadcast=broadcast), b"broadcast\n" if broadcast else b"sent\n"
    return await intake.accept(channel, asked, where + body, key=key, origin=origin)


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
    """Wait until `check` gives something true; its result."""
    deadline = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        await asyncio.sleep(0.02)


def with_settings(system: AppContext, **changes: Any) -> None:
    system.settings = msgspec.structs.replace(system.settings, **changes)


def account(server: SmtpServer | int, key: str = "1234", **changes: Any) -> NewSender:
    """A sender to `server` (or a port) for the channel `key`."""
    port = server if isinstance(server, int) else server.port
    given: dict[str, Any] = {
        "code": "main",
        "name": "Main",
        "host": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "from_address": "news@sender.example",
        "from_name": "News",
        "channels": [key],
        "allow_port": True,
    }
    return NewSender(**{**given, **changes})


@dataclass
class Flow:
    """One channel of a system, and what can be seen of its mail."""

    system: AppContext
    key: str
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.system)

    async def channel(self) -> Channel:
        self.system.directory.forget()
        return (await self.system.directory.now()).channels[self.key]

    async def accept(self, *, broadcast: bool = False, **body: Any) -> str:
        """Accept a request of these fields; its msgid."""
        content = {"subject": "Hello 你好", "text": "<p>Body</p>"}
        body.setdefault("msg_email", [content])
        raw = json.dumps(body).encode()
        accepted = await accept_body(self.intake, await self.channel(), raw, broadcast=broadcast)
        return accepted.msgid

    async def send(self, *addresses: str, priority: int = 2, **body: Any) -> str:
        return await self.accept(
            aud_email=[{"data": list(addresses)}], option={"priority": priority}, **body
        )

    async def add_users(self, emails: dict[str, str], bind_id: str = "all") -> None:
        """Make users of these ids and addresses."""
        entries = [{"userid": id, "email": {bind_id: value}} for id, value in emails.items()]
        for start in range(0, len(entries), 1000):
            report = await users.opt(
                self.system, await self.channel(), entries[start : start + 1000]
            )
            assert not report.fail, report.fail[:3]

    async def broadcast(self, count: int, priority: int | None = None) -> str:
        """A broadcast to `count` new users."""
        await self.add_users({f"u{i}": f"u{i}@example.cn" for i in range(count)})
        return await self.accept(broadcast=True, option={"priority": priority})

    async def deliveries(self, msgid: str) -> list[Any]:
        query = select(deliveries).join(messages, messages.c.id == deliveries.c.message_id)
        async with self.system.database.read() as tx:
            wanted = query.where(messages.c.msgid == msgid).order_by(deliveries.c.id)
            return list(await tx.rows(wanted))

    async def delivery(self, msgid: str) -> Any:
        rows = await self.deliveries(msgid)
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    async def attempts(self, msgid: str) -> list[Any]:
        ids = [row.id for row in await self.deliveries(msgid)]
        query = select(attempts).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.id)
        async with self.system.database.read() as tx:
            return list(await tx.rows(query))

    async def counts(self, msgid: str) -> dict[str, int]:
        query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        wanted = query.join(messages, messages.c.id == deliveries.c.message_id)
        async with self.system.database.read() as tx:
            return {
                row[0]: row[1] for row in await tx.rows(wanted.where(messages.c.msgid == msgid))
            }

    async def until_settled(self, msgid: str, seconds: float = 60) -> dict[str, int]:
        """Wait until the message has deliveries and all have ended; their counts by state."""

        async def settled() -> dict[str, int]:
            found = await self.counts(msgid)
            return found if found and set(found) <= set(FINAL) else {}

        return await until(settled, seconds)

    async def until_state(self, msgid: str, state: str, seconds: float = 60) -> Any:
        """Wait until the message's only delivery is in `state`."""

        async def reached() -> Any:
            row = await self.delivery(msgid)
            return row if row is not None and row.state == state else None

        return await until(reached, seconds)

    async def sender(self, code: str = "main") -> Any:
        async with self.system.database.read() as tx:
            return await tx.first(select(sender_table).where(sender_table.c.code == code))

    async def until_resting(self, code: str = "main") -> Any:
        async def resting() -> Any:
            row = await self.sender(code)
            return row if row.cooldown_until is not None else None

        return await until(resting)


async def open_flow(
    system: AppContext, server: SmtpServer | int | None, key: str = "1234", **changes: Any
) -> Flow:
    """A channel, with a sender to `server` unless that is None."""
    await channels.create(system, f"Channel {key}", key)
    if server is not None:
        await senders.create(system, account(server, key, **changes))
    return Flow(system, key)
