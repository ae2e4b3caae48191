"""Senders: the accounts that mail goes out through."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, lists, refused, sort_of
from ums.console.rendering import AnyRequest, go, page, render, streamed
from ums.core.channels import channels
from ums.core.messages import auto_pause
from ums.core.senders import (
    connection_test,
    learned_limits,
    mailboxes,
    quota_ledger,
    reputation,
    senders,
    warm_up,
)
from ums.core.senders.senders import NewSender, SenderInfo, SenderOrder
from ums.core.transports.accounts import WEBHOOK
from ums.errors import Forbidden, UmsError
from ums.mail.provider_presets import PRESETS, Preset, preset_of
from ums.mail.send_limits import SendLimit

EMPTY = {
    "code": "",
    "name": "",
    "host": "",
    "port": "465",
    "encryption": "ssl",
    "account": "",
    "password": "",
    "from_address": "",
    "from_name": "",
    "channels": [],
    "allow_port": "",
}
# What `core` calls otherwise.
FIELDS = {"from": "from_address"}
OF_REASON = {
    "code_shape": "code",
    "code_taken": "code",
    "encryption": "encryption",
    "port_range": "port",
    "port_approval": "port",
    "host_shape": "host",
    "password_again": "password",
}


# Which step of the connection test comes after which.
AFTER = {
    "resolve": "connect",
    "connect": "tls",
    "tls": "greeting",
    "greeting": "ehlo",
    "ehlo": "auth",
    "auth": "mail",
    "mail": "rcpt",
}
AFTER_OF_WEBHOOK = {"connect": "tls", "tls": "data"}
STEPS_OF_WEBHOOK = {"data": "request", "dot": "delivery"}


@get("/senders", scope="senders:read", channels="all")
async def list_senders(request: AnyRequest, system: System) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, SenderOrder, "code")
    found = await senders.page_senders(system, sort=sort, after=after, limit=50)
    return page(request, "senders/list.html", found=found, sort=sort)


@get("/senders/new", scope="senders:write", channels="all", recent=True)
async def new_sender(request: AnyRequest, system: System) -> Response[str]:
    """Which provider, and then the form with what is known of it."""
    name = request.query_params.get("preset", "")
    if name not in (*PRESETS, "custom"):
        return page(request, "senders/choose.html", presets=PRESETS)
    preset = PRESETS.get(name)
    values = {**EMPTY, "preset": name}
    if preset is not None:
        values |= {"host": preset.host, "port": preset.port, "encryption": preset.encryption.value}
        values |= {"name": preset.en[:30]}
    return await _form(request, system, Form(values), preset, name)


async def _form(
    request: AnyRequest,
    system: System,
    form: Form,
    preset: Preset | None,
    name: str,
    *,
    sender: SenderInfo | None = None,
    status: int = 200,
) -> Response[str]:
    return page(
        request,
        "senders/form.html",
        status=status,
        form=form,
        preset=preset,
        preset_name=name,
        sender=sender,
        channels=await channels.list_channels(system),
        free_ports=sorted(senders.free_ports(system)),
    )


@post("/senders", scope="senders:write", channels="all", recent="/senders/new")
async def create_sender(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    values = await _values(request)
    try:
        preset = PRESETS.get(values["preset"])
        await senders.create(system, _sender(values, visitor, caps=preset and preset.caps))
    except UmsError as error:
        name = values["preset"]
        others = await _flaws(system, values, visitor, new=True)
        form = _refused(request, values, error, others)
        return await _form(request, system, form, PRESETS.get(name), name, status=error.status)
    return go(f"/senders/{values['code']}", "senders.did_create")


@get("/senders/{code:str}", scope="senders:read", channels="all")
async def show_sender(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    sender = await senders.show(system, code)
    return await _page(request, system, sender, Form({"to": ""}))


async def _page(
    request: AnyRequest, system: System, sender: SenderInfo, form: Form, status: int = 200
) -> Response[str]:
    names = {one.channelkey: one.name for one in await channels.list_channels(system)}
    return page(
        request,
        "senders/show.html",
        status=status,
        sender=sender,
        preset=preset_of(sender.host),
        names=names,
        used=await quota_ledger.caps_of(system, sender.code),
        standing=await reputation.standing_of(system, sender.code),
        domain_rates=await learned_limits.list_domain_rates(system, sender.code),
        warming=await warm_up.show(system, sender.code),
        mailbox=await mailboxes.show(system, sender.code),
        form=form,
    )


@get("/senders/{code:str}/edit", scope="senders:write", channels="all", recent=True)
async def edit_sender(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    sender, query = await senders.show(system, code), request.query_params
    if sender.type == WEBHOOK:
        return go(f"/webhook-senders/{code}/edit")
    values: dict[str, Any] = {name: getattr(sender, name, "") for name in EMPTY}
    values |= {"password": "", "encryption": sender.encryption.value, "preset": ""}
    # A way that was found to work is put into the form, for a person to save.
    values |= {name: query[name] for name in ("port", "encryption") if name in query}
    return await _form(request, system, Form(values), preset_of(sender.host), "", sender=sender)


@post("/senders/{code:str}", scope="senders:write", channels="all", recent="/senders/{code}/edit")
async def change_sender(
    request: AnyRequest, system: System, visitor: Visitor, code: FromPath[str]
) -> Response[str]:
    """An empty password keeps the one that is stored."""
    sender = await senders.show(system, code)
    values = {**await _values(request), "code": code}
    try:
        await senders.change(system, _sender(values, visitor, keep=True))
        for key in set(sender.channels) - set(values["channels"]):
            await senders.unauthorise(system, code, key)
    except UmsError as error:
        others = await _flaws(system, values, visitor, new=False)
        form = _refused(request, values, error, others)
        preset = preset_of(str(values["host"]))
        return await _form(request, system, form, preset, "", sender=sender, status=error.status)
    return go(f"/senders/{code}", "senders.did_change")


@post("/senders/{code:str}/pause", scope="senders:write", channels="all")
async def pause_sender(system: System, code: FromPath[str]) -> Response[str]:
    await senders.set_open(system, code, open=False)
    return go(f"/senders/{code}", "senders.did_pause")


@post("/senders/{code:str}/resume", scope="senders:write", channels="all")
async def resume_sender(system: System, code: FromPath[str]) -> Response[str]:
    await senders.set_open(system, code, open=True)
    return go(f"/senders/{code}", "senders.did_resume")


@post("/senders/{code:str}/confirm", scope="senders:write", channels="all")
async def confirm_sender(system: System, code: FromPath[str]) -> Response[str]:
    await auto_pause.confirm(system, code)
    return go(f"/senders/{code}", "senders.did_confirm")


@post("/senders/{code:str}/test", scope="senders:write", channels="all", status_code=200)
async def test_sender(
    request: AnyRequest, system: System, code: FromPath[str]
) -> Response[str] | Stream:
    """The connection doctor, step by step; with an address a test mail goes there."""
    to = (await given(request)).get("to", "").strip()
    sender = await senders.show(system, code)
    try:
        steps = await connection_test.begin(system, code, to or None)
    except UmsError as error:
        form = refused(request, {"to": to}, error)
        return await _page(request, system, sender, form, error.status)
    return streamed(
        request,
        "senders/test.html",
        _told(request, sender, steps),
        sender=sender,
        form=Form({"to": to}),
    )


async def _told(
    request: AnyRequest, sender: SenderInfo, steps: AsyncIterable[connection_test.StepReport]
) -> AsyncGenerator[str]:
    last = None

    def name(stage: str) -> str:
        steps = STEPS_OF_WEBHOOK if sender.type == WEBHOOK else {}
        return f"senders.step_{steps.get(stage, stage)}"

    first = "connect" if sender.type == WEBHOOK else "resolve"
    yield render(request, "senders/_working.html", stage=first, step_name=name)
    async for step in steps:
        last = step if step.stage != connection_test.WAYS else last
        yield render(request, "senders/_step.html", step=step, step_name=name)
        following = _following(sender, step)
        if following:
            yield render(request, "senders/_working.html", stage=following, step_name=name)
        if step.stage == connection_test.WAYS or not step.ok:
            yield render(
                request,
                "senders/_remedy.html",
                step=step,
                sender=sender,
                preset=preset_of(sender.host),
            )
    if last is not None:
        told = {"ok": last.ok, "step": last, "sender": sender, "step_name": name}
        yield render(request, "senders/_verdict.html", **told)


def _following(sender: SenderInfo, step: connection_test.StepReport) -> str:
    """The step that runs now; "" where none does. With STARTTLS there is a second EHLO."""
    if step.ok and sender.type == WEBHOOK:
        following = AFTER_OF_WEBHOOK.get(step.stage, "")
        return "data" if following == "tls" and sender.encryption.value == "none" else following
    if not step.ok or step.stage not in AFTER:
        return ""
    following = AFTER[step.stage]
    if following == "tls" and sender.encryption.value != "ssl":
        return "greeting"
    if following == "auth" and not sender.account:
        return "mail"
    return following


@post("/senders/{code:str}/way", scope="senders:write", channels="all")
async def take_way(
    request: AnyRequest, system: System, visitor: Visitor, code: FromPath[str]
) -> Response[str]:
    """Use the port and mode that the doctor found, and look again."""
    sender = await senders.show(system, code)
    values: dict[str, Any] = {name: getattr(sender, name, "") for name in EMPTY}
    found = await given(request)
    port, _, encryption = found.get("way", "").partition(" ")
    values |= {"port": port, "encryption": encryption}
    # The password goes to a new place only when somebody knows it.
    values |= {"password": found.get("password", ""), "preset": ""}
    # Whoever may approve a port does so by choosing it here.
    values |= {"allow_port": "on" if visitor.may("senders:approve") else ""}
    try:
        await senders.change(system, _sender(values, visitor, keep=True))
    except UmsError as error:
        form = _refused(request, values, error)
        preset = preset_of(sender.host)
        return await _form(request, system, form, preset, "", sender=sender, status=error.status)
    return go(f"/senders/{code}", "senders.did_change")


async def _values(request: AnyRequest) -> dict[str, Any]:
    found = await lists(request)
    values: dict[str, Any] = {name: (found.get(name) or [""])[-1] for name in EMPTY}
    values["channels"] = [key for key in found.get("channels", []) if key]
    values["preset"] = (found.get("preset") or ["custom"])[-1]
    return values


def _sender(
    values: dict[str, Any],
    visitor: Any,
    *,
    keep: bool = False,
    caps: Sequence[SendLimit] | None = None,
) -> NewSender:
    if values["allow_port"] and not visitor.may("senders:approve"):
        raise Forbidden("scope_missing", scope="senders:approve")
    port = str(values["port"]).strip()
    # Who does not log in has no password to keep.
    password = values["password"] or (None if keep and values["account"] else "")
    return NewSender(
        code=values["code"].strip(),
        name=values["name"].strip(),
        host=values["host"].strip(),
        port=int(port) if port.isascii() and port.isdigit() and len(port) < 7 else 0,
        encryption=values["encryption"],
        account=values["account"].strip(),
        password=password,
        from_address=values["from_address"].strip(),
        from_name=values["from_name"].strip(),
        channels=values["channels"],
        allow_port=bool(values["allow_port"]),
        caps=None if caps is None else list(caps),
    )


async def _flaws(system: Any, values: dict[str, Any], visitor: Any, *, new: bool) -> list[UmsError]:
    """All that is wrong with the form, as far as the visitor may save it at all."""
    try:
        given = _sender(values, visitor, keep=not new)
    except Forbidden as error:
        return [error]
    return await senders.errors_of(system, given, new=new)


def _refused(
    request: AnyRequest,
    values: dict[str, Any],
    error: UmsError,
    others: Sequence[UmsError] = (),
) -> Form:
    """The form again. The password is not: it has to be typed once more."""
    for one in (error, *others):
        if "field" not in one.values and one.reason in OF_REASON:
            one.values["field"] = OF_REASON[one.reason]
    return refused(request, {**values, "password": ""}, error, FIELDS, others)


handlers = [
    list_senders,
    new_sender,
    create_sender,
    show_sender,
    edit_sender,
    change_sender,
    pause_sender,
    resume_sender,
    confirm_sender,
    test_sender,
    take_way,
]
