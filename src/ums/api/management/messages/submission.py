"""Sending a message in full."""

import hashlib
from typing import Annotated

from litestar import Response, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from ums.api.management.dependencies import Caller
from ums.api.responses import intake_of
from ums.bounds import said
from ums.core.messages import compose
from ums.core.messages.intake import Accepted
from ums.core.messages.new_message import WHOLE, MessageRequest
from ums.web.bodies import BoundedRequest as Call


class NewMessage(MessageRequest, frozen=True, forbid_unknown_fields=True):
    """A message to be sent, and by which channel."""

    channel: Annotated[
        str | None, Meta(description="A ChannelKey; null: the caller's only one.")
    ] = None


_Whole = Annotated[NewMessage, said(**WHOLE)]


@post("/api/messages", scope="messages:send", channels="own")
async def send_message(caller: Caller, request: Call, data: JSONBody[_Whole]) -> Response[Accepted]:
    """Send one message to many. When this answers, the message is stored and will be delivered."""
    channel = caller.channel(data.channel)
    given = asdict(data)
    del given["channel"]
    key = _key(caller.name, request.headers.get("idempotency-key"))
    asked = MessageRequest(**given)
    fingerprint = compose.fingerprint(asked)
    accepted = await intake_of(request).accept(channel, asked, fingerprint, key=key, origin="api")
    where = {"Location": f"/api/messages/{accepted.msgid}"}
    return Response(accepted, status_code=201, headers=where)


def _key(caller: str, given: str | None) -> str | None:
    """The key as it is stored with the message: also a server that was killed before it answered
    does not send again. A caller's keys are its own, and not those of `/v1`."""
    if given is None:
        return None
    return "api:" + hashlib.sha256(f"{caller}\n{given}".encode()).hexdigest()


handlers = [send_message]
