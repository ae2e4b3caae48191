"""Messages: what became of each, and what can be done about it."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import ServerSentEvent

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, lists, sort_of
from ums.console.live_updates import live
from ums.console.messages.deliveries import counts_key, filters, wanted
from ums.console.messages.mail_preview import content_of
from ums.console.rendering import AnyRequest, go, page, render
from ums.console.time_zones import time_words, typed_as
from ums.core.common.sorting import ByTime
from ums.core.deliveries.transitions import RESEND
from ums.core.identity.principals import Principal
from ums.core.messages import approval, control
from ums.core.messages import resend as resending
from ums.core.reporting import reports
from ums.core.reporting.delivery_eta import forecast
from ums.core.reporting.failure_breakdown import Lost, losses
from ums.core.reporting.reports import STATES, MessageInfo, MessageOrder
from ums.core.tables.states import HELD, PENDING, WAITING, Halt, MessageState
from ums.core.users.visibility import bind_names
from ums.errors import NotFound

MESSAGE_STATES: Final[tuple[str, ...]] = tuple(MessageState)
APPROVALS_OF_PAGE: Final = 10  # each with its mail
MOVING: Final = (
    MessageState.SCHEDULED,
    MessageState.ACCEPTED,
    MessageState.EXPANDING,
    MessageState.SENDING,
)
UNSETTLED: Final = (*WAITING, *HELD)
RESENDABLE: Final = RESEND.sources
HALTS: Final = {
    "pause": control.pause,
    "resume": control.resume,
    "cancel": control.cancel,
    "retract": control.retract,
}


@get("/messages", scope="messages:read", channels="own")
async def list_messages(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    asked = {name: request.query_params.get(name, "") for name in ("channel", "state", "subject")}
    state: Any = asked["state"] if asked["state"] in MESSAGE_STATES else None
    sort = sort_of(request, MessageOrder, "-accepted_at")
    async with system.database.read() as tx:
        found = await reports.list_messages(
            tx,
            visitor.caller.among(asked["channel"] or None),
            state=state,
            subject=asked["subject"].strip() or None,
            sort=sort,
            after=request.query_params.get("after"),
            limit=50,
        )
    names = bind_names(visitor.caller)
    return page(
        request,
        "messages/list.html",
        found=found,
        form=Form(asked),
        filtered=any(asked.values()),
        sort=sort,
        names=names,
        states=MESSAGE_STATES,
    )


@get("/messages/{msgid:str}", scope="messages:read", channels="own")
async def show_message(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    """The message with its deliveries."""
    return await message_page(request, system, visitor, msgid)


async def message_page(
    request: AnyRequest,
    system: Any,
    visitor: Any,
    msgid: str,
    start: Form | None = None,
    status: int = 200,
) -> Response[str]:
    """`start`: the form of another start, where it was refused."""
    live = await _live(system, visitor.caller, msgid)
    table = await _deliveries(request, system, visitor, msgid)
    info: MessageInfo = live["info"]
    return page(
        request,
        "messages/show.html",
        status=status,
        **live,
        start=start or Form({"starts_at": _start_of(info, live["page_zone"])}),
        movable=_is_movable(info),
        told={"when": time_words(info.starts_at or info.accepted_at, live["page_zone"])},
        **table,
        content=await content_of(request, system, visitor, msgid),
        own=await _is_own(system, visitor, msgid) if info.state == "approval" else False,
        states=STATES,
        names=bind_names(visitor.caller),
        resendable=sum(info.counts.get(state, 0) for state in RESENDABLE),
        retractable=_is_young(info),
    )


async def _is_own(system: Any, visitor: Any, msgid: str) -> bool:
    """Whether the message waits for somebody else than who looks."""
    async with system.database.read() as tx:
        return await approval.is_own(tx, msgid, visitor.caller.name)


@get("/messages/{msgid:str}/live", scope="messages:read", channels="own")
async def live_message(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> ServerSentEvent:
    """The part of the page that changes while the message is on its way."""

    async def look() -> tuple[str, bool]:
        part = await _live(system, visitor.caller, msgid)
        return render(request, "messages/_live.html", **part), not part["moving"]

    await look()  # raises NotFound in time
    return live(request, look)


@get("/messages/{msgid:str}/table", scope="messages:read", channels="own")
async def live_deliveries(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> ServerSentEvent:
    """The table of deliveries with the page's filters, while it changes."""

    async def look() -> tuple[str, bool]:
        part = await _live(system, visitor.caller, msgid)
        table = await _deliveries(request, system, visitor, msgid)
        html = render(request, "messages/_deliveries.html", **{**part, **table})
        return html, not part["moving"]

    await look()  # raises NotFound in time
    return live(request, look)


async def _deliveries(request: AnyRequest, system: Any, visitor: Any, msgid: str) -> dict[str, Any]:
    asked, sort = filters(request), sort_of(request, ByTime, "created_at")
    async with system.database.read() as tx:
        found = await reports.list_deliveries(
            tx,
            msgid,
            visitor.caller.channels,
            **wanted(asked),
            sort=sort,
            after=request.query_params.get("after"),
            limit=50,
        )
    return {
        "found": found,
        "sort": sort,
        "form": Form(asked),
        "filtered": any(asked.values()),
    }


async def _live(system: Any, caller: Principal, msgid: str) -> dict[str, Any]:
    """The counts of a large message may be a moment old; they are of one moment."""

    async def count() -> tuple[MessageInfo, list[Lost]]:
        async with system.database.read() as tx:
            info = await reports.message(tx, msgid, caller.channels)
            return info, await losses(tx, msgid, caller.channels)

    info, lost = await system.recent.get(counts_key(caller, msgid), count)
    async with system.database.read() as tx:
        ahead = await forecast(tx, caller.snapshot, info)
    channel = caller.snapshot.channels.get(info.channelkey)
    return {
        "page_zone": channel.rules.zone if channel else "",
        "info": info,
        "losses": lost,
        "most": max((loss.count for loss in lost), default=1),
        "moving": _is_moving(info),
        "ahead": ahead,
    }


def _is_moving(info: MessageInfo) -> bool:
    """Whether the counts change: also of a halted message, until what was in a worker's hands is
    settled and what waited is parked."""
    if info.halt in ("", Halt.APPROVAL):
        return info.state in MOVING
    waits = info.halt == Halt.PAUSED and _is_movable(info)  # nothing is expanded before its start
    states = UNSETTLED if waits else (PENDING, *UNSETTLED)
    return any(info.counts.get(state) for state in states)


def _is_movable(info: MessageInfo) -> bool:
    """Whether its start can still be changed."""
    waits = info.halt in ("", Halt.PAUSED, Halt.APPROVAL) and info.starts_at is not None
    return waits and clock.read(info.starts_at or "") > clock.now()


def _start_of(info: MessageInfo, zone: str) -> str:
    return typed_as(info.starts_at, zone) if info.starts_at else ""


def _is_young(info: MessageInfo) -> bool:
    began = clock.read(info.starts_at or info.accepted_at)
    return clock.now() - began < clock.DAY


@post("/messages/{msgid:str}/{verb:str}", scope="messages:write", channels="own")
async def halt_message(
    system: System, visitor: Visitor, msgid: FromPath[str], verb: FromPath[str]
) -> Response[str]:
    """Pause, resume, cancel or retract. The page then has the exact counts."""
    if verb not in HALTS:
        raise NotFound("not_found")
    channel = await _channel_of(system, visitor.caller, msgid)
    await HALTS[verb](system, channel, msgid, actor=visitor.caller.name)
    system.recent.forget(counts_key(visitor.caller, msgid))
    return go(f"/messages/{msgid}", f"messages.did_{verb}")


@post("/messages/{msgid:str}/resend", scope="messages:write", channels="own")
async def resend(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    fields = await lists(request)
    channel = await _channel_of(system, visitor.caller, msgid)
    await resending.resend(
        system,
        channel,
        msgid,
        states=[state for state in fields.get("state", []) if state in RESENDABLE],
        reasons=[reason for reason in fields.get("reason", []) if reason],
        actor=visitor.caller.name,
    )
    system.recent.forget(counts_key(visitor.caller, msgid))
    return go(f"/messages/{msgid}", "messages.did_resend")


async def _channel_of(system: Any, caller: Principal, msgid: str) -> int:
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, caller.channels)
    return caller.channel(info.channelkey).id


@get("/approvals", scope="messages:approve", channels="own")
async def list_approvals(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByTime, "created_at")
    found = await approval.list_waiting(
        system,
        visitor.caller.channels,
        sort=sort,
        after=after,
        limit=APPROVALS_OF_PAGE,
        viewer=visitor.caller.name,
    )
    contents = {
        one.msgid: await content_of(request, system, visitor, one.msgid) for one in found.items
    }
    return page(
        request,
        "messages/approvals.html",
        found=found,
        contents=contents,
        sort=sort,
        names=bind_names(visitor.caller),
    )


@post("/approvals/{msgid:str}/approve", scope="messages:approve", channels="own")
async def approve(system: System, visitor: Visitor, msgid: FromPath[str]) -> Response[str]:
    await approval.approve(system, msgid, visitor.caller.name, visitor.caller.channels)
    return go(f"/messages/{msgid}", "messages.did_approve")


@post("/approvals/{msgid:str}/refuse", scope="messages:approve", channels="own")
async def refuse(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    why = ((await lists(request)).get("why") or [""])[-1].strip()
    await approval.refuse(system, msgid, visitor.caller.name, why, visitor.caller.channels)
    return go(f"/messages/{msgid}", "messages.did_refuse")


handlers = [
    list_messages,
    show_message,
    resend,
    halt_message,
    live_message,
    live_deliveries,
    list_approvals,
    approve,
    refuse,
]
