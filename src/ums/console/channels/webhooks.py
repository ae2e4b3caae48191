"""Where a channel is told: its callback addresses, and the batches nobody took."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, lists, refused, sort_of, whole
from ums.console.i18n import language_of
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.audit import audit_log
from ums.core.common.sorting import ByTime
from ums.core.context.directory import Channel
from ums.core.webhooks import administration, endpoint_checks, endpoint_rows, endpoints
from ums.core.webhooks.backoff import HOSTED
from ums.core.webhooks.endpoints import Changes
from ums.core.webhooks.signatures import SIGNED, Proof
from ums.errors import Invalid, NotFound, UmsError

_NEW: Final = {"url": "", "schedule": HOSTED, "form": SIGNED, "username": "", "password": ""}


@get("/channels/{key:str}/callbacks", scope="callbacks:read", channels="own", recent=True)
async def show_callbacks(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel = visitor.caller.channel(key)
    return await _callbacks(request, system, channel, Form(_NEW))


async def _callbacks(
    request: AnyRequest,
    system: Any,
    channel: Channel,
    form: Form,
    *,
    tested: Any = None,
    status: int = 200,
) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByTime, "created_at")
    async with system.database.read() as tx:
        dead = await administration.list_batches(
            tx, channel, state="dead", sort=sort, after=after, limit=20
        )
    return page(
        request,
        "channels/callbacks.html",
        status=status,
        channel=channel,
        addresses=await endpoint_rows.list_addresses(system, channel),
        dead=dead,
        sort=sort,
        form=form,
        tested=tested,
    )


@post(
    "/channels/{key:str}/callbacks",
    scope="callbacks:write",
    channels="own",
    status_code=200,
    recent=True,
)
async def add_callback(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """Its signing secret is shown once, on a page of its own."""
    channel = visitor.caller.channel(key)
    values = await _typed(request, tuple(_NEW))
    proof = Proof(values["form"] or SIGNED, values["username"], values["password"])
    asked = (system, channel, values["url"], values["schedule"], proof)
    may = visitor.caller.may_see_secret(channel)
    try:
        made = await endpoints.add(*asked, may_see_secret=may)
    except UmsError as error:
        others = await endpoint_checks.errors_of_new(*asked, may_see_secret=may)
        form = _refused(request, values, error, others)
        return await _callbacks(request, system, channel, form, status=error.status)
    return await _reveal(system, visitor, channel, str(made.secret))


def _refused(
    request: AnyRequest, values: dict[str, str], error: UmsError, others: Sequence[UmsError]
) -> Form:
    """The form again. The password is not: it has to be typed once more."""
    for one in (error, *others):
        one.values.setdefault("field", "form" if one.reason == "callback_hosted" else "url")
    return refused(request, {**values, "password": ""}, error, others=others)


async def _reveal(system: Any, visitor: Any, channel: Channel, secret: str) -> Response[str]:
    where = f"/channels/{channel.key}/callbacks"
    return await reveal(system, visitor, "callback", secret=secret, where=where)


async def _typed(request: AnyRequest, names: tuple[str, ...]) -> dict[str, str]:
    """Those fields of the form; a password as it is, all else without blanks around it."""
    found = await given(request)
    typed = {name: found.get(name, "") for name in names}
    return {n: value if n == "password" else value.strip() for n, value in typed.items()}


@get(
    "/channels/{key:str}/callbacks/{callback_id:int}",
    scope="callbacks:write",
    channels="own",
    recent=True,
)
async def show_callback(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    callback_id: FromPath[int],
) -> Response[str]:
    channel = visitor.caller.channel(key)
    row = await endpoint_rows.found(system, channel, callback_id)
    values = {"url": row.url, "form": row.form, "username": row.username, "password": ""}
    return _callback(request, channel, callback_id, Form(values))


def _callback(
    request: AnyRequest, channel: Channel, id: int, form: Form, status: int = 200
) -> Response[str]:
    return page(request, "channels/callback.html", status=status, channel=channel, id=id, form=form)


@post(
    "/channels/{key:str}/callbacks/{callback_id:int}",
    scope="callbacks:write",
    channels="own",
    recent=True,
)
async def edit_callback(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    callback_id: FromPath[int],
) -> Response[str]:
    """An empty password stays what it was."""
    channel = visitor.caller.channel(key)
    values = await _typed(request, ("url", "form", "username", "password"))
    new = {name: value for name, value in values.items() if value or name != "password"}
    asked = (system, channel, callback_id, Changes(**new))
    may = visitor.caller.may_see_secret(channel)
    try:
        await endpoints.change(*asked, may_see_secret=may)
    except UmsError as error:
        if isinstance(error, NotFound):
            raise
        others = await endpoints.errors_of_change(*asked, may_see_secret=may)
        form = _refused(request, values, error, others)
        return _callback(request, channel, callback_id, form, error.status)
    return go(f"/channels/{channel.key}/callbacks", "channels.did_change_callback")


@post(
    "/channels/{key:str}/callbacks/{callback_id:int}/{verb:str}",
    scope="callbacks:write",
    channels="own",
    status_code=200,
    recent="/channels/{key}/callbacks",
)
async def change_callback(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    callback_id: FromPath[int],
    verb: FromPath[str],
) -> Response[str]:
    """Verify, test, make it the default, give it a new secret, or forget it."""
    channel, tested = visitor.caller.channel(key), None
    form = Form(_NEW)
    try:
        if verb == "test":
            tested = await endpoints.test(system, channel, callback_id, language_of(request))
        elif verb == "rotate":
            made = await endpoints.rotate(system, channel, callback_id)
            return await _reveal(system, visitor, channel, str(made.secret))
        else:
            await _simply(system, channel, callback_id, verb)
    except Invalid as error:
        if isinstance(error, NotFound):
            raise
        audit_log.look()  # nothing was changed
        form = refused(request, {}, error)
        form.values |= _NEW
    return await _callbacks(request, system, channel, form, tested=tested)


async def _simply(system: Any, channel: Channel, id: int, verb: str) -> None:
    if verb == "verify":
        await endpoints.verify(system, channel, id)
    elif verb == "default":
        await endpoints.set_default(system, channel, id)
    elif verb == "delete":
        await endpoints.delete(system, channel, id)
    else:
        raise NotFound("not_found")


@post("/channels/{key:str}/replay", scope="callbacks:write", channels="own")
async def replay(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    """Send dead batches again: one, or all of them."""
    channel, found = visitor.caller.channel(key), await lists(request)
    batch = whole((found.get("batch") or [""])[-1])
    if batch is not None:
        await administration.replay(system, channel, first=batch, last=batch)
    else:
        await administration.replay(system, channel, first=0)
    return go(f"/channels/{channel.key}/callbacks", "channels.did_replay")


handlers = [
    show_callbacks,
    add_callback,
    show_callback,
    edit_callback,
    change_callback,
    replay,
]
