"""Tokens of the management API."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, chosen, lists, refused, sort_of
from ums.console.one_time_secret import reveal
from ums.console.rendering import AnyRequest, go, page
from ums.core.channels.channels import list_channels
from ums.core.common.sorting import ByName
from ums.core.identity import api_tokens
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.scopes import SCOPES
from ums.errors import UmsError


@get("/tokens", scope="tokens:read", channels="all", recent=True)
async def list_tokens(request: AnyRequest, system: System) -> Response[str]:
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


@post("/tokens", scope="tokens:write", channels="all", recent=True)
async def create_token(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The page after it is the only one that shows the token."""
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
        form = refused(request, values, error, others=await api_tokens.errors_of(system, asked))
        return await _tokens(request, system, form, status=error.status)
    return await reveal(system, visitor, "token", name=made.name, secret=str(made.token))


@post("/tokens/{id:int}/revoke", scope="tokens:write", channels="all", recent="/tokens")
async def revoke_token(system: System, id: FromPath[int]) -> Response[str]:
    await api_tokens.revoke(system, id)
    return go("/tokens", "administration.did_revoke")


handlers = [list_tokens, create_token, revoke_token]
