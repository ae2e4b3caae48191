"""What templates know of users: their attributes, and where a channel reaches them."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import case, select

from ums.core.context.directory import Channel
from ums.core.tables import addresses, users
from ums.db import Statement, Tx, rows_json

_ATTRIBUTES = Statement(
    "SELECT u.userid, CAST(u.attributes AS text) FROM $rows(r: userid text)"
    " JOIN users u ON u.userid = r.userid"
)
_object = msgspec.json.Decoder(dict[str, Any])


async def attributes_of(tx: Tx, userids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The attributes of those of `userids` that there are."""
    rows = await tx.rows(_ATTRIBUTES, {"r": rows_json((userid,) for userid in userids)})
    return {row[0]: _object.decode(row[1]) for row in rows}


async def address_of(tx: Tx, channel: Channel, userid: str) -> str:
    """The address that the channel's messages to the user go to; "" where there is none."""
    own = case((addresses.c.bind_id == channel.key, 0), else_=1)
    query = (
        select(addresses.c.value)
        .join(users, users.c.id == addresses.c.user_id)
        .where((users.c.userid == userid) & (addresses.c.kind == "email"))
        .where(addresses.c.bind_id.in_([channel.key, "all"]))
    )
    return str(await tx.value(query.order_by(own).limit(1)) or "")
