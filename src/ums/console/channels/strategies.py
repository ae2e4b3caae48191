"""Strategies of a channel: by which sender types a message goes out."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, sort_of
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels import strategies
from ums.core.common.sorting import ByName
from ums.core.context.directory import Channel
from ums.errors import UmsError


@get("/channels/{key:str}/strategies", scope="strategies:read", channels="own")
async def list_strategies(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    return await _strategies(request, system, visitor.caller.channel(key), Form({"name": ""}))


async def _strategies(
    request: AnyRequest, system: Any, channel: Channel, form: Form, status: int = 200
) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "created_at")
    found = await strategies.list_strategies(system, channel, sort=sort, after=after, limit=50)
    return page(
        request,
        "channels/strategies.html",
        status=status,
        found=found,
        sort=sort,
        channel=channel,
        form=form,
    )


@post("/channels/{key:str}/strategies", scope="strategies:write", channels="own")
async def create_strategy(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel, name = visitor.caller.channel(key), (await given(request)).get("name", "").strip()
    try:
        await strategies.create(system, channel, name, actor=visitor.caller.name)
    except UmsError as error:
        form = refused(request, {"name": name}, error)
        return await _strategies(request, system, channel, form, error.status)
    return go(f"/channels/{channel.key}/strategies", "channels.did_create_strategy")


@post("/channels/{key:str}/strategies/{id:int}", scope="strategies:write", channels="own")
async def change_strategy(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str], id: FromPath[int]
) -> Response[str]:
    """Let requests use it, refuse them, or remove it."""
    channel, fields = visitor.caller.channel(key), await given(request)
    where, actor = f"/channels/{channel.key}/strategies", visitor.caller.name
    if fields.get("doing") == "delete":
        await strategies.remove(system, channel, id, actor=actor)
        return go(where, "channels.did_remove_strategy")
    valid = fields.get("doing") == "open"
    await strategies.set_valid(system, channel, id, valid=valid, actor=actor)
    return go(where, "channels.did_change_strategy")


handlers = [list_strategies, create_strategy, change_strategy]
