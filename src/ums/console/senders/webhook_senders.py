"""Webhook senders: the form of their own; the rest is on the pages of all senders."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, lists, refused
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels import channels
from ums.core.maintenance import health_checks
from ums.core.senders import senders, webhook_senders
from ums.core.senders.senders import SenderInfo
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.transports.accounts import WEBHOOK
from ums.errors import UmsError

EMPTY: Final = {
    "code": "",
    "name": "",
    "url": "",
    "account": "",
    "password": "",
    "deduplicates": "",
    "channels": [],
}
OF_REASON: Final = {"code_shape": "code", "code_taken": "code"}


@get("/webhook-senders/new", scope="senders:write", channels="all", recent=True)
async def new_webhook_sender(request: AnyRequest, system: System) -> Response[str]:
    return await _form(request, system, Form(EMPTY))


@post("/webhook-senders", scope="senders:write", channels="all", recent="/webhook-senders/new")
async def create_webhook_sender(
    request: AnyRequest, system: System, visitor: Visitor
) -> Response[str]:
    """Its signing secret is shown once, on a page of its own."""
    values = await _values(request)
    given = _sender(values)
    try:
        await health_checks.require_key(system)
        made = await webhook_senders.create(system, given)
    except UmsError as error:
        others = await webhook_senders.errors_of(system, given, new=True)
        form = _refused(request, values, error, others)
        return await _form(request, system, form, status=error.status)
    return await _reveal(system, visitor, made)


@get("/webhook-senders/{code:str}/edit", scope="senders:write", channels="all", recent=True)
async def edit_webhook_sender(
    request: AnyRequest, system: System, code: FromPath[str]
) -> Response[str]:
    sender = await senders.show(system, code)
    if sender.type != WEBHOOK:
        return go(f"/senders/{code}/edit")
    values: dict[str, Any] = {name: getattr(sender, name, "") for name in EMPTY}
    return await _form(request, system, Form({**values, "password": ""}), sender=sender)


@post(
    "/webhook-senders/{code:str}",
    scope="senders:write",
    channels="all",
    recent="/webhook-senders/{code}/edit",
)
async def change_webhook_sender(
    request: AnyRequest, system: System, code: FromPath[str]
) -> Response[str]:
    """An empty password keeps the one that is stored, unless it is to be forgotten."""
    sender = await senders.show(system, code)
    values = {**await _values(request), "code": code}
    given = _sender(values, keep=True)
    try:
        await health_checks.require_key(system)
        await webhook_senders.change(system, given)
        for key in set(sender.channels) - set(values["channels"]):
            await senders.unauthorise(system, code, key)
    except UmsError as error:
        others = await webhook_senders.errors_of(system, given, new=False)
        form = _refused(request, values, error, others)
        return await _form(request, system, form, sender=sender, status=error.status)
    return go(f"/senders/{code}", "senders.did_change")


@post(
    "/webhook-senders/{code:str}/rotate",
    scope="senders:write",
    channels="all",
    recent="/senders/{code}",
)
async def rotate_webhook_sender(
    system: System, visitor: Visitor, code: FromPath[str]
) -> Response[str]:
    """A new signing secret, shown once; the old one signs as well for a day."""
    await health_checks.require_key(system)
    return await _reveal(system, visitor, await webhook_senders.rotate(system, code))


async def _reveal(system: Any, visitor: Any, made: SenderInfo) -> Response[str]:
    secret = str(made.signing_secret)
    return await reveal(system, visitor, "webhook", secret=secret, where=f"/senders/{made.code}")


async def _form(
    request: AnyRequest,
    system: System,
    form: Form,
    *,
    sender: SenderInfo | None = None,
    status: int = 200,
) -> Response[str]:
    found = await channels.list_channels(system)
    return page(
        request, "senders/webhook.html", status=status, form=form, sender=sender, channels=found
    )


async def _values(request: AnyRequest) -> dict[str, Any]:
    found = await lists(request)
    values: dict[str, Any] = {name: (found.get(name) or [""])[-1] for name in EMPTY}
    values["channels"] = [key for key in found.get("channels", []) if key]
    values["forget_password"] = (found.get("forget_password") or [""])[-1]
    return values


def _sender(values: dict[str, Any], *, keep: bool = False) -> NewWebhookSender:
    kept = keep and not values["forget_password"]
    return NewWebhookSender(
        code=values["code"].strip(),
        name=values["name"].strip(),
        url=values["url"].strip(),
        account=values["account"].strip(),
        password=values["password"] or (None if kept else ""),
        deduplicates=bool(values["deduplicates"]),
        channels=values["channels"],
    )


def _refused(
    request: AnyRequest, values: dict[str, Any], error: UmsError, others: Sequence[UmsError]
) -> Form:
    """The form again. The password is not: it has to be typed once more."""
    for one in (error, *others):
        if "field" not in one.values and one.reason in OF_REASON:
            one.values["field"] = OF_REASON[one.reason]
    return refused(request, {**values, "password": ""}, error, others=others)


handlers = [
    new_webhook_sender,
    create_webhook_sender,
    edit_webhook_sender,
    change_webhook_sender,
    rotate_webhook_sender,
]
