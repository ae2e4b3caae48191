"""Whether a request may become a message: what has to be looked up for that."""

from sqlalchemy import select

from ums.core.directory import Channel, Sender
from ums.core.models import segments
from ums.core.requests import Request, check_channel
from ums.core.system import System
from ums.errors import Invalid, Refused


async def admit(system: System, channel: Channel, request: Request) -> Sender:
    """The sender the message will go out through. Raises Refused or Invalid."""
    check_channel(channel)
    sender = (await system.directory.now()).sender_for(channel, request.instance)
    if sender is None:
        raise Refused("no_sender")
    if request.audience.segment is not None:
        await _check_segment(system, request.audience.segment)
    return sender


async def _check_segment(system: System, id: int) -> None:
    async with system.database.read() as tx:
        if await tx.value(select(segments.c.id).where(segments.c.id == id)) is None:
            raise Invalid("segment_unknown", id=id)
