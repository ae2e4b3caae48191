"""Channels: the business lines that ask for messages."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, sort_of, whole
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.console.time_zones import known_zones
from ums.core.audit import audit_log
from ums.core.channels import channels
from ums.core.channels.channels import ChannelInfo
from ums.core.common.field_errors import Check, all_of
from ums.core.common.sorting import ByName
from ums.core.senders import routing, senders
from ums.errors import UmsError

OVERLAPS = (0, 24, 72, 168)  # hours an old MasterSecret may stay good


@get("/channels", scope="channels:read", channels="own")
async def list_channels(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "created_at")
    found = await channels.page_channels(
        system, visitor.caller.channels, sort=sort, after=after, limit=50
    )
    return page(request, "channels/list.html", found=found, sort=sort)


@get("/channels/new", scope="channels:write", channels="own", recent=True)
async def new_channel(request: AnyRequest, visitor: Visitor) -> Response[str]:
    """The zone is the visitor's; else a script's answer, and UTC where no script runs."""
    form = Form({"name": "", "key": "", "zone": visitor.zone or "UTC"})
    return _new(request, form, by_browser=not visitor.zone)


def _new(
    request: AnyRequest, form: Form, status: int = 200, *, by_browser: bool = False
) -> Response[str]:
    return page(
        request,
        "channels/new.html",
        status=status,
        form=form,
        zones=known_zones(),
        by_browser=by_browser,
    )


@post("/channels", scope="channels:write", channels="all", recent="/channels/new")
async def create_channel(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the MasterSecret."""
    fields = await given(request)
    values = {name: fields.get(name, "").strip() for name in ("name", "key", "zone")}
    name, key, zone = values["name"], values["key"] or None, values["zone"] or "UTC"
    try:
        made = await channels.create(system, name, key, zone=zone)
    except UmsError as error:
        others = await channels.errors_of(system, name, key, zone=zone)
        return _new(request, refused(request, values, error, others=others), error.status)
    return await _reveal(system, visitor, "channel", made)


async def _reveal(system: Any, visitor: Any, kind: str, made: ChannelInfo) -> Response[str]:
    where = f"/channels/{made.channelkey}"
    secret = {"key": made.channelkey, "secret": str(made.mastersecret)}
    return await reveal(system, visitor, kind, name=made.name, where=where, **secret)


@get("/channels/{key:str}", scope="channels:read", channels="own")
async def show_channel(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel = await channels.show(system, visitor.caller.channel(key).key)
    return _page(request, system, channel, Form({"name": channel.name}))


def _page(
    request: AnyRequest,
    system: Any,
    channel: ChannelInfo,
    form: Form,
    *,
    trouble: Form | None = None,
    status: int = 200,
) -> Response[str]:
    """`trouble`: the route as it was typed, with what is wrong with it."""
    return page(
        request,
        "channels/show.html",
        status=status,
        channel=channel,
        url=system.settings.base_url,
        overlaps=OVERLAPS,
        form=form,
        route_form=trouble or Form(_route_of(channel)),
    )


@post("/channels/{key:str}", scope="channels:write", channels="own")
async def change_channel(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    own = visitor.caller.channel(key).key
    fields = await given(request)
    try:
        await channels.change(system, own, name=fields.get("name", ""))
    except UmsError as error:
        shown = await channels.show(system, own)
        form = refused(request, {"name": fields.get("name", "")}, error)
        return _page(request, system, shown, form, status=error.status)
    return go(f"/channels/{own}", "channels.did_change")


@post("/channels/{key:str}/route", scope="senders:write", channels="all")
async def change_route(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """Which senders carry the channel's mail, in which order, and what part each."""
    own, fields = visitor.caller.channel(key).key, await given(request)
    shown = await channels.show(system, own)
    checks = _checks_of_route(fields, shown.senders)
    try:
        for check in checks:  # before anything is changed
            check()
        if not shown.senders:
            audit_log.look()
        for code in shown.senders:
            rank, weight = _number(fields, f"rank_{code}"), _number(fields, f"weight_{code}")
            await routing.set_leg(system, own, code, rank=rank, weight=weight)
        if fields.get("default") in shown.senders:
            await senders.authorise(system, fields["default"], own, default=True)
    except UmsError as error:
        shown = await channels.show(system, own)
        wrong = refused(request, {**_route_of(shown), **fields}, error, others=all_of(checks))
        form = Form({"name": shown.name})
        return _page(request, system, shown, form, trouble=wrong, status=error.status)
    return go(f"/channels/{own}", "channels.did_change")


def _route_of(channel: ChannelInfo) -> dict[str, Any]:
    """The route as its fields show it: without one the default carries all."""
    values: dict[str, Any] = {"default": channel.default_sender}
    for code in channel.senders:
        values |= {f"rank_{code}": int(code == channel.default_sender), f"weight_{code}": 1}
    for leg in channel.route:
        values |= {f"rank_{leg.sender}": leg.rank, f"weight_{leg.sender}": leg.weight}
    return values


def _checks_of_route(fields: dict[str, str], codes: Sequence[str]) -> list[Check]:
    """A check for each field."""
    found: list[Check] = []
    for code in codes:
        for name in ("rank", "weight"):
            field = f"{name}_{code}"
            found.append(partial(routing.check_number, name, _number(fields, field), field))
    return found


def _number(fields: dict[str, str], name: str) -> int | None:
    """None where it is not on the form; -1, which nothing takes, for what is no number."""
    if name not in fields:
        return None
    number = whole(fields[name].strip(), 4)
    return -1 if number is None else number


@post("/channels/{key:str}/open", scope="channels:write", channels="own")
async def open_channel(system: System, visitor: Visitor, key: FromPath[str]) -> Response[str]:
    own = visitor.caller.channel(key).key
    await channels.change(system, own, open=True)
    return go(f"/channels/{own}", "channels.did_open")


@post("/channels/{key:str}/close", scope="channels:write", channels="own")
async def close_channel(system: System, visitor: Visitor, key: FromPath[str]) -> Response[str]:
    own = visitor.caller.channel(key).key
    await channels.change(system, own, open=False)
    return go(f"/channels/{own}", "channels.did_close")


@post(
    "/channels/{key:str}/rotate", scope="channels:write", channels="own", recent="/channels/{key}"
)
async def rotate_secret(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    own = visitor.caller.channel(key).key
    hours = (await given(request)).get("overlap", "24")
    overlap = int(hours) if hours in map(str, OVERLAPS) else 24
    made = await channels.rotate(system, own, overlap * clock.HOUR)
    return await _reveal(system, visitor, "rotated", made)


handlers = [
    list_channels,
    new_channel,
    create_channel,
    show_channel,
    change_channel,
    change_route,
    open_channel,
    close_channel,
    rotate_secret,
]
