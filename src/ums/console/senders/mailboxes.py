"""The mailbox of a sender's account: where mails in doubt are found, and what came back."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, whole
from ums.console.rendering import AnyRequest, go, page
from ums.core.deliveries import mailbox_polling
from ums.core.senders import mailboxes, senders
from ums.core.senders.mailboxes import MailboxInfo, NewMailbox
from ums.core.senders.senders import SenderInfo
from ums.errors import Forbidden, UmsError
from ums.mail.provider_presets import preset_of

_TEXTS = ("host", "account", "sent_folder", "inbox")


@get("/senders/{code:str}/mailbox", scope="senders:write", channels="all", recent=True)
async def edit_mailbox(request: AnyRequest, system: System, code: FromPath[str]) -> Response[str]:
    """As it is; where there is none, with what is known of the provider."""
    sender, box = await senders.show(system, code), await mailboxes.show(system, code)
    preset = preset_of(sender.host)
    values: dict[str, Any] = {"port": 993, "encryption": "ssl", "inbox": "INBOX", "password": ""}
    values |= {"host": preset.imap if preset else "", "account": sender.account, "sent_folder": ""}
    if box is not None:
        values |= {name: getattr(box, name) for name in (*_TEXTS, "port")}
        values["encryption"] = box.encryption.value
    return _form(request, sender, box, Form(values))


def _form(
    request: AnyRequest,
    sender: SenderInfo,
    box: MailboxInfo | None,
    form: Form,
    status: int = 200,
) -> Response[str]:
    return page(
        request,
        "senders/mailbox.html",
        status=status,
        sender=sender,
        preset=preset_of(sender.host),
        mailbox=box,
        form=form,
    )


@post("/senders/{code:str}/mailbox", scope="senders:write", channels="all", recent=True)
async def set_mailbox(
    request: AnyRequest, system: System, visitor: Visitor, code: FromPath[str]
) -> Response[str]:
    fields = await given(request)
    try:
        if fields.get("allow_port"):
            visitor.caller.need("senders:approve")
        await mailboxes.set_mailbox(system, code, _mailbox(fields))
    except UmsError as error:
        others = await _flaws(system, code, fields, error)
        form = refused(request, {**fields, "password": ""}, error, others=others)
        sender, box = await senders.show(system, code), await mailboxes.show(system, code)
        return _form(request, sender, box, form, error.status)
    return go(f"/senders/{code}", "senders.did_mailbox")


async def _flaws(system: Any, code: str, fields: dict[str, str], error: UmsError) -> list[UmsError]:
    """All that is wrong with the form, as far as the visitor may save it at all."""
    if isinstance(error, Forbidden):
        return []
    return await mailboxes.errors_of(system, code, _mailbox(fields))


def _mailbox(fields: dict[str, str]) -> NewMailbox:
    port = whole(fields.get("port", "").strip(), 5) or 0
    kind: Any = fields.get("encryption", "")
    texts = {name: fields.get(name, "").strip() for name in _TEXTS}
    return NewMailbox(
        port=port,
        encryption=kind,
        password=fields.get("password") or None,
        allow_port=bool(fields.get("allow_port")),
        **texts,
    )


@post("/senders/{code:str}/mailbox/look", scope="senders:write", channels="all")
async def look_into_mailbox(system: System, code: FromPath[str]) -> Response[str]:
    box = await mailbox_polling.look_now(system, code)
    return go(f"/senders/{code}", "senders.did_look_in_vain" if box.problem else "senders.did_look")


@post(
    "/senders/{code:str}/mailbox/remove",
    scope="senders:write",
    channels="all",
    recent="/senders/{code}/mailbox",
)
async def remove_mailbox(system: System, code: FromPath[str]) -> Response[str]:
    await mailboxes.remove(system, code)
    return go(f"/senders/{code}", "senders.did_mailbox_remove")


handlers = [edit_mailbox, set_mailbox, look_into_mailbox, remove_mailbox]
