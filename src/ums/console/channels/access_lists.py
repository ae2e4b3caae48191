"""Blocklists and allowlists of a channel."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, sort_of
from ums.console.pasted_lines import entries_of, is_entry
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels import access_lists
from ums.core.channels.access_lists import Entry
from ums.core.context.directory import Channel
from ums.errors import UmsError

KINDS: Final = ("block", "allow")


@get("/channels/{key:str}/lists", scope="lists:read", channels="own")
async def show_lists(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    return await _lists(request, system, visitor.caller.channel(key), Form({"name": ""}))


async def _lists(
    request: AnyRequest, system: Any, channel: Channel, form: Form, status: int = 200
) -> Response[str]:
    found = {
        kind: (await access_lists.list_lists(system, channel, kind, limit=200)).items
        for kind in KINDS
    }
    return page(
        request,
        "lists/list.html",
        status=status,
        channel=channel,
        found=found,
        form=form,
        kinds=KINDS,
    )


@post("/channels/{key:str}/lists", scope="lists:write", channels="own")
async def create_list(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel, fields = visitor.caller.channel(key), await given(request)
    kind: Any = "allow" if fields.get("kind") == "allow" else "block"
    name = fields.get("name", "").strip()
    try:
        made = await access_lists.create(system, channel, kind, name, actor=visitor.caller.name)
    except UmsError as error:
        form = refused(request, {"name": name, "kind": kind}, error)
        return await _lists(request, system, channel, form, error.status)
    return go(f"/channels/{channel.key}/lists/{made.id}")


@get("/channels/{key:str}/lists/{list_id:int}", scope="lists:read", channels="own")
async def show_list(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    list_id: FromPath[int],
) -> Response[str]:
    channel = visitor.caller.channel(key)
    return await _list(request, system, channel, list_id, Form({"entries": ""}))


async def _list(
    request: AnyRequest, system: Any, channel: Channel, id: int, form: Form, status: int = 200
) -> Response[str]:
    info = await access_lists.find(system, channel, id)
    after, sort = (
        request.query_params.get("after"),
        sort_of(request, access_lists.EntryOrder, "value"),
    )
    entries = await access_lists.entries(
        system, channel, info.kind, id, sort=sort, after=after, limit=100
    )
    return page(
        request,
        "lists/show.html",
        status=status,
        channel=channel,
        info=info,
        entries=entries,
        sort=sort,
        form=form,
    )


@post("/channels/{key:str}/lists/{list_id:int}", scope="lists:write", channels="own")
async def change_entries(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    list_id: FromPath[int],
) -> Response[str]:
    """Add what was typed, one a line; with `remove` take one entry off."""
    channel, fields = visitor.caller.channel(key), await given(request)
    info, actor = await access_lists.find(system, channel, list_id), visitor.caller.name
    try:
        if "remove" in fields:
            entry = _entry(fields["remove"])
            await access_lists.remove(system, channel, info.kind, list_id, [entry], actor=actor)
        else:
            typed = fields.get("entries", "")
            given_lines = entries_of(typed, is_entry, field="entries", reason="entries_wrong")
            entries = [_entry(line) for line in given_lines]
            await access_lists.add(system, channel, info.kind, list_id, entries, actor=actor)
    except UmsError as error:
        form = refused(request, {"entries": fields.get("entries", "")}, error)
        return await _list(request, system, channel, list_id, form, error.status)
    return go(f"/channels/{channel.key}/lists/{list_id}", "lists.did_change")


def _entry(text: str) -> Entry:
    return Entry("address" if "@" in text else "userid", text)


@post("/channels/{key:str}/lists/{list_id:int}/delete", scope="lists:write", channels="own")
async def delete_list(
    system: System, visitor: Visitor, key: FromPath[str], list_id: FromPath[int]
) -> Response[str]:
    channel = visitor.caller.channel(key)
    info = await access_lists.find(system, channel, list_id)
    await access_lists.remove_list(system, channel, info.kind, list_id, actor=visitor.caller.name)
    return go(f"/channels/{channel.key}/lists", "lists.did_delete")


handlers = [show_lists, create_list, show_list, change_entries, delete_list]
