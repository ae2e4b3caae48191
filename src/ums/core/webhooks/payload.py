"""A batch as the receiver reads it: a JSON array of records (ums-spec 5.3)."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ums import clock
from ums.core.tables.states import EventType
from ums.db import Statement, Tx

EMAIL: Final = 4
SENDERS: Final = {"email": EMAIL, "sandbox": EMAIL}
"""What a sender type is called in `sender`; 0 is UMS itself."""

# After hand-over the address is told also of a user (5.3, `sender_id`).
HANDED_OVER: Final = (
    EventType.SUBMITTED,
    EventType.SUBMISSION_FAILED,
    EventType.DELIVERED,
    EventType.DELIVERY_FAILED,
    EventType.CLICKED,
    EventType.RETRACTION_FAILED,
)
WITH_ERROR: Final = (
    EventType.INVALID,
    EventType.SUBMISSION_FAILED,
    EventType.DELIVERY_FAILED,
    EventType.RETRACTION_FAILED,
)
MAX_ERROR: Final = 200  # characters

_RECORDS = Statement(
    "SELECT r.id, r.type, r.at, r.code, r.error, c.key AS channelkey, m.msgid, m.options,"
    " d.message_id, d.userid, d.address, s.type AS sender"
    " FROM callback_records r JOIN deliveries d ON d.id = r.delivery_id"
    " JOIN messages m ON m.id = d.message_id JOIN channels c ON c.id = m.channel_id"
    " JOIN senders s ON s.id = d.sender_id WHERE r.batch_id = :batch ORDER BY r.id"
)


class Error(Struct, frozen=True):
    """Why: a server's reply code, or one of ours (outbox.NOT_LEGAL, outbox.NO_REPLY)."""

    code: int
    message: str


class Record(Struct, frozen=True):
    """One event of one delivery."""

    type: int
    channelkey: str
    msgid: str
    userid: str
    sender_id: str
    sender: int
    sent_time: int  # unix seconds
    params: dict[str, Any]
    error: Error | UnsetType = UNSET


class _Options(Struct):
    params: dict[str, Any] | None = None


async def records_of(tx: Tx, batch_id: int) -> list[Record]:
    """The records of a batch, in their order."""
    return _records(await tx.rows(_RECORDS, {"batch": batch_id}))


def encode(records: Iterable[Record]) -> bytes:
    return msgspec.json.encode(list(records))


def sample(channelkey: str, now: int) -> Record:
    """What `ums callback test` sends: a record of no message."""
    second = now // clock.SECOND
    return Record(
        type=EventType.SUBMITTED,
        channelkey=channelkey,
        msgid=f"v:1t:{second}p:0n:0",
        userid="test",
        sender_id="test@example.com",
        sender=EMAIL,
        sent_time=second,
        params={"test": True},
    )


def _records(rows: Iterable[Any]) -> list[Record]:
    params: dict[int, dict[str, Any]] = {}  # read once for each message
    found: list[Record] = []
    for row in rows:
        if row.message_id not in params:
            options = msgspec.json.decode(row.options, type=_Options)
            params[row.message_id] = options.params or {}
        found.append(_record(row, params[row.message_id]))
    return found


def _record(row: Any, params: dict[str, Any]) -> Record:
    direct = row.userid == ""
    return Record(
        type=row.type,
        channelkey=row.channelkey,
        msgid=row.msgid,
        userid=row.userid,
        sender_id=row.address if direct or row.type in HANDED_OVER else "",
        sender=0 if row.error == "no_user" else SENDERS.get(row.sender, 0),
        sent_time=row.at // clock.SECOND,
        params=params,
        error=_error(row) if row.type in WITH_ERROR else UNSET,
    )


def _error(row: Any) -> Error:
    """Short and readable: our reason, and a server's own words where there are any."""
    text = row.error or "already handed over"
    shown = "".join(char if char.isprintable() else " " for char in text)
    return Error(row.code, " ".join(shown.split())[:MAX_ERROR])
