"""Channels: the business lines that ask for messages."""

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, expected, shown
from ums.bounds import Name30, said
from ums.core.channels import channels
from ums.core.channels.channels import KEY, ChannelInfo
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.context.channel_policy import Zone
from ums.core.verbs.base import Hours
from ums.web.bodies import BoundedRequest as Call


class NewChannel(Struct, frozen=True, forbid_unknown_fields=True):
    """A channel to be made."""

    name: Name30
    key: Annotated[
        Annotated[str, said(pattern=KEY, **{"not": {"const": "all"}})] | None,
        Meta(description="Its ChannelKey: 1 to 32 letters and digits; null: chosen. Not `all`."),
    ] = None
    zone: Annotated[
        Zone,
        Meta(description="The IANA name of the time zone its days and hours go by: Asia/Shanghai."),
    ] = "UTC"


class ChannelChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out or null stays."""

    name: Name30 | None = None
    open: Annotated[bool | None, Meta(description="Whether its requests are taken.")] = None


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """How its MasterSecret is changed."""

    overlap_hours: Annotated[Hours, Meta(description="So long the old one stays good.")] = 24.0


@get("/api/channels", scope="channels:read", channels="own")
async def list_channels(
    system: System,
    caller: Caller,
    paging: Paging,
    open: Annotated[bool | None, QueryParameter(description="Only open or closed ones.")] = None,
    sort: FromQuery[ByName] = "created_at",
) -> Page[ChannelInfo]:
    """The channels that the caller sees, in the order they were made."""
    return await channels.page_channels(
        system, caller.channels, open=open, sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/channels", scope="channels:write", channels="all")
async def create_channel(
    system: System, request: Call, data: JSONBody[NewChannel]
) -> Response[ChannelInfo]:
    """Make a channel, with rights that its key will have. Its MasterSecret stands in this answer
    alone."""
    made = await channels.create(system, data.name, data.key, zone=data.zone)
    return shown(request, made, 201)


@get("/api/channels/{key:str}", scope="channels:read", channels="own")
async def show_channel(
    system: System, caller: Caller, request: Call, key: FromPath[str]
) -> Response[ChannelInfo]:
    """A channel with the senders it may use."""
    return shown(request, await channels.show(system, caller.channel(key).key))


@patch("/api/channels/{key:str}", scope="channels:write", channels="own")
async def change_channel(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[ChannelChange]
) -> Response[ChannelInfo]:
    """Give it another name, open or close it. A closed one's requests fail with 1015005."""
    own = caller.channel(key).key
    changed = await channels.change(
        system, own, name=data.name, open=data.open, expect=expected(request)
    )
    return shown(request, changed)


@post("/api/channels/{key:str}/rotate", scope="channels:write", channels="own", status_code=200)
async def rotate_secret(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[Rotation]
) -> Response[ChannelInfo]:
    """Give it a new MasterSecret, which stands in this answer alone; the caller has to have the
    rights that it gives."""
    own = caller.channel(key).key
    return shown(request, await channels.rotate(system, own, round(data.overlap_hours * 3_600_000)))


handlers = [list_channels, create_channel, show_channel, change_channel, rotate_secret]
