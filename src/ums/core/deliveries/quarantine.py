"""Mails that take the worker along: after three worker_crashes over one, it is tried no more.

Without an end, a mail that kills each worker that makes it would stop all others with it.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import delete

from ums import clock
from ums.core.deliveries import transitions
from ums.core.tables import worker_crashes
from ums.core.tables.states import DeliveryState
from ums.core.webhooks import outbox
from ums.db import Statement, Tx, rows_json

log = structlog.get_logger()
DEATHS: Final = 3
KEPT: Final = 7 * clock.DAY

_NOTE = Statement(
    "INSERT INTO worker_crashes (delivery_id, count, at) SELECT r.id, 1, CAST(:at AS bigint)"
    " FROM $rows(r: id bigint) WHERE true ON CONFLICT (delivery_id)"
    " DO UPDATE SET count = worker_crashes.count + 1, at = excluded.at"
)
_QUARANTINE = transitions.QUARANTINE.statement(
    "UPDATE deliveries SET state = $to, reason = 'quarantined', updated_at = :at"
    " WHERE state IN ($from)"
    " AND id IN (SELECT delivery_id FROM worker_crashes WHERE count >= :most) RETURNING id"
)
_PARDON = Statement(
    "DELETE FROM worker_crashes WHERE delivery_id IN"
    " (SELECT id FROM deliveries WHERE message_id = :message)"
)


async def note(tx: Tx, deliveries: Sequence[int]) -> None:
    """A worker died while it made the mails of these."""
    await tx.run(_NOTE, {"r": rows_json((id,) for id in set(deliveries)), "at": clock.now()})
    log.warning("a worker died while it made a mail", deliveries=sorted(set(deliveries)))


async def quarantine(tx: Tx) -> None:
    """End what killed too many workers and waits to be tried again."""
    rows = await tx.rows(_QUARANTINE, {"most": DEATHS, "at": clock.now()})
    if rows:
        await outbox.note_states(tx, [(row.id, DeliveryState.FAILED) for row in rows])
        log.error("mails that killed workers are quarantined", deliveries=[r.id for r in rows])


async def pardon(tx: Tx, message: int) -> None:
    """Somebody sends the message's failed deliveries once more: they are counted anew."""
    await tx.run(_PARDON, {"message": message})


async def forget(tx: Tx) -> None:
    """Drop worker_crashes of long ago."""
    await tx.run(delete(worker_crashes).where(worker_crashes.c.at < clock.now() - KEPT))
