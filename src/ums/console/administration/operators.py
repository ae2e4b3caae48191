"""Operators: who may use the console, with which role, and whom to invite."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import UNSET

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, chosen, lists, refused, sort_of
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels.channels import list_channels
from ums.core.common.sorting import ByName
from ums.core.identity import invitations, operator_access, operators
from ums.core.identity.principals import Principal
from ums.errors import UmsError

ROLES: Final = ("administrator", "operator", "viewer")


@get("/operators", scope="operators:read", channels="all", recent=True)
async def list_operators(request: AnyRequest, system: System) -> Response[str]:
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


@post("/operators/invite", scope="operators:write", channels="all", recent="/operators")
async def invite(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the link."""
    fields = await lists(request)
    values: dict[str, Any] = {
        "role": (fields.get("role") or ["operator"])[-1],
        "channels": chosen(fields.get("channels", [])),
    }
    try:
        ids = _ids(visitor.caller, values["channels"])
        token = await invitations.create(system, values["role"], ids, actor=visitor.caller.name)
    except UmsError as error:
        form = refused(request, values, error)
        return await _operators(request, system, form, status=error.status)
    link = f"{system.settings.base_url}/invitation/{token}"
    return await reveal(system, visitor, "invitation", secret=link)


def _ids(caller: Principal, keys: list[str]) -> list[int] | None:
    return [caller.channel(key).id for key in keys] or None


@post("/operators/{name:str}", scope="operators:write", channels="all", recent="/operators")
async def change_operator(
    request: AnyRequest, system: System, visitor: Visitor, name: FromPath[str]
) -> Response[str]:
    """Give it another role or other channels, or let it in no more; one administrator is always
    left."""
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


handlers = [list_operators, invite, change_operator]
