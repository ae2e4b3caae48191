"""Sending: `/v1/sent` and `/v1/broadcast` (ums-spec 3.3 to 3.8)."""

from litestar import Response, post

from ums.api.authentication import channel_of
from ums.api.responses import Call, answer, body_of, intake_of
from ums.core.messages.intake import Accepted
from ums.core.messages.requests import parse


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
    channel = await channel_of(request)
    body = await body_of(request)
    key = request.headers.get("idempotency-key")
    asked, where = parse(body, broadcast=broadcast), b"broadcast\n" if broadcast else b"sent\n"
    return answer(told(await intake_of(request).accept(channel, asked, where + body, key=key)))


def told(accepted: Accepted) -> dict[str, object]:
    """What the caller of a sending request gets (3.8)."""
    content: dict[str, object] = {"code": 0, "message": "success", "msgid": accepted.msgid}
    if accepted.sendno is not None:
        content["sendno"] = accepted.sendno
    return content


handlers = [sent, broadcast]
