"""Why the recipients of a message did not get it."""

from msgspec import Struct
from sqlalchemy import func, select

from ums.core.common.channel_scope import Channels, of_channels
from ums.core.tables import deliveries, messages
from ums.core.tables.states import LOST
from ums.db import Tx


class Lost(Struct, frozen=True):
    """So many deliveries were lost for a reason."""

    state: str
    reason: str
    count: int


async def losses(tx: Tx, msgid: str, channels: Channels = None) -> list[Lost]:
    """The deliveries of a message of `channels` that were lost, by why."""
    grouped = (deliveries.c.state, deliveries.c.reason)
    query = (
        select(*grouped, func.count())
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.msgid == msgid, of_channels(channels), deliveries.c.state.in_(LOST))
    )
    rows = await tx.rows(query.group_by(*grouped).order_by(*grouped))
    return [Lost(*row) for row in rows]
