"""Users: the people who can be reached."""

from typing import Annotated, Any

from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from ums.api.management.dependencies import (
    Caller,
    ChannelKey,
    Paging,
    System,
    expected,
    listed,
    shown,
)
from ums.api.responses import language_of
from ums.bounds import MOST_ID, said
from ums.core.common.pagination import Page
from ums.core.reporting import reports
from ums.core.reporting.reports import UserDelivery
from ums.core.users import administration, users
from ums.core.users.administration import UserDraft, UserInfo, UserOrder, UserPage
from ums.core.users.entry_shape import CHANGES, ENTRY
from ums.core.users.filters import Found
from ums.core.users.search import LONGEST
from ums.core.users.users import MAX_ENTRIES, Report
from ums.web.bodies import BoundedRequest as Call

Patched = Annotated[dict[str, Any], said(**CHANGES)]
Entries = Annotated[
    list[Annotated[dict[str, Any], said(**ENTRY)]], Meta(min_length=1, max_length=MAX_ENTRIES)
]


@get("/api/users", scope="users:read", channels="own")
async def list_users(
    system: System,
    caller: Caller,
    paging: Paging,
    search: Annotated[
        str | None,
        QueryParameter(
            max_length=LONGEST,
            description="Any part of the userid, an address, an attribute or a tag; no case.",
        ),
    ] = None,
    prefix: Annotated[str | None, QueryParameter(description="How the userid begins.")] = None,
    address: Annotated[str | None, QueryParameter(description="An address it has.")] = None,
    tag: Annotated[str | None, QueryParameter(description="A tag it has.")] = None,
    segment: Annotated[
        int | None, QueryParameter(ge=1, le=MOST_ID, description="A segment it belongs to.")
    ] = None,
    before: Annotated[
        str | None, QueryParameter(description="The `previous` of the page behind.")
    ] = None,
    sort: FromQuery[UserOrder] = "created_at",
) -> UserPage:
    """Users in the order they came, unless `sort` says another."""
    async with system.database.read() as tx:
        found = await administration.search(
            tx,
            caller,
            Found(search=search, prefix=prefix, address=address, tag=tag, segment=segment),
            sort=sort,
            after=paging.after,
            before=before,
            limit=paging.limit,
        )
    return listed(found)


@post("/api/users", scope="users:write", channels="own", status_code=200)
async def change_users(
    system: System, caller: Caller, request: Call, data: JSONBody[Entries]
) -> Report:
    """Make and change many: entries as `POST /v1/user/opt` takes them, each for itself."""
    rights = administration.rights_of(caller)
    return await users.opt_with(system, rights, data, language_of(request))


@get("/api/users/{userid:str}", scope="users:read", channels="own")
async def show_user(
    system: System, caller: Caller, request: Call, userid: FromPath[str]
) -> Response[UserInfo]:
    """A user with what the caller may see of it."""
    async with system.database.read() as tx:
        return shown(request, await administration.show(tx, caller, userid))


@put("/api/users/{userid:str}", scope="users:write", channels="own")
async def put_user(
    system: System,
    caller: Caller,
    request: Call,
    userid: FromPath[str],
    data: JSONBody[UserDraft],
) -> Response[UserInfo]:
    """Make it, or replace all that the caller sees of it. `If-None-Match: *` only makes it."""
    user, new = await administration.put(system, caller, userid, data, expected(request))
    return shown(request, user, 201 if new else 200)


@patch("/api/users/{userid:str}", scope="users:write", channels="own")
async def change_user(
    system: System,
    caller: Caller,
    request: Call,
    userid: FromPath[str],
    data: JSONBody[Patched],
) -> Response[UserInfo]:
    """Change it by an entry of `POST /v1/user/opt`: `set`, `add`, `del`, `attributes`."""
    return shown(
        request, await administration.patch(system, caller, userid, data, expected(request))
    )


@delete("/api/users/{userid:str}", scope="users:write", channels="own")
async def delete_user(system: System, caller: Caller, request: Call, userid: FromPath[str]) -> None:
    """Delete it and all it holds. Not for callers that are bound to channels."""
    await administration.delete(system, userid, caller, expected(request))


@get("/api/users/{userid:str}/deliveries", scope="messages:read", channels="own")
async def list_user_deliveries(
    system: System,
    caller: Caller,
    paging: Paging,
    userid: FromPath[str],
    channel: ChannelKey = None,
) -> Page[UserDelivery]:
    """What was sent to the user, or was not, the newest first."""
    async with system.database.read() as tx:
        found = await reports.of_user(
            tx, userid, caller.among(channel), after=paging.after, limit=paging.limit
        )
    return listed(found)


handlers = [
    list_users,
    change_users,
    show_user,
    put_user,
    change_user,
    delete_user,
    list_user_deliveries,
]
