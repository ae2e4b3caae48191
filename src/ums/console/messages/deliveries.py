"""Deliveries: one recipient's part of a message, all of them as a file, and those in doubt."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any, Final

import xlsxwriter
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from ums.console.dependencies import System, Visitor
from ums.console.export import heads, saved_as, stream_csv
from ums.console.forms import lists, whole
from ums.console.rendering import XLSX, AnyRequest, go, page
from ums.console.stream_guard import watched
from ums.core.audit import audit_log
from ums.core.identity.principals import Principal
from ums.core.messages import resolve_unknown
from ums.core.reporting import reports
from ums.core.reporting.reports import STATES, DeliveryInfo
from ums.web.streams import pieces_of, temporary_file

_EXPORTED: Final = ("id", "userid", "address", "state", "reason", "sender", "tries", "updated_at")
_ROWS: Final = 1_048_576  # of a sheet; more than that goes into a second one


def filters(request: AnyRequest) -> dict[str, str]:
    """What the deliveries of a message are searched by."""
    asked = {
        name: request.query_params.get(name, "").strip()
        for name in ("state", "reason", "userid", "address")
    }
    return asked if asked["state"] in STATES else {**asked, "state": ""}


def wanted(asked: dict[str, str]) -> dict[str, Any]:
    return {name: value or None for name, value in asked.items()}


def counts_key(caller: Principal, msgid: str) -> tuple[object, ...]:
    """By which the counts of a message are kept for a moment (`core.common.ttl_cache`)."""
    return ("message", msgid, caller.channels)


@get("/deliveries/{delivery_id:int}", scope="messages:read", channels="own")
async def show_delivery(
    request: AnyRequest, system: System, visitor: Visitor, delivery_id: FromPath[int]
) -> Response[str]:
    async with system.database.read() as tx:
        found = await reports.delivery(tx, delivery_id, visitor.caller.channels)
        info = await reports.message(tx, found.msgid, visitor.caller.channels)
    return page(request, "messages/delivery.html", found=found, info=info)


@post("/messages/{msgid:str}/resolve", scope="messages:write", channels="own")
async def resolve(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    """Say of the unknown ones, or of one, whether they arrived."""
    fields = await lists(request)
    arrived = (fields.get("arrived") or [""])[-1] == "yes"
    one = whole((fields.get("delivery") or [""])[-1])
    only = None if one is None else [one]
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, visitor.caller.channels)
    channel = visitor.caller.channel(info.channelkey).id
    await resolve_unknown.resolve(
        system, channel, msgid, arrived=arrived, only=only, actor=visitor.caller.name
    )
    system.recent.forget(counts_key(visitor.caller, msgid))
    where = f"/deliveries/{only[0]}" if only else f"/messages/{msgid}"
    return go(where, "messages.did_resolve")


@get(
    "/messages/{msgid:str}/deliveries.csv",
    scope="messages:read",
    channels="own",
    recent="/messages/{msgid}",
)
async def export(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Stream:
    """The deliveries that the page's filters leave."""
    parts = _parts(system, visitor.caller, msgid, _exported(request))
    return await stream_csv(request, "deliveries.csv", _EXPORTED, parts)


@get(
    "/messages/{msgid:str}/deliveries.xlsx",
    scope="messages:read",
    channels="own",
    recent="/messages/{msgid}",
)
async def export_workbook(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Stream:
    """The same as a workbook."""
    parts = _parts(system, visitor.caller, msgid, _exported(request))
    file = await temporary_file(system.settings.data_dir, ".xlsx", partial(_workbook, parts=parts))
    return Stream(
        watched(request, pieces_of(file)), media_type=XLSX, headers=saved_as("deliveries.xlsx")
    )


def _exported(request: AnyRequest) -> dict[str, str]:
    """The filters of an export, which its audit entry names."""
    asked = filters(request)
    audit_log.add_detail(", ".join(f"{name}={value}" for name, value in asked.items() if value))
    return asked


async def _parts(
    system: Any, caller: Principal, msgid: str, asked: dict[str, str]
) -> AsyncGenerator[list[tuple[str, ...]]]:
    after: str | None = None
    while True:
        async with system.database.read() as tx:
            found = await reports.list_deliveries(
                tx, msgid, caller.channels, **wanted(asked), after=after, limit=500
            )
        yield [_cells(one) for one in found.items]
        after = found.next
        if after is None:
            return


async def _workbook(path: Path, parts: AsyncGenerator[list[tuple[str, ...]]]) -> None:
    # Strings stay strings: nothing in a cell is taken for a formula, a link or a number.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(str(path), options)
    sheet, row = _sheet(book), 1
    async for part in parts:
        for one in part:
            if row == _ROWS:
                sheet, row = _sheet(book), 1
            sheet.write_row(row, 0, one)
            row += 1
        await asyncio.sleep(0)  # requests are served in between
    await asyncio.to_thread(book.close)


def _sheet(book: Any) -> Any:
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, heads(_EXPORTED))
    return sheet


def _cells(one: DeliveryInfo) -> tuple[str, ...]:
    return tuple(str(getattr(one, name)) for name in _EXPORTED)


handlers = [show_delivery, resolve, export, export_workbook]
