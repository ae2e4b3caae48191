"""Approval: messages that wait until somebody lets them go, or refuses them."""

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, ChannelKey, Paging, System
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByTime
from ums.core.messages import approval
from ums.core.messages.approval import MAX_WHY, Waiting
from ums.core.reporting import reports
from ums.core.reporting.reports import MessageInfo


class Refusal(Struct, frozen=True, forbid_unknown_fields=True):
    """Why it does not go out; it stands in the audit log."""

    why: Annotated[str, Meta(max_length=MAX_WHY)] = ""


@get("/api/approvals", scope="messages:approve", channels="own")
async def list_approvals(
    system: System,
    caller: Caller,
    paging: Paging,
    channel: ChannelKey = None,
    sort: FromQuery[ByTime] = "created_at",
) -> Page[Waiting]:
    """The messages that wait, the oldest first."""
    return await approval.list_waiting(
        system,
        caller.among(channel),
        sort=sort,
        after=paging.after,
        limit=paging.limit,
        viewer=caller.name,
    )


@post(
    "/api/messages/{msgid:str}/approve", scope="messages:approve", channels="own", status_code=200
)
async def approve_message(system: System, caller: Caller, msgid: FromPath[str]) -> MessageInfo:
    """Let it go. Its lifetime begins now, or when the channel's quiet hours are over. Not for who
    asked for it, owns it, or made the token that asked."""
    await approval.approve(system, msgid, caller.name, caller.channels)
    return await _shown(system, caller, msgid)


@post("/api/messages/{msgid:str}/refuse", scope="messages:approve", channels="own", status_code=200)
async def refuse_message(
    system: System, caller: Caller, msgid: FromPath[str], data: JSONBody[Refusal]
) -> MessageInfo:
    """Stop it for good."""
    await approval.refuse(system, msgid, caller.name, data.why, caller.channels)
    return await _shown(system, caller, msgid)


async def _shown(system: System, caller: Caller, msgid: str) -> MessageInfo:
    async with system.database.read() as tx:
        return await reports.message(tx, msgid, caller.channels)


handlers = [list_approvals, approve_message, refuse_message]
