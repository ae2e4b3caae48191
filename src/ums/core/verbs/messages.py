"""Verbs of messages."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.messages.requests import parse
from ums.core.messages.scheduling import moment
from ums.core.reporting import reports
from ums.core.tables.states import MessageState
from ums.core.verbs.base import Limit, Verb
from ums.errors import NotFound


class Send(Struct):
    channel: str
    body: dict[str, Any]
    broadcast: bool = False
    key: str | None = None
    at: str | None = None
    deliver_by: str | None = None
    on_unknown: Literal["hold", "resend"] | None = None


class MessageShow(Struct):
    msgid: str
    deliveries: bool = False
    state: str | None = None
    after: str | None = None
    limit: int = 100


class MessageList(Struct):
    channel: str | None = None
    state: MessageState | None = None
    sender: str | None = None
    subject: str | None = None  # a part of it
    after: str | None = None
    limit: Limit = 100


async def _send(system: AppContext, intake: Intake, p: Send) -> object:
    channel = channels.find(await system.directory.fresh(), p.channel)
    body = msgspec.json.encode(p.body)
    request = msgspec.structs.replace(
        parse(body, broadcast=p.broadcast),
        starts_at=moment(p.at, "at") if p.at else 0,
        deliver_by=moment(p.deliver_by, "deliver_by") if p.deliver_by else None,
        on_unknown=p.on_unknown,
    )
    return await intake.accept(channel, request, msgspec.json.encode(p), key=p.key, origin="cli")


async def _message_list(system: AppContext, _: Intake, p: MessageList) -> object:
    now = await system.directory.fresh()
    channel = None if p.channel is None else channels.find(now, p.channel).id
    if p.sender is not None and p.sender not in now.sender_codes:
        raise NotFound("sender_unknown", code=p.sender[:30])
    async with system.database.read() as tx:
        return await reports.list_messages(
            tx,
            channel,
            state=p.state,
            sender=p.sender,
            subject=p.subject,
            after=p.after,
            limit=p.limit,
        )


async def _message_show(system: AppContext, _: Intake, p: MessageShow) -> object:
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
    "message.list": Verb(MessageList, _message_list),
    "message.send": Verb(Send, _send),
    "message.show": Verb(MessageShow, _message_show),
}
