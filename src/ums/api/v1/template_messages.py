"""Sending by template: `/v1/template/sent` and `/v1/template/broadcast` (ums-spec 3.3)."""

from litestar import Response, post

from ums.api.authentication import channel_of
from ums.api.responses import Call, answer, body_of, intake_of
from ums.api.v1.messages import told
from ums.core.messages.template_requests import parse


@post("/v1/template/sent", status_code=200)
async def template_sent(request: Call) -> Response[bytes]:
    """A template message to tags, userids, a segment or direct addresses (3.3)."""
    return await _accept(request, broadcast=False)


@post("/v1/template/broadcast", status_code=200)
async def template_broadcast(request: Call) -> Response[bytes]:
    """A template message to every user (3.3)."""
    return await _accept(request, broadcast=True)


async def _accept(request: Call, *, broadcast: bool) -> Response[bytes]:
    channel = await channel_of(request)
    body = await body_of(request)
    key = request.headers.get("idempotency-key")
    asked = parse(body, broadcast=broadcast)
    where = b"template/broadcast\n" if broadcast else b"template/sent\n"
    return answer(told(await intake_of(request).accept(channel, asked, where + body, key=key)))


handlers = [template_sent, template_broadcast]
