"""Templates of a channel: content with variables."""

from typing import Annotated, Any

from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from ums.api.management.dependencies import Caller, Paging, System, expected, shown
from ums.api.responses import intake_of, language_of
from ums.bounds import SAYS_LINE, Address, Name60, said, some
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.messages import template_preview
from ums.core.messages.intake import Accepted
from ums.core.messages.template_preview import Rendered
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.templates.store import Change, TemplateInfo, TemplateShown, VersionInfo
from ums.web.bodies import BoundedRequest as Call

_Name = Name60
_Subject = Annotated[
    str,
    said(
        "One line, with its variables; at most 998 bytes without.",
        pattern=SAYS_LINE,
        maxLength=2000,
    ),
]
_Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Version = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Null: the newest.")]


class NewTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """A template to be made. MJML stands in place of HTML; without text it is made of these."""

    name: _Name
    subject: _Subject
    html: str | None = None
    text: str | None = None
    mjml: str | None = None
    defaults: Annotated[
        dict[str, Any], Meta(description="Values of variables that nothing else gives.")
    ] = {}


_New = Annotated[
    NewTemplate,
    said(
        allOf=[
            some("html", "text", "mjml"),
            {"anyOf": [{"properties": {name: {"type": "null"}}} for name in ("html", "mjml")]},
        ]
    ),
]


class TemplateChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays, and null takes a source away."""

    name: _Name | UnsetType = UNSET
    subject: _Subject | UnsetType = UNSET
    html: str | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    mjml: str | UnsetType | None = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET
    open: Annotated[
        bool | UnsetType, Meta(description="Requests for a closed one fail with 1015073.")
    ] = UNSET


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """For whom, and with which values."""

    version: _Version | None = None
    userid: Annotated[str | None, Meta(description="A real user; null: nobody.")] = None
    variables: dict[str, Any] = {}


class TemplateTrial(Look, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A look, sent to an address."""

    to: Address


@get("/api/channels/{key:str}/templates", scope="templates:read", channels="own")
async def list_templates(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    sort: FromQuery[ByName] = "created_at",
) -> Page[TemplateInfo]:
    """The channel's templates in the order they were made."""
    async with system.database.read() as tx:
        return await store.list_templates(
            tx, caller.channel(key), sort=sort, after=paging.after, limit=paging.limit
        )


@post("/api/channels/{key:str}/templates", scope="templates:write", channels="own")
async def create_template(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[_New]
) -> Response[TemplateShown]:
    """Make a template. What is wrong in a source is told with its line."""
    sources = Sources(data.subject, data.html, data.text, data.mjml)
    made = await store.create(system, caller.channel(key), data.name, sources, data.defaults)
    return shown(request, made, 201)


@get("/api/channels/{key:str}/templates/{template_id:int}", scope="templates:read", channels="own")
async def show_template(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    template_id: FromPath[int],
    version: Version = None,
) -> Response[TemplateShown]:
    """A template with the sources of one version."""
    return shown(request, await store.show(system, caller.channel(key), template_id, version))


@get(
    "/api/channels/{key:str}/templates/{template_id:int}/versions",
    scope="templates:read",
    channels="own",
)
async def list_versions(
    system: System, caller: Caller, paging: Paging, key: FromPath[str], template_id: FromPath[int]
) -> Page[VersionInfo]:
    """Its versions, the newest first. A message keeps the one it was accepted with."""
    async with system.database.read() as tx:
        return await store.list_versions(
            tx, caller.channel(key), template_id, after=paging.after, limit=paging.limit
        )


@patch(
    "/api/channels/{key:str}/templates/{template_id:int}", scope="templates:write", channels="own"
)
async def change_template(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    template_id: FromPath[int],
    data: JSONBody[TemplateChange],
) -> Response[TemplateShown]:
    """Change it. Other sources or defaults make a new version."""
    channel = caller.channel(key)
    change = Change(data.name, data.subject, data.html, data.text, data.mjml, data.defaults)
    changed = await store.change(system, channel, template_id, change, expect=expected(request))
    if data.open is not UNSET and data.open != changed.open:
        changed = await store.set_open(system, channel, template_id, open=data.open)
    return shown(request, changed)


@post(
    "/api/channels/{key:str}/templates/{template_id:int}/preview",
    scope="templates:read",
    channels="own",
    status_code=200,
)
async def preview_template(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    template_id: FromPath[int],
    data: JSONBody[Look],
) -> Rendered:
    """What a recipient would get, and which variables have no value."""
    return await template_preview.preview(
        system,
        caller.channel(key),
        template_id,
        version=data.version,
        userid=data.userid,
        para=data.variables,
        language=language_of(request),
    )


@post(
    "/api/channels/{key:str}/templates/{template_id:int}/test",
    scope="messages:send",
    channels="own",
)
async def test_template(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    template_id: FromPath[int],
    data: JSONBody[TemplateTrial],
) -> Accepted:
    """Send one mail of it to an address, as any message is sent."""
    return await template_preview.send_test(
        system,
        intake_of(request),
        caller.channel(key),
        template_id,
        data.to,
        version=data.version,
        userid=data.userid,
        para=data.variables,
        origin="api",
    )


handlers = [
    list_templates,
    create_template,
    show_template,
    list_versions,
    change_template,
    preview_template,
    test_template,
]
