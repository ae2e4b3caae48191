"""Verbs of messages."""

from typing import Any

import msgspec
from msgspec import Struct

from ums.core import channels, reports
from ums.core.messages import Intake
from ums.core.system import System
from ums.core.verbs.base import Verb


class Send(Struct):
    channel: str
    body: dict[str, Any]
    broadcast: bool = False
    key: str | None = None


class MessageShow(Struct):
    msgid: str
    deliveries: bool = False
    state: str | None = None
    after: str | None = None
    limit: int = 100


async def _send(system: System, intake: Intake, p: Send) -> object:
    system.directory.forget()
    channel = channels.find(await system.directory.now(), p.channel)
    body = msgspec.json.encode(p.body)
    return await intake.accept(channel, body, broadcast=p.broadcast, key=p.key, origin="cli")


async def _message_show(system: System, _: Intake, p: MessageShow) -> object:
    async with system.database.read() as tx:
        shown: dict[str, Any] = msgspec.to_builtins(await reports.message(tx, p.msgid))
        if p.deliveries:
            page = await reports.list_deliveries(
                tx, p.msgid, state=p.state, after=p.after, limit=p.limit
            )
            shown["deliveries"] = msgspec.to_builtins(page.items)
            shown["next"] = page.next
    return shown


VERBS = {
    "message.send": Verb(Send, _send),
    "message.show": Verb(MessageShow, _message_show),
}
