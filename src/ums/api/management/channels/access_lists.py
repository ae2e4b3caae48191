"""Lists of a channel: who must not get a message, or who alone may."""

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, listed, shown
from ums.bounds import Name60
from ums.core.channels import access_lists
from ums.core.channels.access_lists import (
    MAX_ENTRIES,
    Change,
    Entry,
    EntryOrder,
    Given,
    ListInfo,
    ListKind,
)
from ums.core.common.pagination import Page
from ums.web.bodies import BoundedRequest as Call

Kind = Annotated[ListKind, QueryParameter(description="Blocklists or allowlists.")]


class NewList(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty list to be made."""

    kind: ListKind
    name: Name60


class Entries(Struct, frozen=True, forbid_unknown_fields=True):
    """Userids and addresses."""

    entries: Annotated[list[Given], Meta(min_length=1, max_length=MAX_ENTRIES)]


@get("/api/channels/{key:str}/lists", scope="lists:read", channels="own")
async def list_lists(
    system: System, caller: Caller, paging: Paging, key: FromPath[str], kind: Kind = "block"
) -> Page[ListInfo]:
    """The channel's lists of one kind, the oldest first."""
    return await access_lists.list_lists(
        system, caller.channel(key), kind, after=paging.after, limit=paging.limit
    )


@post("/api/channels/{key:str}/lists", scope="lists:write", channels="own")
async def create_list(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[NewList]
) -> Response[ListInfo]:
    """Make an empty list; its `id` is what a message names."""
    channel = caller.channel(key)
    made = await access_lists.create(system, channel, data.kind, data.name, actor=caller.name)
    return shown(request, made, 201)


@get("/api/channels/{key:str}/lists/{list_id:int}", scope="lists:read", channels="own")
async def show_list(
    system: System, caller: Caller, request: Call, key: FromPath[str], list_id: FromPath[int]
) -> Response[ListInfo]:
    """A list."""
    return shown(request, await access_lists.find(system, caller.channel(key), list_id))


@get("/api/channels/{key:str}/lists/{list_id:int}/entries", scope="lists:read", channels="own")
async def list_entries(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    list_id: FromPath[int],
    sort: FromQuery[EntryOrder] = "value",
) -> Page[Entry]:
    """Its entries, addresses first, each kind in the order of its values, or all the other way
    round."""
    channel = caller.channel(key)
    kind = (await access_lists.find(system, channel, list_id)).kind
    return listed(
        await access_lists.entries(
            system, channel, kind, list_id, sort=sort, after=paging.after, limit=paging.limit
        )
    )


@post(
    "/api/channels/{key:str}/lists/{list_id:int}/entries",
    scope="lists:write",
    channels="own",
    status_code=200,
)
async def add_entries(
    system: System,
    caller: Caller,
    key: FromPath[str],
    list_id: FromPath[int],
    data: JSONBody[Entries],
) -> Change:
    """Put entries on it, all or none."""
    channel = caller.channel(key)
    kind = (await access_lists.find(system, channel, list_id)).kind
    return await access_lists.add(system, channel, kind, list_id, data.entries, actor=caller.name)


@post(
    "/api/channels/{key:str}/lists/{list_id:int}/entries/remove",
    scope="lists:write",
    channels="own",
    status_code=200,
)
async def remove_entries(
    system: System,
    caller: Caller,
    key: FromPath[str],
    list_id: FromPath[int],
    data: JSONBody[Entries],
) -> Change:
    """Take entries off it, all or none."""
    channel = caller.channel(key)
    kind = (await access_lists.find(system, channel, list_id)).kind
    return await access_lists.remove(
        system, channel, kind, list_id, data.entries, actor=caller.name
    )


@delete("/api/channels/{key:str}/lists/{list_id:int}", scope="lists:write", channels="own")
async def delete_list(
    system: System, caller: Caller, key: FromPath[str], list_id: FromPath[int]
) -> None:
    """Delete it. Messages that were accepted with it are still held to it."""
    channel = caller.channel(key)
    kind = (await access_lists.find(system, channel, list_id)).kind
    await access_lists.remove_list(system, channel, kind, list_id, actor=caller.name)


handlers = [
    list_lists,
    create_list,
    show_list,
    list_entries,
    add_entries,
    remove_entries,
    delete_list,
]
