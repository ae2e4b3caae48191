"""The UMS API as the hosted UMS has it (ums-spec 3)."""

from litestar import HttpMethod, Response, post, route

from ums.api.answers import Call, answer, body_of, intake_of, json_of, language_of, system_of
from ums.core import users
from ums.core.access import authenticate, authenticate_channel
from ums.core.messages import Accepted


@post("/v1/sent", status_code=200)
async def sent(request: Call) -> Response[bytes]:
    """An ordinary message to tags, userids, a segment or direct addresses (3.3)."""
    return await _accept(request, broadcast=False)


@post("/v1/broadcast", status_code=200)
async def broadcast(request: Call) -> Response[bytes]:
    """An ordinary message to every user (3.3)."""
    return await _accept(request, broadcast=True)


async def _accept(request: Call, *, broadcast: bool) -> Response[bytes]:
    # Before the body is read: a stranger should not make us take in ten megabytes.
    authorization = request.headers.get("authorization")
    channel = await authenticate_channel(system_of(request), authorization)
    body = await body_of(request)
    key = request.headers.get("idempotency-key")
    accepted = await intake_of(request).accept(channel, body, broadcast=broadcast, key=key)
    return answer(_accepted(accepted))


def _accepted(accepted: Accepted) -> dict[str, object]:
    content: dict[str, object] = {"code": 0, "message": "success", "msgid": accepted.msgid}
    if accepted.sendno is not None:
        content["sendno"] = accepted.sendno
    return content


@post("/v1/user/opt", status_code=200)
async def user_opt(request: Call) -> Response[bytes]:
    """Add or change users in bulk (3.10)."""
    system = system_of(request)
    caller = await authenticate(system, request.headers.get("authorization"))
    body = json_of(await body_of(request))
    report = await users.opt(system, caller, body, language_of(request))
    return answer({"code": 0, "message": "success", "data": report})


@post("/v1/user/delete", status_code=200)
async def user_delete(request: Call) -> Response[bytes]:
    """Delete users in bulk, with the access key only (3.11)."""
    system = system_of(request)
    caller = await authenticate(system, request.headers.get("authorization"))
    body = json_of(await body_of(request))
    report = await users.delete(system, caller, body, language_of(request))
    return answer({"code": 0, "message": "success", "data": report})


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def root() -> Response[bytes]:
    """Something well-formed: a client's first call asks the bare base URL (7.1, item 1)."""
    return answer({"code": 0, "message": "UMS"})


handlers = [root, sent, broadcast, user_opt, user_delete]
