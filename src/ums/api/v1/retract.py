"""Retracting: `/v1/retract/{msgid}` (ums-spec 3.9)."""

from litestar import Response, post
from litestar.params import FromPath

from ums.api.authentication import channel_of
from ums.api.responses import Call, answer, system_of
from ums.core.messages import control
from ums.errors import Invalid, NotFound


@post("/v1/retract/{msgid:str}", status_code=200)
async def retract(request: Call, msgid: FromPath[str]) -> Response[bytes]:
    """Stop what has not gone out yet. The body, which some clients send, is not read."""
    system = system_of(request)
    channel = await channel_of(request)
    try:
        await control.retract(system, channel.id, msgid)
    except NotFound as error:
        raise Invalid(error.reason) from None  # 400: callers know no 404 here
    return answer({"code": 0, "message": "success"})


handlers = [retract]
