"""API tokens, which are made here and with `ums token create`."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from ums.api.management.dependencies import Caller, Paging, System, shown
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.identity import api_tokens
from ums.core.identity.api_tokens import NewToken, TokenInfo
from ums.web.bodies import BoundedRequest as Call


@get("/api/tokens", scope="tokens:read", channels="all")
async def list_tokens(
    system: System,
    paging: Paging,
    sort: FromQuery[ByName] = "-created_at",
) -> Page[TokenInfo]:
    """All tokens, the newest first, those that are over too."""
    return await api_tokens.list_tokens(system, sort=sort, after=paging.after, limit=paging.limit)


@post("/api/tokens", scope="tokens:write", channels="all")
async def create_token(
    system: System, caller: Caller, request: Call, data: JSONBody[NewToken]
) -> Response[TokenInfo]:
    """Make a token with rights that the caller has; it ends with the caller's own. It stands in
    this answer alone."""
    return shown(request, await api_tokens.create(system, data, caller.name), 201)


@get("/api/tokens/{id:int}", scope="tokens:read", channels="all")
async def show_token(system: System, request: Call, id: FromPath[int]) -> Response[TokenInfo]:
    """A token."""
    return shown(request, await api_tokens.show(system, id))


@post("/api/tokens/{id:int}/revoke", scope="tokens:write", channels="all", status_code=200)
async def revoke_token(system: System, request: Call, id: FromPath[int]) -> Response[TokenInfo]:
    """End it and those made with it, from the next request on."""
    return shown(request, await api_tokens.revoke(system, id))


handlers = [list_tokens, create_token, show_token, revoke_token]
