"""What is to be told: one record per event of a delivery.

Everything here runs in the transaction that makes the state it tells of, so that neither is
without the other (reliability.md, I6). A message says in `event_mask` which types it wants, and in
`callback_id` to whom they go; both were settled when it was accepted, so later changes of the
channel's rules do not matter. For messages without a callback none of this is called.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from ums import clock
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.tables.states import DeliveryState, EventType
from ums.db import Statement, Tx, rows_json

FOLLOWS: Final = 9  # the bit of `event_mask` that lets a record of type 4 follow each of type 2

OF_STATE: Final[dict[str, EventType]] = {
    DeliveryState.SENT: EventType.SUBMITTED,
    DeliveryState.FAILED: EventType.SUBMISSION_FAILED,
    DeliveryState.EXPIRED: EventType.SUBMISSION_FAILED,
}
"""What an attempt's end tells. `unknown` tells nothing: nobody knows anything yet."""

NOT_LEGAL: Final = 4004
NO_REPLY: Final = 5000
"""Codes of errors for which no server gave one (ums-spec 3.2)."""

# A server's reply is the last attempt's; by its number, as by its id PostgreSQL would read all
# attempts backwards.
_LAST = "(SELECT {what} FROM attempts l WHERE l.delivery_id = d.id ORDER BY l.number DESC LIMIT 1)"
_CODE = _LAST.format(what="NULLIF(l.code, 0)")
_REPLY = _LAST.format(what="': ' || l.enhanced || ' ' || l.reply")

_NOTE = (
    "INSERT INTO callback_records (address_id, message_id, delivery_id, type, at, code, error)"
    " SELECT a.id, m.id, d.id, {type}, :at,"
    " CASE WHEN {type} IN (1, 8) THEN 4004"
    f" WHEN {{type}} IN (3, 5) THEN COALESCE({_CODE}, {NO_REPLY}) ELSE 0 END,"
    " CASE WHEN {type} = 1 THEN d.reason"
    f" WHEN {{type}} IN (3, 5) THEN d.reason || COALESCE({_REPLY}, '') ELSE '' END"
    " FROM {source} JOIN messages m ON m.id = d.message_id"
    " JOIN callback_addresses a ON a.id = m.callback_id AND a.state <> 'deleted'"
    " WHERE ((m.event_mask >> {type}) & 1) = 1{where} ORDER BY d.id, {type}"
)
_EACH = Statement(
    _NOTE.format(
        type="(r.type + 2 * f.follows)",
        source="$rows(r: id bigint, type int)"
        " JOIN (SELECT 0 AS follows UNION ALL SELECT 1) f ON f.follows = 0 OR r.type = 2"
        " JOIN deliveries d ON d.id = r.id AND $among(d.id, r)",
        where=f" AND (f.follows = 0 OR ((m.event_mask >> {FOLLOWS}) & 1) = 1)",
    )
)
_EXPANDED = Statement(
    _NOTE.format(
        type="(CASE WHEN d.state IN ('invalid', 'suppressed') THEN 1"
        " WHEN d.state = 'cancelled' THEN 7 ELSE 0 END)",
        source="deliveries d",
        where=" AND d.message_id IN (SELECT r.id FROM $rows(r: id bigint)) AND d.id > :mark",
    )
)
_MARK = Statement("SELECT COALESCE(max(id), 0) FROM deliveries")
_OF_MESSAGE = Statement(
    _NOTE.format(
        type="CAST(:type AS int)",
        source="deliveries d",
        where=" AND d.message_id = :message AND d.state = :state AND d.reason = :reason"
        " AND NOT EXISTS (SELECT 1 FROM callback_records k"
        " WHERE k.delivery_id = d.id AND k.type = CAST(:type AS int))",
    )
)


def wanted(rules: ChannelPolicy) -> int:
    """`event_mask` of a message of a channel with these rules; 0: it wants to be told nothing."""
    bits = sum(1 << type for type in set(rules.statuses) if type in set(EventType))
    if not rules.callbacks or not bits:
        return 0
    return bits | (rules.submitted_is_delivered << FOLLOWS)


async def note(tx: Tx, rows: Iterable[tuple[int, EventType]]) -> None:
    """Tell of these (delivery id, type), as far as their messages want it."""
    given = sorted(rows)
    if given:
        await tx.run(_EACH, {"r": rows_json(given), "at": clock.now()})


async def note_states(tx: Tx, rows: Iterable[tuple[int, str]]) -> None:
    """Tell what these (delivery id, new state) mean."""
    await note(tx, [(id, OF_STATE[state]) for id, state in rows if state in OF_STATE])


@asynccontextmanager
async def expanding(tx: Tx, messages: Sequence[int]) -> AsyncGenerator[None]:
    """Tell of the deliveries of these messages that are inserted in the block: valid or not."""
    mark = await tx.value(_MARK) if messages else 0
    yield
    if messages:
        given = rows_json((id,) for id in messages)
        await tx.run(_EXPANDED, {"r": given, "mark": mark, "at": clock.now()})


async def note_message(tx: Tx, message: int, type: EventType, *, state: str, reason: str) -> None:
    """Tell `type` of all deliveries of a message that are in `state` for `reason`, except of
    those of which it was told already."""
    params = {"message": message, "type": type, "state": state, "reason": reason}
    await tx.run(_OF_MESSAGE, {**params, "at": clock.now()})
