"""Mechanism of halting and resuming a message (`control` checks who may do so, and when).

`messages.halt` is the kind of the halt. Once the halt's transaction has committed, the message has
a row in `pending_halts`, and no claim takes a delivery of such a message. After `caught` has taken
back the deliveries claimed before, only those already at the dot can still go out. The engine
parks the waiting rows in chunks. Claims never see parked rows, so the message's row is deleted
from `pending_halts` as soon as no worker can return one of its deliveries.

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
# The reason of the halt is kept: if UMS paused a message and a person resumed it, UMS does not
# pause it again for the same reason.
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
# One state at a time, with row comparison: only the index on message and state has this order. If
# one message has most of the table's rows, PostgreSQL would otherwise scan the primary key, and
# skip all parked rows again for each chunk. Rows that a worker is updating are skipped.
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
    """Statements that move the rows of a message and detect that no row is left to move."""

    def __init__(
        self, transition: Transition, change: str = "", awaited: Sequence[DeliveryState] = ()
    ) -> None:
        self.states = transition.sources
        self.move = transition.statement(_MOVE + change + _MOVED)
        self.left = Statement(_LEFT.format(states=sql_list((*self.states, *awaited))))


_PAUSE = _Change(transitions.PAUSE, ", owner = NULL", (DeliveryState.AT_DOT,))
# A delivery that waits for a second attempt after an unknown outcome may have arrived already.
_END = _Change(
    transitions.CANCEL,
    ", reason = CASE WHEN unknown_count = 0 THEN CAST(:reason AS text) WHEN reason = 'no_answer'"
    " THEN reason ELSE 'unknown_outcome' END, owner = NULL",
    (DeliveryState.AT_DOT,),
)
_RESUME = _Change(transitions.RESUME)
_CHANGES = {Halt.PAUSED: _PAUSE, **dict.fromkeys(ENDED, _END), RESUMED: _RESUME}


class Why(NamedTuple):
    """Reason for which UMS itself halted a message; both fields are empty if a person did."""

    reason: str = ""  # content | bounces
    detail: str = ""  # the server's reply text, or the sender code


BY_HAND = Why()


class Done(Struct):
    """Result of `work`.

    `moved` has the moved rows (id, message_id, new state and reason), `over` the messages
    (message_id, kind) that are completely processed.
    """

    moved: list[Any]
    over: list[Any]
    last: int  # `after` of the next call; 0 to start from the beginning


async def halt(tx: Tx, message: int, kind: Halt, why: Why = BY_HAND) -> None:
    """Halt a message for good or, if `kind` is paused or approval, until `resume`.

    The caller must have locked the message's row and must commit soon, as all claims wait until
    then. After the commit, call `caught` to take back the deliveries that workers have claimed.
    """
    at = clock.now()
    told = {"reason": why.reason, "detail": why.detail}
    await tx.run(_HALT, {"id": message, "halt": kind, "at": at, **told})
    if kind != Halt.APPROVAL:  # it has no deliveries before it is approved
        await tx.run(_WORK, {"id": message, "kind": kind, "at": at})
    # When this lock is granted, earlier claims have committed; later claims wait for this commit
    # and see the halt.
    await tx.exclude(CLAIMING)


async def resume(tx: Tx, message: int) -> None:
    """Resume a message that is paused or awaits approval. The caller must have locked its row."""
    await tx.run(_LET, {"id": message})
    await tx.run(_WORK, {"id": message, "kind": RESUMED, "at": clock.now()})


async def caught(tx: Tx, message: int) -> bool:
    """Take back the claimed deliveries of a halted message that have not reached the dot.

    Return False if some rows are locked by other writers; call again then.
    """
    # Locked, because a row parked after the message was resumed would stay parked forever.
    row = await tx.first(_STANDING.where(pending_halts.c.message_id == message))
    if row is None or row.kind == RESUMED:
        return True
    await _move(tx, row, DeliveryState.CLAIMED, CHUNK)
    return not await tx.value(_CLAIMED, {"id": message})


async def work(tx: Tx, after: int = 0) -> Done:
    """Move up to CHUNK rows of pending halts, of the messages with ids greater than `after`.

    Pass `last` of the result as `after`, so that a large message does not delay the others. The
    same transaction writes the callbacks of deliveries cancelled for good and, when a retraction
    is complete, those of the deliveries that had already been sent.
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
        # The reason `refused` is taken: it means that a server refused the mail.
        params["reason"] = "not_approved" if halted.kind == Halt.REFUSED else halted.kind
    moved = await tx.rows(_CHANGES[halted.kind].move, params)
    if halted.callback_id is not None:
        await outbox.note(
            tx, [(r.id, EventType.RETRACTED) for r in moved if r.state == DeliveryState.CANCELLED]
        )
    return moved


async def counts(tx: Tx, message: int) -> dict[str, int]:
    """Return the number of a message's deliveries by state."""
    return {row[0]: row[1] for row in await tx.rows(_COUNTS, {"id": message})}


async def doubtful(tx: Tx, message: int) -> int:
    """Return the number of deferred or paused deliveries that may have arrived already."""
    return int(await tx.value(_DOUBTFUL, {"id": message}))
