"""Users: `/v1/user/opt` and `/v1/user/delete` (ums-spec 3.10, 3.11)."""

from litestar import Response, post

from ums.api.authentication import caller_of
from ums.api.responses import Call, answer, body_of, json_of, language_of, system_of
from ums.core.users import users


@post("/v1/user/opt", status_code=200)
async def user_opt(request: Call) -> Response[bytes]:
    """Add or change users in bulk (3.10)."""
    caller = await caller_of(request)
    body = json_of(await body_of(request))
    report = await users.opt(system_of(request), caller, body, language_of(request))
    return answer({"code": 0, "message": "success", "data": report})


@post("/v1/user/delete", status_code=200)
async def user_delete(request: Call) -> Response[bytes]:
    """Delete users in bulk, with the access key only (3.11)."""
    caller = await caller_of(request)
    body = json_of(await body_of(request))
    report = await users.delete(system_of(request), caller, body, language_of(request))
    return answer({"code": 0, "message": "success", "data": report})


handlers = [user_opt, user_delete]
