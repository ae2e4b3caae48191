"""For administrators: operators, tokens, the audit log, and what this UMS is."""

import platform
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import UNSET

from ums import __version__
from ums.console.current_operator import client_of
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, check_again, chosen, given, lists, refused, sort_of
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels.channels import list_channels
from ums.core.common.sorting import ByName
from ums.core.identity import api_tokens, invitations, login, operator_access, operators
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.principals import Principal
from ums.core.identity.scopes import SCOPES
from ums.core.maintenance import restore_guard
from ums.errors import UmsError

ROLES: Final = ("administrator", "operator", "viewer")


@get("/operators", scope="operators:read", recent=True)
async def list_operators(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    visitor.caller.unbound()
    return await _operators(request, system, Form({"role": "operator", "channels": []}))


async def _operators(
    request: AnyRequest, system: Any, form: Form, status: int = 200
) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "created_at")
    found = await operators.list_operators(system, sort=sort, after=after, limit=50)
    bound = await operators.channels_of(system, [one.name for one in found.items])
    known = (await system.directory.now()).channel_ids
    keys = {
        name: None if ids is None else [known[id].key for id in ids if id in known]
        for name, ids in bound.items()
    }
    return page(
        request,
        "administration/operators.html",
        status=status,
        found=found,
        sort=sort,
        form=form,
        bound=keys,
        roles=ROLES,
        required=operator_access.required_roles(system),
        factor_fixed="two_factor_roles" in system.fixed_settings,
        channels=await list_channels(system),
    )


@post("/operators/invite", scope="operators:write", recent="/operators")
async def invite(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the link."""
    visitor.caller.unbound()
    fields = await lists(request)
    values: dict[str, Any] = {
        "role": (fields.get("role") or ["operator"])[-1],
        "channels": chosen(fields.get("channels", [])),
    }
    ids = _ids(visitor.caller, values["channels"])
    try:
        token = await invitations.create(system, values["role"], ids, actor=visitor.caller.name)
    except UmsError as error:
        form = refused(request, values, error)
        return await _operators(request, system, form, status=error.status)
    link = f"{system.settings.base_url}/invitation/{token}"
    return await reveal(system, visitor, "invitation", secret=link)


def _ids(caller: Principal, keys: list[str]) -> list[int] | None:
    return [caller.channel(key).id for key in keys] or None


@get("/invitation/{token:str}", scope="open")
async def invitation(request: AnyRequest, system: System, token: FromPath[str]) -> Response[str]:
    found = await _invitation(request, system, token)
    form = Form({"name": "", "password": "", "again": ""})
    return page(request, "administration/invitation.html", form=form, found=found, token=token)


async def _invitation(request: AnyRequest, system: Any, token: str) -> invitations.Invitation:
    async with login.invited(system, client_of(request)):
        return await invitations.find(system, token)


@post("/invitation/{token:str}", scope="open", body="open")
async def accept(request: AnyRequest, system: System, token: FromPath[str]) -> Response[str]:
    found, fields = await _invitation(request, system, token), await given(request)
    name, password = fields.get("name", "").strip(), fields.get("password", "")
    try:
        check_again(fields)
        await invitations.accept(system, token, name, password)
    except UmsError as error:
        others = await operators.flaws_of(system, name, password)
        form = refused(request, {"name": name, "password": "", "again": ""}, error, others=others)
        return page(
            request,
            "administration/invitation.html",
            status=error.status,
            form=form,
            found=found,
            token=token,
        )
    return go("/login", "administration.did_accept")


@post("/operators/{name:str}", scope="operators:write", recent="/operators")
async def change_operator(
    request: AnyRequest, system: System, visitor: Visitor, name: FromPath[str]
) -> Response[str]:
    """Give it another role or other channels, or let it in no more; one administrator is always
    left."""
    visitor.caller.unbound()
    fields = await lists(request)
    role: Any = fields.get("role", [""])[-1] or None
    disabled = {"yes": True, "no": False}.get(fields.get("disabled", [""])[-1])
    try:
        channels: Any = UNSET
        if "channels" in fields:
            channels = _ids(visitor.caller, chosen(fields["channels"]))
        await operators.change(system, name, role=role, disabled=disabled, channels=channels)
    except UmsError as error:
        form = refused(request, {"role": "operator", "channels": []}, error)
        return await _operators(request, system, form, status=error.status)
    return go("/operators", "administration.did_change")


@get("/tokens", scope="tokens:read", recent=True)
async def list_tokens(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    visitor.caller.unbound()
    form = Form({"name": "", "scopes": [], "channels": [], "days": ""})
    return await _tokens(request, system, form)


async def _tokens(request: AnyRequest, system: Any, form: Form, status: int = 200) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "-created_at")
    return page(
        request,
        "administration/tokens.html",
        status=status,
        found=await api_tokens.list_tokens(system, sort=sort, after=after, limit=50),
        sort=sort,
        form=form,
        scopes=sorted(SCOPES),
        channels=await list_channels(system),
    )


@post("/tokens", scope="tokens:write", recent=True)
async def create_token(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the token."""
    visitor.caller.unbound()
    fields = await lists(request)
    values: dict[str, Any] = {
        "name": (fields.get("name") or [""])[-1].strip(),
        "scopes": chosen(fields.get("scopes", [])),
        "channels": chosen(fields.get("channels", [])),
    }
    asked = NewToken(values["name"], values["scopes"], values["channels"] or None)
    try:
        made = await api_tokens.create(system, asked, visitor.caller.name)
    except UmsError as error:
        form = refused(request, values, error, others=await api_tokens.flaws_of(system, asked))
        return await _tokens(request, system, form, status=error.status)
    return await reveal(system, visitor, "token", name=made.name, secret=str(made.token))


@post("/tokens/{id:int}/revoke", scope="tokens:write", recent="/tokens")
async def revoke_token(system: System, visitor: Visitor, id: FromPath[int]) -> Response[str]:
    visitor.caller.unbound()
    await api_tokens.revoke(system, id)
    return go("/tokens", "administration.did_revoke")


@get("/about", scope="any")
async def about(request: AnyRequest, system: System) -> Response[str]:
    facts = {
        "version": __version__,
        "database": system.database.dialect,
        "python": platform.python_version(),
        "key": system.seal.fingerprint,
    }
    return page(request, "administration/about.html", facts=facts)


@get("/restored", scope="any")
async def show_restored(request: AnyRequest, system: System) -> Response[str]:
    """Why nothing is sent after a backup was restored, and what to do."""
    return page(request, "administration/restored.html", found=await restore_guard.show(system))


@post("/restored", scope="operators:write", recent=True)
async def confirm_restored(system: System, visitor: Visitor) -> Response[str]:
    visitor.caller.unbound()
    await restore_guard.confirm(system, actor=visitor.caller.name)
    return go("/restored", "administration.did_restore")


@get("/help", scope="any")
async def help_page(request: AnyRequest) -> Response[str]:
    """The operation guide."""
    return page(request, "help/help.html")


handlers = [
    list_operators,
    invite,
    invitation,
    accept,
    change_operator,
    list_tokens,
    create_token,
    revoke_token,
    about,
    show_restored,
    confirm_restored,
    help_page,
]
