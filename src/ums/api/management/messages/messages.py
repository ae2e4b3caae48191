"""Messages, their deliveries and attempts: what became of what was asked for."""

from functools import partial
from typing import Annotated, Any

from litestar import Request, get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import ServerSentEvent

from ums.api.management.dependencies import Caller, ChannelKey, Moment, Paging, System, listed, ms
from ums.api.management.messages.events import watch
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByTime
from ums.core.identity.principals import caller_of
from ums.core.reporting import reports
from ums.core.reporting.reports import (
    STATES,
    AttemptInfo,
    DeliveryHistory,
    DeliveryInfo,
    MessageInfo,
    MessageOrder,
    MessageState,
)
from ums.errors import UmsError, Unavailable
from ums.web.edge import address_of


@get("/api/messages", scope="messages:read", channels="own")
async def list_messages(
    system: System,
    caller: Caller,
    paging: Paging,
    channel: ChannelKey = None,
    of_state: Annotated[MessageState | None, QueryParameter(name="state")] = None,
    sender: Annotated[str | None, QueryParameter(description="A sender's code.")] = None,
    subject: Annotated[str | None, QueryParameter(description="Part of the subject.")] = None,
    since: Moment = None,
    until: Moment = None,
    sort: FromQuery[MessageOrder] = "-accepted_at",
) -> Page[MessageInfo]:
    """Messages by the time of their acceptance, the newest first; `until` is not in it."""
    async with system.database.read() as tx:
        return await reports.list_messages(
            tx,
            caller.among(channel),
            state=of_state,
            sender=sender,
            subject=subject,
            since=ms(since, "since"),
            until=ms(until, "until"),
            sort=sort,
            after=paging.after,
            limit=paging.limit,
        )


@get("/api/messages/{msgid:str}", scope="messages:read", channels="own")
async def show_message(system: System, caller: Caller, msgid: FromPath[str]) -> MessageInfo:
    """A message with counts by state, which add up to its audience."""
    async with system.database.read() as tx:
        return await reports.message(tx, msgid, caller.channels)


@get(
    "/api/messages/{msgid:str}/events",
    scope="messages:read",
    channels="own",
    gives="text/event-stream",
    media_type="text/event-stream",
)
async def watch_message(
    system: System, caller: Caller, request: Request[Any, Any, Any], msgid: FromPath[str]
) -> ServerSentEvent:
    """Server-sent events: `counts` with the message whenever it changed, at most once a second,
    and `end` when every delivery is final. A comment keeps the line open meanwhile.
    """
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, caller.channels)
    return watch(request.app, system, info, partial(_still_reads, system, request, msgid))


async def _still_reads(system: System, request: Request[Any, Any, Any], msgid: str) -> bool:
    """Whether the credentials of the request are still good for the message."""
    try:
        caller = await caller_of(
            system, request.headers.get("authorization"), address_of(request.scope)
        )
        caller.need("messages:read")
        async with system.database.read() as tx:
            await reports.message(tx, msgid, caller.channels)
    except Unavailable:
        return True  # the database is away: asked again with the next look
    except UmsError:
        return False
    return True


@get("/api/messages/{msgid:str}/deliveries", scope="messages:read", channels="own")
async def list_deliveries(
    system: System,
    caller: Caller,
    paging: Paging,
    msgid: FromPath[str],
    of_state: Annotated[
        str | None, QueryParameter(name="state", schema_extra={"enum": list(STATES)})
    ] = None,
    reason: FromQuery[str | None] = None,
    userid: FromQuery[str | None] = None,
    address: FromQuery[str | None] = None,
    sort: FromQuery[ByTime] = "created_at",
) -> Page[DeliveryInfo]:
    """Its deliveries in the order they were made; each filter is an exact value."""
    async with system.database.read() as tx:
        return listed(
            await reports.list_deliveries(
                tx,
                msgid,
                caller.channels,
                state=of_state,
                reason=reason,
                userid=userid,
                address=address,
                sort=sort,
                after=paging.after,
                limit=paging.limit,
            )
        )


@get("/api/deliveries/{delivery_id:int}", scope="messages:read", channels="own")
async def show_delivery(
    system: System, caller: Caller, delivery_id: FromPath[int]
) -> DeliveryHistory:
    """A delivery with every attempt."""
    async with system.database.read() as tx:
        return await reports.delivery(tx, delivery_id, caller.channels)


@get("/api/deliveries/{delivery_id:int}/attempts", scope="messages:read", channels="own")
async def list_attempts(
    system: System, caller: Caller, paging: Paging, delivery_id: FromPath[int]
) -> Page[AttemptInfo]:
    """Its attempts in their order."""
    async with system.database.read() as tx:
        return await reports.list_attempts(
            tx, delivery_id, caller.channels, after=paging.after, limit=paging.limit
        )


handlers = [
    list_messages,
    show_message,
    watch_message,
    list_deliveries,
    show_delivery,
    list_attempts,
]
