"""Sending: to whom, what, when; a look at it with exact counts; and off it goes."""

from typing import Any

from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from msgspec.structs import replace

from ums import clock
from ums.console.dependencies import Intake, System, Visitor
from ums.console.forms import Form, lists, refused
from ums.console.i18n import language_of
from ums.console.messages.compose_form import fields_of
from ums.console.messages.submission import EMPTY, FIELDS, read, typed
from ums.console.rendering import AnyRequest, go, page
from ums.console.sandbox.mail_csp import HTML_HEADERS
from ums.core.audit import audit_log
from ums.core.common.field_errors import ErrorList
from ums.core.context.directory import Channel
from ums.core.identity.principals import Principal
from ums.core.messages import approval, compose, drafts, template_preview
from ums.core.messages.acceptance_checks import look_up, policy_errors
from ums.core.messages.audience_preview import reach
from ums.core.messages.drafts import Draft
from ums.core.messages.new_message import MessageRequest, Recipient
from ums.core.messages.scheduling import check_times
from ums.core.reporting import reports
from ums.core.reporting.delivery_eta import estimate
from ums.core.templates import inline, store
from ums.core.users import segments
from ums.errors import NotFound, UmsError


@get("/send", scope="messages:send", channels="own")
async def write(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    caller = visitor.caller
    keys = [key for key, one in caller.snapshot.channels.items() if caller.sees(one.id)]
    if not keys:
        return page(request, "send/no_channel.html")
    asked = request.query_params.get("channel", "")
    channel = caller.channel(asked if asked in keys else keys[0])
    values = {**EMPTY, "channel": channel.key, "zone": channel.rules.zone}
    return await form_page(request, system, visitor, channel, Form(values))


async def form_page(
    request: AnyRequest,
    system: Any,
    visitor: Any,
    channel: Channel,
    form: Form,
    draft: Draft | None = None,
    status: int = 200,
) -> Response[str]:
    caller: Principal = visitor.caller
    async with system.database.read() as tx:
        templates = (await store.list_templates(tx, channel, limit=500)).items
    channels = sorted(caller.snapshot.channels.values(), key=lambda one: one.id)
    return page(
        request,
        "send/write.html",
        status=status,
        page_zone=channel.rules.zone,
        sender=caller.snapshot.sender_for(channel, ""),
        form=form,
        draft=draft,
        channel=channel,
        channels=[one for one in channels if caller.sees(one.id)],
        templates=[one for one in templates if one.open],
        segments=await segments.list_segments(system),
        drafts=await drafts.list_drafts(system, caller),
    )


@post("/send", scope="messages:send", channels="own", body="upload")
async def keep(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Keep it as a draft; the next page shows what would become of it."""
    return await _keep(request, system, visitor, None)


@post("/send/{draft_id:int}", scope="messages:send", channels="own", body="upload")
async def keep_again(
    request: AnyRequest, system: System, visitor: Visitor, draft_id: FromPath[int]
) -> Response[str]:
    found = await drafts.find(system, visitor.caller, draft_id)
    return await _keep(request, system, visitor, found)


async def _keep(
    request: AnyRequest, system: Any, visitor: Any, draft: Draft | None
) -> Response[str]:
    fields = await typed(request)
    channel = visitor.caller.channel(fields["channel"])
    operator_id = visitor.signed_in.operator_id
    content, errors = await read(request, system, operator_id, channel, fields, draft)
    if errors:
        form = refused(request, {**EMPTY, **fields}, errors[0], FIELDS, errors)
        return await form_page(request, system, visitor, channel, form, draft, errors[0].status)
    id = await drafts.save(system, operator_id, channel.id, content, draft.id if draft else None)
    audit_log.about(f"draft {id}")
    return go(f"/send/{id}/check")


@get("/send/{draft_id:int}", scope="messages:send", channels="own")
async def write_on(
    request: AnyRequest, system: System, visitor: Visitor, draft_id: FromPath[int]
) -> Response[str]:
    draft = await drafts.find(system, visitor.caller, draft_id)
    channel = _channel(visitor.caller, draft)
    fields = draft.form
    if fields is None:
        own = None
        if draft.content.template is not None:
            own = await inline.find(system, channel, draft.content.template)
        fields = fields_of(draft.content, channel.rules.zone, own)
    values = {**EMPTY, **fields, "channel": channel.key}
    return await form_page(request, system, visitor, channel, Form(values), draft)


def _channel(caller: Principal, draft: Draft) -> Channel:
    channel = caller.snapshot.channel_ids.get(draft.channel_id)
    if channel is None:
        raise NotFound("draft_gone")
    return channel


@get("/send/{draft_id:int}/check", scope="messages:send", channels="own")
async def check(
    request: AnyRequest, system: System, visitor: Visitor, draft_id: FromPath[int]
) -> Response[str]:
    draft = await drafts.find(system, visitor.caller, draft_id)
    if draft.msgid is not None:
        return go(f"/messages/{draft.msgid}")
    return await _check(request, system, visitor, draft, Form({"to": ""}))


async def _check(
    request: AnyRequest,
    system: Any,
    visitor: Any,
    draft: Draft,
    form: Form,
    status: int = 200,
    problem: str = "",
) -> Response[str]:
    """All that keeps it from being sent is told before it is; `problem`: why it could not be sent
    just now."""
    channel, counted, ahead = _channel(visitor.caller, draft), None, None
    second = False  # whether another person has to approve it
    userid = request.query_params.get("userid", "").strip()
    sender, errors = None, ErrorList()
    with errors.collecting():
        asked = await compose.request_of(system, channel, draft.content)
        facts, _ = await look_up(system, channel, asked, origin="console")
        sender, second = facts.sender, facts.approval_needed
        errors += policy_errors(facts)
        with errors.collecting():
            check_times(asked, clock.now())
        counted = await reach(system, channel, asked)
        if sender is not None:
            async with system.database.read() as tx:
                ahead = await estimate(tx, channel, sender.code, asked, counted.goes)
    if errors and not problem:
        problem = refused(request, {}, errors[0], others=errors[1:]).trouble
    seen, form_user = await _seen(request, system, channel, draft.content, userid)
    return page(
        request,
        "send/check.html",
        status=status,
        page_zone=channel.rules.zone,
        draft=draft,
        content=draft.content,
        channel=channel,
        sender=sender,
        counted=counted,
        second=second,
        ahead=ahead,
        problem=problem,
        seen=seen,
        userid=userid,
        form_user=form_user,
        form=form,
        phone=request.query_params.get("view") == "phone",
    )


async def _seen(
    request: AnyRequest, system: Any, channel: Channel, content: MessageRequest, userid: str
) -> tuple[Any, Form]:
    """The template as a real user would get it; None for content that is the same for all."""
    form, language = Form({"userid": userid}), language_of(request)
    if content.template is None:
        return None, form
    who = userid or next((one.userid for one in content.recipients if one.userid), None)
    try:
        seen = await template_preview.preview(
            system, channel, content.template, userid=who, para=content.variables, language=language
        )
    except UmsError as error:
        form = refused(request, {"userid": userid}, error, {"": "userid"})
        seen = await template_preview.preview(
            system, channel, content.template, para=content.variables, language=language
        )
    return seen, form


@get("/send/{draft_id:int}/mail", scope="messages:send", channels="own")
async def mail(
    request: AnyRequest, system: System, visitor: Visitor, draft_id: FromPath[int]
) -> Response[str]:
    """The HTML of the mail, for the frame of the page before."""
    draft = await drafts.find(system, visitor.caller, draft_id)
    html = draft.content.html or ""
    if draft.content.template is not None:
        channel = _channel(visitor.caller, draft)
        userid = request.query_params.get("userid", "").strip()
        seen, _ = await _seen(request, system, channel, draft.content, userid)
        html = seen.html or ""
    return Response(html, media_type=MediaType.HTML, headers=HTML_HEADERS)


@post("/send/{draft_id:int}/test", scope="messages:send", channels="own", status_code=200)
async def test(
    request: AnyRequest,
    system: System,
    intake: Intake,
    visitor: Visitor,
    draft_id: FromPath[int],
) -> Response[str]:
    """One mail of it, to oneself."""
    draft = await drafts.find(system, visitor.caller, draft_id)
    channel = _channel(visitor.caller, draft)
    to = ((await lists(request)).get("to") or [""])[-1].strip()
    try:
        trial = _trial(draft.content, to)
        fingerprint = compose.fingerprint(trial)
        accepted = await intake.accept(channel, trial, fingerprint, origin="console")
    except UmsError as error:
        error.values["field"] = "to"
        form = refused(request, {"to": to}, error)
        return await _check(request, system, visitor, draft, form, error.status)
    waits = await approval.waits(system, accepted.msgid)
    return go(f"/messages/{accepted.msgid}", "send.did_wait" if waits else "send.did_test")


def _trial(content: MessageRequest, to: str) -> MessageRequest:
    own = content.recipients[0].variables if content.recipients else {}
    only = [Recipient(address=to, variables=own)]
    return replace(content, recipients=only, audience=None, starts_at=None, cc=[], bcc=[])


@post("/send/{draft_id:int}/go", scope="messages:send", channels="own")
async def send(
    request: AnyRequest,
    system: System,
    intake: Intake,
    visitor: Visitor,
    draft_id: FromPath[int],
) -> Response[str]:
    """Off it goes. However often this is pressed, it is one message."""
    draft = await drafts.find(system, visitor.caller, draft_id)
    if draft.msgid is not None:
        return go(f"/messages/{draft.msgid}")
    channel = _channel(visitor.caller, draft)
    key = f"draft:{draft.id}"
    try:
        fingerprint = compose.fingerprint(draft.content)
        accepted = await intake.accept(
            channel, draft.content, fingerprint, key=key, origin="console"
        )
    except UmsError as error:
        told = refused(request, {}, error).trouble
        return await _check(
            request, system, visitor, draft, Form({"to": ""}), error.status, problem=told
        )
    await drafts.sent(system, draft.id, accepted.msgid)
    async with system.database.read() as tx:
        state = (await reports.message(tx, accepted.msgid)).state
    word = {"scheduled": "send.did_schedule", "approval": "send.did_wait"}.get(state)
    return go(f"/messages/{accepted.msgid}", word or "send.did_send")


@post("/send/{draft_id:int}/delete", scope="messages:send", channels="own")
async def delete(system: System, visitor: Visitor, draft_id: FromPath[int]) -> Response[str]:
    await drafts.remove(system, visitor.signed_in.operator_id, draft_id)
    return go("/send", "send.did_delete")


handlers = [
    write,
    keep,
    write_on,
    keep_again,
    check,
    mail,
    test,
    send,
    delete,
]
