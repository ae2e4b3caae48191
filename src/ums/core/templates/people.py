"""What templates know of users: their attributes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ums.db import Hot, Tx, rows_json

_ATTRIBUTES = Hot(
    "SELECT u.userid, CAST(u.attributes AS text) FROM $rows(r: userid text)"
    " JOIN users u ON u.userid = r.userid"
)
_object = msgspec.json.Decoder(dict[str, Any])


async def attributes_of(tx: Tx, userids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The attributes of those of `userids` that there are."""
    rows = await tx.rows(_ATTRIBUTES, {"r": rows_json((userid,) for userid in userids)})
    return {row[0]: _object.decode(row[1]) for row in rows}
