"""Messages: what became of each, and what can be done about it."""

import csv
import io
from collections.abc import AsyncGenerator
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from ums import clock
from ums.console.forms import Form, lists
from ums.console.pages import SAFE_HEADERS, AnyRequest, go, page
from ums.console.shapes import System, Visitor
from ums.core import approval, halting, reports, resending, stats
from ums.core.callers import Caller
from ums.core.reports import STATES, DeliveryInfo, MessageInfo
from ums.core.stats_sql import Asked
from ums.core.visibility import bind_names
from ums.errors import NotFound

MESSAGE_STATES: Final = (
    "scheduled",
    "accepted",
    "expanding",
    "sending",
    "done",
    "approval",
    "paused",
    "cancelled",
    "retracted",
    "refused",
)
MOVING: Final = ("accepted", "expanding", "sending")
RESENDABLE: Final = ("failed", "expired", "unknown")
HALTS: Final = {
    "pause": halting.pause,
    "resume": halting.resume,
    "cancel": halting.cancel,
    "retract": halting.retract,
}
_EXPORTED: Final = ("id", "userid", "address", "state", "reason", "sender", "tries", "updated_at")


@get("/messages", scope="messages:read")
async def list_messages(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    asked = {name: request.query_params.get(name, "") for name in ("channel", "state", "subject")}
    state: Any = asked["state"] if asked["state"] in MESSAGE_STATES else None
    async with system.database.read() as tx:
        found = await reports.list_messages(
            tx,
            visitor.caller.among(asked["channel"] or None),
            state=state,
            subject=asked["subject"].strip() or None,
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
        names=names,
        states=MESSAGE_STATES,
    )


@get("/messages/{msgid:str}", scope="messages:read")
async def show_message(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    """The message with its deliveries; for htmx, which polls it, only the part that changes."""
    query = request.query_params
    asked = {name: query.get(name, "").strip() for name in ("state", "reason", "address")}
    if asked["state"] not in STATES:
        asked["state"] = ""
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, visitor.caller.channels)
        losses = await _losses(tx, visitor.caller, info)
        part = request.headers.get("hx-request") == "true"
        found = None
        if not part:
            found = await reports.list_deliveries(
                tx,
                msgid,
                visitor.caller.channels,
                state=asked["state"] or None,
                reason=asked["reason"] or None,
                address=asked["address"] or None,
                after=query.get("after"),
                limit=50,
            )
    moving = info.state in MOVING
    return page(
        request,
        "messages/_live.html" if part else "messages/show.html",
        # Once it is at rest the rest of the page is out of date as well.
        headers={"HX-Refresh": "true"} if part and not moving else None,
        info=info,
        losses=losses,
        most=max((loss.count for loss in losses), default=1),
        moving=moving,
        found=found,
        form=Form(asked),
        filtered=any(asked.values()),
        states=STATES,
        names=bind_names(visitor.caller),
        resendable=sum(info.counts.get(state, 0) for state in RESENDABLE),
        retractable=_is_young(info),
    )


def _is_young(info: MessageInfo) -> bool:
    began = clock.read(info.starts_at or info.accepted_at)
    return clock.now() - began < clock.DAY


async def _losses(tx: Any, caller: Caller, info: MessageInfo) -> list[stats.Loss]:
    at = clock.read(info.accepted_at)
    asked = Asked(by="message", since=at, until=at + 1, channels=caller.channels, msgid=info.msgid)
    return (await stats.statistics(tx, caller.snapshot, asked)).total.losses


@post("/messages/{msgid:str}/{verb:str}", scope="messages:write")
async def halt_message(
    system: System, visitor: Visitor, msgid: FromPath[str], verb: FromPath[str]
) -> Response[str]:
    """Pause, resume, cancel or retract. The page then has the exact counts."""
    if verb not in HALTS:
        raise NotFound("not_found")
    channel = await _channel_of(system, visitor.caller, msgid)
    await HALTS[verb](system, channel, msgid, actor=visitor.caller.name)
    return go(f"/messages/{msgid}", f"messages.did_{verb}")


@post("/messages/{msgid:str}/resend", scope="messages:write")
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
    return go(f"/messages/{msgid}", "messages.did_resend")


async def _channel_of(system: Any, caller: Caller, msgid: str) -> int:
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, caller.channels)
    return caller.channel(info.channelkey).id


@get("/messages/{msgid:str}/deliveries.csv", scope="messages:read")
async def export(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Stream:
    """The deliveries that the page's filters leave."""
    query = request.query_params
    state = query.get("state", "")
    wanted: dict[str, Any] = {
        "state": state if state in STATES else None,
        "reason": query.get("reason") or None,
        "address": query.get("address") or None,
    }
    async with system.database.read() as tx:
        await reports.message(tx, msgid, visitor.caller.channels)  # raises NotFound in time
    headers = {**SAFE_HEADERS, "Content-Disposition": 'attachment; filename="deliveries.csv"'}
    lines = _lines(system, visitor.caller, msgid, wanted)
    return Stream(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(
    system: Any, caller: Caller, msgid: str, wanted: dict[str, Any]
) -> AsyncGenerator[str]:
    yield "\ufeff" + _csv([_EXPORTED])  # by the mark Excel knows that it is UTF-8
    after: str | None = None
    while True:
        async with system.database.read() as tx:
            found = await reports.list_deliveries(
                tx, msgid, caller.channels, **wanted, after=after, limit=500
            )
        yield _csv([_cells(one) for one in found.items])
        after = found.next
        if after is None:
            return


def _cells(one: DeliveryInfo) -> tuple[str, ...]:
    # A cell that a spreadsheet would take for a formula is text.
    cells = (str(getattr(one, name)) for name in _EXPORTED)
    return tuple(f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells)


def _csv(rows: list[tuple[str, ...]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


@get("/deliveries/{delivery_id:int}", scope="messages:read")
async def show_delivery(
    request: AnyRequest, system: System, visitor: Visitor, delivery_id: FromPath[int]
) -> Response[str]:
    async with system.database.read() as tx:
        found = await reports.delivery(tx, delivery_id, visitor.caller.channels)
        info = await reports.message(tx, found.msgid, visitor.caller.channels)
    return page(request, "messages/delivery.html", found=found, info=info)


@get("/approvals", scope="messages:approve")
async def list_approvals(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    after = request.query_params.get("after")
    found = await approval.list_waiting(system, visitor.caller.channels, after=after, limit=50)
    return page(request, "messages/approvals.html", found=found, names=bind_names(visitor.caller))


@post("/approvals/{msgid:str}/approve", scope="messages:approve")
async def approve(system: System, visitor: Visitor, msgid: FromPath[str]) -> Response[str]:
    await approval.approve(system, msgid, visitor.caller.name, visitor.caller.channels)
    return go(f"/messages/{msgid}", "messages.did_approve")


@post("/approvals/{msgid:str}/refuse", scope="messages:approve")
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
    export,
    show_delivery,
    list_approvals,
    approve,
    refuse,
]
