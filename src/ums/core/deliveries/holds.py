"""Halting and resuming a message: the mechanism (who may do it, and when, is `control`).

`messages.halt` says what keeps a message. From the end of the halt's transaction on the message
stands in `pending_halts`, whose messages no claim touches; when `caught` has taken what was
claimed before, nothing goes out any more but what is at the dot. The engine parks the waiting rows
in chunks. Parked rows are in no claim's way, so that `pending_halts` forgets the message as soon
as none of its rows can come back from a worker.

    paused                          queued, deferred, claimed -> paused
    cancelled, retracted, refused   those and paused          -> cancelled (in doubt: unknown)
    resumed                         paused                    -> queued, deferred
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core.deliveries import transitions
from ums.core.deliveries.queue import CLAIMING
from ums.core.deliveries.transitions import Transition
from ums.core.tables import messages, pending_halts
from ums.core.tables.states import ENDED, DeliveryState, EventType, Halt, sql_list
from ums.core.webhooks import outbox
from ums.db import Statement, Tx, rows_json

RESUMED = "resumed"
CHUNK = 2_000  # deliveries; a longer transaction would keep other writers waiting
BATCH = 50  # messages

_HALT = Statement(
    "UPDATE messages SET halt = :halt, halted_at = :at, halt_reason = :reason,"
    " halt_detail = :detail WHERE id = :id"
)
# Why it was halted stays: what UMS paused and a person let go, UMS does not pause again for it.
_LET = Statement("UPDATE messages SET halt = '', halted_at = NULL WHERE id = :id")
_WORK = Statement(
    "INSERT INTO pending_halts (message_id, kind, created_at) VALUES (:id, :kind, :at)"
    " ON CONFLICT (message_id) DO UPDATE SET kind = excluded.kind, created_at = :at"
)
_STANDING = (
    select(pending_halts.c.message_id, pending_halts.c.kind, messages.c.callback_id)
    .join(messages, messages.c.id == pending_halts.c.message_id)
    .with_for_update(of=pending_halts)
)
_NEXT = Statement(
    "SELECT h.message_id, h.kind, m.callback_id FROM pending_halts h"
    " JOIN messages m ON m.id = h.message_id"
    " WHERE h.message_id > :after ORDER BY h.message_id LIMIT :limit $lock(h)"
)
# One state at a time, compared by rows: only the index of messages and states has this order. For a
# message that is most of the table PostgreSQL would otherwise choose the primary key, and pass over
# all that is parked already, for each chunk. What a worker is just writing about is passed over.
_DUE = Statement(
    "SELECT id FROM deliveries WHERE (message_id, state, id) > (:message, :state, 0)"
    " AND (message_id, state, id) < (:message, :state, 9223372036854775807)"
    " ORDER BY message_id, state, id LIMIT :limit $skip_locked"
)
_MOVE = "UPDATE deliveries SET updated_at = :at, state = $to"
_MOVED = (
    " FROM $rows(r: id bigint) WHERE deliveries.id = r.id AND $among(deliveries.id, r)"
    " AND deliveries.state IN ($from)"
    " RETURNING deliveries.id, deliveries.message_id, deliveries.state, deliveries.reason"
)
_LEFT = (
    "DELETE FROM pending_halts WHERE message_id = :message"
    " AND NOT EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.message_id = :message AND d.state IN ({states})) RETURNING message_id, kind"
)
_CLAIMED = Statement("SELECT count(*) FROM deliveries WHERE message_id = :id AND state = 'claimed'")
_COUNTS = Statement("SELECT state, count(*) FROM deliveries WHERE message_id = :id GROUP BY state")
_DOUBTFUL = Statement(
    "SELECT count(*) FROM deliveries WHERE message_id = :id"
    " AND state IN ('deferred', 'paused') AND unknown_count > 0"
)


class _Change:
    """How the rows of a message are moved, and which must be gone for the work to be done."""

    def __init__(
        self, transition: Transition, change: str = "", awaited: Sequence[DeliveryState] = ()
    ) -> None:
        self.states = transition.sources
        self.move = transition.statement(_MOVE + change + _MOVED)
        self.left = Statement(_LEFT.format(states=sql_list((*self.states, *awaited))))


_PAUSE = _Change(transitions.PAUSE, ", owner = NULL", (DeliveryState.AT_DOT,))
# A delivery that was sent with an unknown outcome and waited for its second try may have arrived.
_END = _Change(
    transitions.CANCEL,
    ", reason = CASE WHEN unknown_count = 0 THEN CAST(:reason AS text) WHEN reason = 'no_answer'"
    " THEN reason ELSE 'unknown_outcome' END, owner = NULL",
    (DeliveryState.AT_DOT,),
)
_RESUME = _Change(transitions.RESUME)
_CHANGES = {Halt.PAUSED: _PAUSE, **dict.fromkeys(ENDED, _END), RESUMED: _RESUME}


class Why(NamedTuple):
    """Why UMS itself halted a message; both empty where a person did."""

    reason: str = ""  # content | bounces
    detail: str = ""  # the server's words, or the sender's code


BY_HAND = Why()


class Done(Struct):
    """What `work` did: the rows it moved (id, message_id, and their state and reason now), and the
    messages (message_id, kind) with which nothing is left to do."""

    moved: list[Any]
    over: list[Any]
    last: int  # where to go on; 0: at the beginning


async def halt(tx: Tx, message: int, kind: Halt, why: Why = BY_HAND) -> None:
    """Keep a message from going out, for good or (paused, approval) until `resume`.

    The caller has locked the message's row and commits soon: this makes all claims wait. When the
    transaction has ended, `caught` takes what workers have claimed of it.
    """
    at = clock.now()
    told = {"reason": why.reason, "detail": why.detail}
    await tx.run(_HALT, {"id": message, "halt": kind, "at": at, **told})
    if kind != Halt.APPROVAL:  # none of its rows exist before it is approved
        await tx.run(_WORK, {"id": message, "kind": kind, "at": at})
    # The claims that began before are written when this is granted, the others wait for our
    # commit and see the halt.
    await tx.exclude(CLAIMING)


async def resume(tx: Tx, message: int) -> None:
    """Let a message go that was paused or waited for approval. The caller has locked its row."""
    await tx.run(_LET, {"id": message})
    await tx.run(_WORK, {"id": message, "kind": RESUMED, "at": clock.now()})


async def caught(tx: Tx, message: int) -> bool:
    """Take from the workers what they have claimed of a halted message and not brought to the
    dot. False: some rows are being written at this moment, ask again."""
    # Locked, for a row that is parked after the message was resumed would stay so for ever.
    row = await tx.first(_STANDING.where(pending_halts.c.message_id == message))
    if row is None or row.kind == RESUMED:
        return True
    await _move(tx, row, DeliveryState.CLAIMED, CHUNK)
    return not await tx.value(_CLAIMED, {"id": message})


async def work(tx: Tx, after: int = 0) -> Done:
    """Do a chunk of what is to be done, for the messages after `after`: in turns, so that a large
    one does not keep the others waiting.

    What is parked for good is told in the same transaction, and in the end what had gone out.
    """
    done = Done([], [], 0)
    found = await tx.rows(_NEXT, {"after": after, "limit": BATCH})
    for row in found:
        for state in _CHANGES[row.kind].states:
            room = CHUNK - len(done.moved)
            done.moved += await _move(tx, row, state, room)
        over = await tx.rows(_CHANGES[row.kind].left, {"message": row.message_id})
        if over and row.kind == Halt.RETRACTED and row.callback_id is not None:
            await outbox.note_message(
                tx, row.message_id, EventType.RETRACTION_FAILED, state=DeliveryState.SENT, reason=""
            )
        done.over += over
        if len(done.moved) >= CHUNK:
            done.last = row.message_id
            return done
    done.last = found[-1].message_id if len(found) == BATCH else 0
    return done


async def _move(tx: Tx, halted: Any, state: str, limit: int) -> Sequence[Any]:
    which: dict[str, object] = {"message": halted.message_id, "state": state, "limit": limit}
    due = await tx.rows(_DUE, which) if limit > 0 else ()
    if not due:
        return ()
    params: dict[str, object] = {"r": rows_json((row.id,) for row in due), "at": clock.now()}
    if halted.kind in ENDED:
        # `refused` is what a server says of a mail.
        params["reason"] = "not_approved" if halted.kind == Halt.REFUSED else halted.kind
    moved = await tx.rows(_CHANGES[halted.kind].move, params)
    if halted.callback_id is not None:
        await outbox.note(
            tx, [(r.id, EventType.RETRACTED) for r in moved if r.state == DeliveryState.CANCELLED]
        )
    return moved


async def counts(tx: Tx, message: int) -> dict[str, int]:
    """The message's deliveries by state."""
    return {row[0]: row[1] for row in await tx.rows(_COUNTS, {"id": message})}


async def doubtful(tx: Tx, message: int) -> int:
    """How many of the waiting deliveries may have arrived already."""
    return int(await tx.value(_DOUBTFUL, {"id": message}))
