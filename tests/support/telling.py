"""A channel that is told: a flow, a receiver, and an address that was verified.

async with open_telling(system) as telling:
    async with running(system):
        await telling.flow.send("zhang@example.cn")
        await telling.receiver.until_told(2)
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select

from support.fakes import SmtpServer
from support.flow import Flow, account, open_flow, until, with_settings
from support.receiver import Receiver, receiving
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import Channel, touch
from ums.core.deliveries import queue
from ums.core.deliveries.expansion import expand
from ums.core.deliveries.queue import Attempt, Claimed, Result
from ums.core.senders import senders
from ums.core.tables import (
    audit,
    callback_addresses,
    callback_batches,
    callback_records,
    deliveries,
    messages,
)
from ums.core.tables import channels as channel_table
from ums.core.webhooks import backoff, endpoints
from ums.core.webhooks.endpoint_rows import AddressInfo
from ums.core.webhooks.signatures import Proof

ALLOWED: dict[str, Any] = {"callback_allow": "127.0.0.1/32", "callback_batch_seconds": 0.05}


@dataclass
class Telling:
    """One channel, its mail server, and the receiver of its callbacks."""

    system: AppContext
    flow: Flow
    smtp: SmtpServer
    receiver: Receiver
    address: AddressInfo

    async def channel(self) -> Channel:
        return await self.flow.channel()

    async def records(self) -> list[Any]:
        return await rows(self.system, callback_records)

    async def batches(self) -> list[Any]:
        return await rows(self.system, callback_batches)

    async def row(self) -> Any:
        return (await rows(self.system, callback_addresses))[0]


async def rows(system: AppContext, table: Any) -> list[Any]:
    async with system.database.read() as tx:
        return list(await tx.rows(select(table).order_by(table.c.id)))


async def set_rules(system: AppContext, key: str, rules: ChannelPolicy) -> None:
    text = msgspec.json.encode(rules).decode()
    async with system.database.write() as tx:
        mine = channel_table.update().where(channel_table.c.key == key)
        await tx.run(mine.values(rules=text))
        await touch(tx)
    system.directory.forget()


async def add_hosted(
    system: AppContext, channel: Channel, url: str, schedule: str = "hosted"
) -> AddressInfo:
    """An address that is told as the hosted UMS event_mask, which our receiver demands."""
    proof = Proof("hosted")
    return await endpoints.add(system, channel, url, schedule, proof, may_see_secret=True)


@asynccontextmanager
async def open_telling(
    system: AppContext, key: str = "1234", schedule: str = "hosted", **settings: Any
) -> AsyncGenerator[Telling]:
    with_settings(system, **{**ALLOWED, **settings})
    made = await channels.create(system, f"Channel {key}", key)
    async with SmtpServer() as smtp, receiving(key, str(made.mastersecret)) as receiver:
        await senders.create(system, account(smtp, key, code=f"sender{key}", name=f"Sender {key}"))
        flow = Flow(system, key)
        address = await add_hosted(system, await flow.channel(), receiver.url, schedule)
        yield Telling(system, flow, smtp, receiver, address)


# -- waiting and hurrying --------------------------------------------------------------------


def steps(monkeypatch: pytest.MonkeyPatch, name: str, *pauses: float) -> None:
    """Seconds between the tries of a schedule."""
    monkeypatch.setitem(backoff.STEPS, name, tuple(pause * 1000 for pause in pauses))


async def until_state(telling: Telling, state: str, count: int = 1) -> list[Any]:
    async def reached() -> list[Any]:
        found = [row for row in await telling.batches() if row.state == state]
        return found if len(found) >= count else []

    return await until(reached)


async def only(telling: Telling, *statuses: int) -> None:
    await set_rules(telling.system, telling.flow.key, ChannelPolicy(statuses=statuses))


async def audit_log(system: AppContext) -> list[tuple[str, ...]]:
    return [(row.actor, row.action, row.subject, row.detail) for row in await rows(system, audit)]


# -- without a receiver ------------------------------------------------------------------------


async def told_flow(system: AppContext, rules: ChannelPolicy | None = None, port: int = 1) -> Flow:
    """A channel whose messages are told, to two addresses that nobody verified."""
    flow = await open_flow(system, port)
    now = clock.now()
    row = {"channel_id": (await flow.channel()).id, "schedule": "hosted", "secret": ""}
    row |= {"state": "verified", "state_changed_at": now, "created_at": now}
    rows_ = [
        {**row, "url": f"http://{host}.example/", "is_default": host == "callback"}
        for host in ("callback", "other")
    ]
    async with system.database.write() as tx:
        await tx.run(insert(callback_addresses), rows_)
    await set_rules(system, flow.key, rules or ChannelPolicy())
    return flow


async def expanded(system: AppContext) -> None:
    while await expand(system.database):
        pass


async def told(system: AppContext) -> list[tuple[int, int]]:
    """(delivery, type) of every record."""
    return [(row.delivery_id, row.type) for row in await rows(system, callback_records)]


async def claimed(system: AppContext) -> list[Claimed]:
    async with system.database.write() as tx:
        sender = (await rows(system, deliveries))[0].sender_id
        return await queue.claim(tx, "me", sender, 2, 500)


def result(row: Claimed, state: str, event_mask: int, attempt: Attempt | None = None) -> Result:
    tries = row.tries + (attempt is not None)
    return Result(row.id, row.epoch, state, "why", 0, 0, tries, 0, attempt, event_mask)


def attempt(code: int, reply: str = "no") -> Attempt:
    return Attempt(1, clock.now(), 5, "rcpt", "refused", "why", code, "5.1.1", reply)


async def message(system: AppContext, msgid: str) -> Any:
    return next(row for row in await rows(system, messages) if row.msgid == msgid)
