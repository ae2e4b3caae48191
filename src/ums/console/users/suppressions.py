"""Addresses that a channel does not write to, as their servers said that nobody is there."""

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from ums.console.dependencies import System, Visitor
from ums.console.export import stream_csv
from ums.console.forms import Form, given, lists, refused, sort_of
from ums.console.pasted_lines import entries_of, is_address
from ums.console.rendering import AnyRequest, go, page
from ums.core.audit import audit_log
from ums.core.context.directory import Channel
from ums.core.deliveries import suppressions
from ums.core.deliveries.suppressions import SuppressionOrder
from ums.errors import UmsError

COLUMNS = ("address", "reason", "reply", "delivery_id", "created_at", "expires_at")


@get("/channels/{key:str}/suppressions", scope="lists:read", channels="own")
async def show_suppressions(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    return await _list(request, system, visitor.caller.channel(key), Form({"addresses": ""}))


async def _list(
    request: AnyRequest, system: Any, channel: Channel, form: Form, status: int = 200
) -> Response[str]:
    sort = sort_of(request, SuppressionOrder, "-created_at")
    sought = request.query_params.get("address", "").strip()
    found = await suppressions.list_suppressions(
        system,
        channel,
        address=sought or None,
        sort=sort,
        after=request.query_params.get("after"),
        limit=50,
    )
    return page(
        request,
        "lists/suppressions.html",
        status=status,
        channel=channel,
        found=found,
        sort=sort,
        form=form,
        search=Form({"address": sought}),
        held_back=await suppressions.held_back(system, channel),
    )


@post("/channels/{key:str}/suppressions", scope="lists:write", channels="own")
async def add_suppressions(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """Suppress what was typed, one a line."""
    channel, fields = visitor.caller.channel(key), await given(request)
    try:
        addresses = entries_of(
            fields.get("addresses", ""), is_address, field="addresses", reason="addresses_wrong"
        )
        await suppressions.add(system, channel, addresses, actor=visitor.caller.name)
    except UmsError as error:
        form = refused(request, {"addresses": fields.get("addresses", "")}, error)
        return await _list(request, system, channel, form, error.status)
    return go(f"/channels/{channel.key}/suppressions", "lists.did_suppress")


@post("/channels/{key:str}/suppressions/lift", scope="lists:write", channels="own")
async def lift_suppressions(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """Let the channel write to the addresses that were ticked."""
    channel, fields = visitor.caller.channel(key), await lists(request)
    where = f"/channels/{channel.key}/suppressions"
    addresses = fields.get("address", [])
    if not addresses:
        audit_log.look()
        return go(where, "lists.did_nothing")
    await suppressions.lift(system, channel, addresses, actor=visitor.caller.name)
    return go(where, "lists.did_lift")


@get(
    "/channels/{key:str}/suppressions.csv",
    scope="lists:read",
    channels="own",
    recent="/channels/{key}/suppressions",
)
async def export_suppressions(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Stream:
    """All of the channel's."""
    parts = _parts(system, visitor.caller.channel(key))
    return await stream_csv(request, "suppressions.csv", COLUMNS, parts)


async def _parts(system: Any, channel: Channel) -> AsyncGenerator[list[list[object]]]:
    after: str | None = None
    while True:
        found = await suppressions.list_suppressions(system, channel, after=after, limit=500)
        yield [[getattr(one, name) for name in COLUMNS] for one in found.items]
        after = found.next
        if after is None:
            return


handlers = [show_suppressions, add_suppressions, lift_suppressions, export_suppressions]
