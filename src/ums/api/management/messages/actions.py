"""Stopping messages, letting them go on, and sending again what failed."""

from datetime import datetime
from typing import Annotated

from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, System
from ums.bounds import said
from ums.core.common.timestamps import milliseconds
from ums.core.messages import control, resolve_unknown
from ums.core.messages import reschedule as rescheduling
from ums.core.messages import resend as resending
from ums.core.messages.control import Tally
from ums.core.messages.resend import Resent
from ums.core.messages.resolve_unknown import Resolved
from ums.core.reporting import reports
from ums.core.reporting.reports import MessageInfo


class Which(Struct, forbid_unknown_fields=True):
    """Of which deliveries: those that fit both lists, as far as these are given."""

    states: list[Annotated[str, said(enum=list(resending.STATES))]] = []
    reasons: list[Annotated[str, said(pattern="^[^\\x00]*$")]] = []


class Found(Struct, forbid_unknown_fields=True):
    """What somebody found out: in the Sent folder, or by asking."""

    arrived: bool
    deliveries: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=2**63 - 1)]],
            Meta(description="Their ids; null: all unknown ones.", max_length=1000),
        ]
        | None
    ) = None


class Start(Struct, forbid_unknown_fields=True):
    """When a scheduled message is to start instead."""

    starts_at: Annotated[datetime, Meta(tz=True, description="Not sent before.")]
    deliver_by: (
        Annotated[
            Annotated[datetime, Meta(tz=True)],
            Meta(description="Given up then; null: as before, counted from the new start."),
        ]
        | None
    ) = None


async def _channel_of(system: System, caller: Caller, msgid: str) -> int:
    """The message's channel. Raises NotFound for a message that the caller does not see."""
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, caller.channels)
    return caller.channel(info.channelkey).id


@post("/api/messages/{msgid:str}/retract", status_code=200, scope="messages:write", channels="own")
async def retract(system: System, caller: Caller, msgid: FromPath[str]) -> Tally:
    """Stop it for good, within 24 hours; tells what was stopped, gone, in flight and unknown."""
    channel = await _channel_of(system, caller, msgid)
    return await control.retract(system, channel, msgid, actor=caller.name)


@post("/api/messages/{msgid:str}/cancel", status_code=200, scope="messages:write", channels="own")
async def cancel(system: System, caller: Caller, msgid: FromPath[str]) -> Tally:
    """Stop it for good, however old it is."""
    channel = await _channel_of(system, caller, msgid)
    return await control.cancel(system, channel, msgid, actor=caller.name)


@post("/api/messages/{msgid:str}/pause", status_code=200, scope="messages:write", channels="own")
async def pause(system: System, caller: Caller, msgid: FromPath[str]) -> Tally:
    """Stop it until it is resumed. Its lifetime goes on."""
    channel = await _channel_of(system, caller, msgid)
    return await control.pause(system, channel, msgid, actor=caller.name)


@post("/api/messages/{msgid:str}/resume", status_code=200, scope="messages:write", channels="own")
async def resume(system: System, caller: Caller, msgid: FromPath[str]) -> Tally:
    """Let it go on."""
    channel = await _channel_of(system, caller, msgid)
    return await control.resume(system, channel, msgid, actor=caller.name)


@post(
    "/api/messages/{msgid:str}/reschedule", status_code=200, scope="messages:write", channels="own"
)
async def reschedule(
    system: System, caller: Caller, msgid: FromPath[str], data: JSONBody[Start]
) -> MessageInfo:
    """Give a scheduled message another start; refused once it has begun."""
    channel = await _channel_of(system, caller, msgid)
    starts = milliseconds(data.starts_at, "starts_at")
    ends = None if data.deliver_by is None else milliseconds(data.deliver_by, "deliver_by")
    await rescheduling.reschedule(system, channel, msgid, starts, ends)
    async with system.database.read() as tx:
        return await reports.message(tx, msgid, channel)


@post("/api/messages/{msgid:str}/resend", status_code=200, scope="messages:write", channels="own")
async def resend(
    system: System,
    caller: Caller,
    msgid: FromPath[str],
    data: JSONBody[Which],
) -> Resent:
    """Send once more what failed; what was sent is never sent again."""
    channel = await _channel_of(system, caller, msgid)
    return await resending.resend(
        system, channel, msgid, states=data.states, reasons=data.reasons, actor=caller.name
    )


@post("/api/messages/{msgid:str}/resolve", status_code=200, scope="messages:write", channels="own")
async def resolve(
    system: System, caller: Caller, msgid: FromPath[str], data: JSONBody[Found]
) -> Resolved:
    """Say of deliveries whose outcome is unknown whether they arrived."""
    channel = await _channel_of(system, caller, msgid)
    return await resolve_unknown.resolve(
        system, channel, msgid, arrived=data.arrived, only=data.deliveries, actor=caller.name
    )


handlers = [retract, cancel, pause, resume, reschedule, resend, resolve]
