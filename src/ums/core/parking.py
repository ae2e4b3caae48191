"""Halting and resuming a message: the mechanism (who may do it, and when, is `core.halting`).

`messages.halt` says what keeps a message. From the end of the halt's transaction on the message
stands in `halts`, whose messages no claim touches; when `caught` has taken what was claimed before,
nothing goes out any more but what is at the dot. The engine parks the waiting rows in chunks.
Parked rows are in no claim's way, so that `halts` forgets the message as soon as none of its rows
can come back from a worker.

    paused                          queued, deferred, claimed -> paused
    cancelled, retracted, refused   those and paused          -> cancelled (in doubt: unknown)
    resumed                         paused                    -> queued, deferred
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from ums import clock
from ums.core.models import halts
from ums.core.queue import CLAIMING
from ums.db import Hot, Tx, rows_json

APPROVAL, PAUSE, CANCEL, RETRACT, REFUSE = (
    "approval",
    "paused",
    "cancelled",
    "retracted",
    "refused",
)
ENDS = (CANCEL, RETRACT, REFUSE)
"""The halts that are for good."""
RESUMED = "resumed"
CHUNK = 5_000  # deliveries

_HALT = Hot("UPDATE messages SET halt = :halt, halted_at = :at WHERE id = :id")
_WORK = Hot(
    "INSERT INTO halts (message_id, kind, created_at) VALUES (:id, :kind, :at)"
    " ON CONFLICT (message_id) DO UPDATE SET kind = excluded.kind, created_at = :at"
)
_STANDING = select(halts.c.kind).with_for_update()
_OPEN = Hot("SELECT message_id, kind FROM halts ORDER BY created_at $skip_locked")
# What a worker is just writing about is passed over; it is parked when that is done.
_DUE = (
    "WITH due AS MATERIALIZED (SELECT d.id, r.kind FROM $rows(r: id bigint, kind text)"
    " JOIN deliveries d ON d.message_id = r.id WHERE $among(d.message_id, r)"
    " AND d.state IN ({states}) LIMIT :limit $lock(d)) UPDATE deliveries SET updated_at = :at, "
)
_MOVED = (
    " FROM due WHERE deliveries.id = due.id"
    " RETURNING deliveries.id, deliveries.message_id, deliveries.state, deliveries.reason"
)
_PAUSE = "state = 'paused', owner = NULL"
# A delivery that was sent with an unknown outcome and waited for its second try may have arrived.
_END = (
    "state = CASE WHEN doubts > 0 THEN 'unknown' ELSE 'cancelled' END,"
    " reason = CASE WHEN doubts = 0 THEN CASE due.kind WHEN 'refused' THEN 'not_approved'"
    " ELSE due.kind END WHEN reason = 'no_answer' THEN reason ELSE 'unknown_outcome' END,"
    " owner = NULL"
)
_RESUME = "state = CASE WHEN tries > 0 THEN 'deferred' ELSE 'queued' END"
_LEFT = (
    "DELETE FROM halts WHERE message_id IN (SELECT r.id FROM $rows(r: id bigint, kind text))"
    " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = halts.message_id"
    " AND d.state IN ({states})) RETURNING message_id, kind"
)
_CLAIMED = Hot("SELECT count(*) FROM deliveries WHERE message_id = :id AND state = 'claimed'")

_COUNTS = Hot("SELECT state, count(*) FROM deliveries WHERE message_id = :id GROUP BY state")
_DOUBTFUL = Hot(
    "SELECT count(*) FROM deliveries WHERE message_id = :id"
    " AND state IN ('deferred', 'paused') AND doubts > 0"
)


def _statements(change: str, *moved: str, awaited: str = "") -> tuple[Hot, Hot]:
    states = ", ".join(f"'{state}'" for state in moved)
    move = _DUE.format(states=states) + change + _MOVED
    return Hot(move), Hot(_LEFT.format(states=states + awaited))


_OPEN_STATES = ("queued", "deferred", "claimed")
_HOW = {
    PAUSE: _statements(_PAUSE, *_OPEN_STATES, awaited=", 'at_dot'"),
    CANCEL: _statements(_END, *_OPEN_STATES, "paused", awaited=", 'at_dot'"),
    RESUMED: _statements(_RESUME, "paused"),
}
"""How rows are moved, and when nothing is left to do, for the halts alike to the key."""
_CATCH = {
    PAUSE: _statements(_PAUSE, "claimed")[0],
    CANCEL: _statements(_END, "claimed")[0],
}


async def halt(tx: Tx, message: int, kind: str) -> None:
    """Keep a message from going out, for good or (paused, approval) until `resume`.

    The caller has locked the message's row and commits soon: this makes all claims wait. When the
    transaction has ended, `caught` takes what workers have claimed of it.
    """
    at = clock.now()
    await tx.run(_HALT, {"id": message, "halt": kind, "at": at})
    if kind != APPROVAL:  # none of its rows exist before it is approved
        await tx.run(_WORK, {"id": message, "kind": kind, "at": at})
    # The claims that began before are written when this is granted, the others wait for our
    # commit and see the halt.
    await tx.exclude(CLAIMING)


async def resume(tx: Tx, message: int) -> None:
    """Let a message go that was paused or waited for approval. The caller has locked its row."""
    await tx.run(_HALT, {"id": message, "halt": "", "at": None})
    await tx.run(_WORK, {"id": message, "kind": RESUMED, "at": clock.now()})


async def caught(tx: Tx, message: int) -> bool:
    """Take from the workers what they have claimed of a halted message and not brought to the
    dot. False: some rows are being written at this moment, ask again."""
    # Locked, for a row that is parked after the message was resumed would stay so for ever.
    kind = await tx.value(_STANDING.where(halts.c.message_id == message))
    if kind is None or kind == RESUMED:
        return True
    params = {"r": rows_json([(message, kind)]), "limit": CHUNK, "at": clock.now()}
    await tx.run(_CATCH[_alike(kind)], params)
    return not await tx.value(_CLAIMED, {"id": message})


async def work(tx: Tx) -> tuple[Sequence[Any], Sequence[Any]]:
    """Do a chunk of what is to be done: the rows that were moved (id, message_id, and their state
    and reason now), and the messages (message_id, kind) with which nothing is left to do.

    What has to be told of a parked delivery can be told here, in the transaction that parks it.
    """
    moved: list[Any] = []
    over: list[Any] = []
    found = [(row.message_id, row.kind) for row in await tx.rows(_OPEN)]
    for how, (move, left) in _HOW.items():
        alike = [one for one in found if _alike(one[1]) == how]
        if not alike:
            continue
        mine = {"r": rows_json(alike)}
        moved += await tx.rows(move, {**mine, "limit": CHUNK, "at": clock.now()})
        over += await tx.rows(left, mine)
    return moved, over


def _alike(kind: str) -> str:
    return CANCEL if kind in ENDS else kind


async def counts(tx: Tx, message: int) -> dict[str, int]:
    """The message's deliveries by state."""
    return {row[0]: row[1] for row in await tx.rows(_COUNTS, {"id": message})}


async def doubtful(tx: Tx, message: int) -> int:
    """How many of the waiting deliveries may have arrived already."""
    return int(await tx.value(_DOUBTFUL, {"id": message}))
