"""Templates: content with variables, kept in versions."""

import difflib
from typing import Any, Final

import msgspec
from litestar import MediaType, Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import Intake, System, Visitor
from ums.console.forms import Form, given, refused, sort_of
from ums.console.i18n import language_of
from ums.console.rendering import AnyRequest, go, page
from ums.console.sandbox.mail_csp import HTML_HEADERS
from ums.core.common.sorting import ByName
from ums.core.context.directory import Channel
from ums.core.identity.principals import Principal
from ums.core.messages import template_preview
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.templates.store import Change, TemplateShown
from ums.errors import Detail, Invalid, NotFound, UmsError

EMPTY: Final = {
    "name": "",
    "subject": "",
    "kind": "html",
    "html": "",
    "text": "",
    "defaults": "",
}
FIELDS: Final = {"mjml": "html"}


@get("/templates", scope="templates:read", channels="own")
async def list_templates(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    channel = _chosen(request, visitor.caller)
    if channel is None:
        return page(request, "send/no_channel.html")
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "created_at")
    async with system.database.read() as tx:
        found = await store.list_templates(tx, channel, sort=sort, after=after, limit=50)
    return page(
        request,
        "templates/list.html",
        found=found,
        sort=sort,
        channel=channel,
        channels=_channels(visitor.caller),
        form=Form({"channel": channel.key}),
    )


def _channels(caller: Principal) -> list[Channel]:
    every = sorted(caller.snapshot.channels.values(), key=lambda one: one.id)
    return [one for one in every if caller.sees(one.id)]


def _chosen(request: AnyRequest, caller: Principal) -> Channel | None:
    asked = request.query_params.get("channel")
    known = _channels(caller)
    return caller.channel(asked) if asked else known[0] if known else None


@get("/channels/{key:str}/templates/new", scope="templates:write", channels="own")
async def new_template(request: AnyRequest, visitor: Visitor, key: FromPath[str]) -> Response[str]:
    channel = visitor.caller.channel(key)
    return page(request, "templates/form.html", channel=channel, form=Form(EMPTY), shown=None)


@post("/channels/{key:str}/templates", scope="templates:write", channels="own", body="text")
async def create_template(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel, fields = visitor.caller.channel(key), {**EMPTY, **await given(request)}
    try:
        sources, defaults = _sources(fields), _defaults(fields)
        made = await store.create(system, channel, fields["name"].strip(), sources, defaults)
    except UmsError as error:
        others = await _flaws(system, channel, fields)
        form = refused(request, fields, error, FIELDS, others)
        return page(
            request,
            "templates/form.html",
            status=error.status,
            channel=channel,
            form=form,
            shown=None,
        )
    return go(f"/channels/{channel.key}/templates/{made.id}", "templates.did_create")


@get("/channels/{key:str}/templates/{template_id:int}", scope="templates:read", channels="own")
async def show_template(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
) -> Response[str]:
    """The template as a user would get it, with its versions."""
    channel = visitor.caller.channel(key)
    return await _show(request, system, channel, template_id, Form({"to": ""}))


async def _show(
    request: AnyRequest, system: Any, channel: Channel, id: int, form: Form, status: int = 200
) -> Response[str]:
    version = _version(request)
    shown = await store.show(system, channel, id, version)
    userid = request.query_params.get("userid", "").strip()
    form_user, language = Form({"userid": userid}), language_of(request)
    try:
        seen = await template_preview.preview(
            system, channel, id, version=shown.version, userid=userid or None, language=language
        )
    except UmsError as error:
        form_user = refused(request, {"userid": userid}, error, {"": "userid"})
        seen = await template_preview.preview(
            system, channel, id, version=shown.version, language=language
        )
    async with system.database.read() as tx:
        versions = (await store.list_versions(tx, channel, id, limit=50)).items
    newest = await store.show(system, channel, id)
    return page(
        request,
        "templates/show.html",
        status=status,
        channel=channel,
        shown=shown,
        seen=seen,
        userid=userid,
        form_user=form_user,
        form=form,
        versions=versions,
        changes=_difference(shown, newest) if shown.version != newest.version else [],
    )


def _version(request: AnyRequest) -> int | None:
    text = request.query_params.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _difference(old: TemplateShown, new: TemplateShown) -> list[tuple[str, str]]:
    """(kind, line) from an older version to the newest: kind is "+", "-", "@" or ""."""
    before, after = _lines(old), _lines(new)
    lines = difflib.unified_diff(before, after, lineterm="", n=2)
    return [
        (line[0] if line[0] in "+-@" else "", line)
        for line in lines
        if not line.startswith(("---", "+++"))
    ]


def _lines(one: TemplateShown) -> list[str]:
    parts = (one.subject, one.mjml or one.html or "", one.text or "")
    return [line for part in parts for line in part.split("\n")]


@get("/channels/{key:str}/templates/{template_id:int}/mail", scope="templates:read", channels="own")
async def template_mail(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
) -> Response[str]:
    """Its HTML, for the frame of the page."""
    channel, userid = visitor.caller.channel(key), request.query_params.get("userid", "")
    try:
        seen = await template_preview.preview(
            system, channel, template_id, version=_version(request), userid=userid or None
        )
    except Invalid:
        seen = await template_preview.preview(
            system, channel, template_id, version=_version(request)
        )
    return Response(seen.html or "", media_type=MediaType.HTML, headers=HTML_HEADERS)


@get(
    "/channels/{key:str}/templates/{template_id:int}/edit", scope="templates:write", channels="own"
)
async def edit_template(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
) -> Response[str]:
    """With `version` an older one is taken up again: saving makes it the newest."""
    channel = visitor.caller.channel(key)
    shown = await store.show(system, channel, template_id, _version(request))
    return page(
        request,
        "templates/form.html",
        channel=channel,
        form=Form(_fields_of(shown)),
        shown=shown,
    )


@post(
    "/channels/{key:str}/templates/{template_id:int}",
    scope="templates:write",
    channels="own",
    body="text",
)
async def change_template(
    request: AnyRequest,
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
) -> Response[str]:
    channel, fields = visitor.caller.channel(key), {**EMPTY, **await given(request)}
    shown = await store.show(system, channel, template_id)
    try:
        sources, defaults = _sources(fields), _defaults(fields)
        change = Change(
            name=fields["name"].strip(),
            subject=sources.subject,
            html=sources.html,
            text=sources.text,
            mjml=sources.mjml,
            defaults=defaults,
        )
        await store.change(system, channel, template_id, change)
    except UmsError as error:
        others = await _flaws(system, channel, fields, template_id)
        form = refused(request, fields, error, FIELDS, others)
        return page(
            request,
            "templates/form.html",
            status=error.status,
            channel=channel,
            form=form,
            shown=shown,
        )
    return go(f"/channels/{channel.key}/templates/{template_id}", "templates.did_change")


@post(
    "/channels/{key:str}/templates/{template_id:int}/{verb:str}",
    scope="templates:write",
    channels="own",
)
async def open_or_close(
    system: System,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
    verb: FromPath[str],
) -> Response[str]:
    if verb not in ("open", "close"):
        raise NotFound("not_found")
    channel = visitor.caller.channel(key)
    await store.set_open(system, channel, template_id, open=verb == "open")
    return go(f"/channels/{channel.key}/templates/{template_id}", f"templates.did_{verb}")


@post("/channels/{key:str}/templates/{template_id:int}/test", scope="messages:send", channels="own")
async def test_template(
    request: AnyRequest,
    system: System,
    intake: Intake,
    visitor: Visitor,
    key: FromPath[str],
    template_id: FromPath[int],
) -> Response[str]:
    """One mail of it, as the user of the page would get it."""
    channel, fields = visitor.caller.channel(key), await given(request)
    to, userid = fields.get("to", "").strip(), fields.get("userid", "").strip()
    try:
        sent = await template_preview.send_test(
            system, intake, channel, template_id, to, userid=userid or None, origin="console"
        )
    except UmsError as error:
        others = await template_preview.errors_of_test(
            system, channel, template_id, to, userid or None
        )
        form = refused(request, {"to": to}, error, others=others)
        return await _show(request, system, channel, template_id, form, error.status)
    return go(f"/messages/{sent.msgid}", "send.did_test")


async def _flaws(
    system: Any, channel: Channel, fields: dict[str, str], id: int = 0
) -> list[UmsError]:
    """All that is wrong with the form."""
    name, sources, defaults = fields["name"].strip(), _sources(fields), dict[str, Any]()
    found: list[UmsError] = []
    try:
        defaults = _defaults(fields)
    except Invalid as error:
        found.append(error)
    return [*found, *await store.errors_of(system, channel, name, sources, defaults, id=id)]


def _sources(fields: dict[str, str]) -> Sources:
    mjml = fields["kind"] == "mjml"
    html = fields["html"] if fields["html"].strip() else None
    return Sources(
        subject=fields["subject"].strip(),
        html=None if mjml else html,
        text=fields["text"] if fields["text"].strip() else None,
        mjml=html if mjml else None,
    )


def _defaults(fields: dict[str, str]) -> dict[str, Any]:
    if not fields["defaults"].strip():
        return {}
    try:
        return msgspec.json.decode(fields["defaults"], type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("misfit", field="defaults", detail=Detail("not_an_object")) from None


def _fields_of(shown: TemplateShown) -> dict[str, str]:
    text = msgspec.json.format(msgspec.json.encode(shown.defaults), indent=2).decode()
    return {
        "name": shown.name,
        "subject": shown.subject,
        "kind": "mjml" if shown.mjml is not None else "html",
        "html": shown.mjml or shown.html or "",
        "text": shown.text or "",
        "defaults": text if shown.defaults else "",
    }


handlers = [
    list_templates,
    new_template,
    create_template,
    show_template,
    template_mail,
    edit_template,
    change_template,
    test_template,
    open_or_close,
]
