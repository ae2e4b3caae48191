"""Giving a scheduled message another start."""

from litestar import Response, post
from litestar.params import FromPath

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.forms import given, refused
from ums.console.messages.deliveries import counts_key
from ums.console.messages.messages import message_page
from ums.console.rendering import AnyRequest, go
from ums.console.time_zones import entered
from ums.core.messages import reschedule as rescheduling
from ums.core.reporting import reports
from ums.errors import Invalid, UmsError


@post("/messages/{msgid:str}/reschedule", scope="messages:write", channels="own")
async def reschedule(
    request: AnyRequest, system: System, visitor: Visitor, msgid: FromPath[str]
) -> Response[str]:
    """Another start, on the clock of the message's channel."""
    async with system.database.read() as tx:
        info = await reports.message(tx, msgid, visitor.caller.channels)
    channel = visitor.caller.channel(info.channelkey)
    text = (await given(request)).get("starts_at", "")
    try:
        told = entered(text, channel.rules.zone, "starts_at")
        if told is None:
            raise Invalid("missing", field="starts_at")
        at = round(told.timestamp() * clock.SECOND)
        await rescheduling.reschedule(system, channel.id, msgid, at)
    except UmsError as error:
        form = refused(request, {"starts_at": text}, error)
        return await message_page(request, system, visitor, msgid, form, error.status)
    system.recent.forget(counts_key(visitor.caller, msgid))
    return go(f"/messages/{msgid}", "messages.did_reschedule")


handlers = [reschedule]
