"""Quiet hours of deliveries that wait already: their due time moves to the end of the window.

A claim knows no channels and is not made slower by quiet hours. Instead the engine looks, every
few seconds and while any channel is quiet, at the front of each queue, where the next claims will
be made, and moves what belongs to a quiet channel. That is more rows than all workers claim
until it looks again, and never the whole of another channel's backlog.
"""

from collections.abc import Mapping
from typing import Any

from ums import clock
from ums.core.channels.quiet_hours import quiet_until
from ums.core.context.directory import Snapshot
from ums.db import Database, Statement, Tx, rows_json

AHEAD = 10 * clock.SECOND  # what comes due until the engine looks again, and then some
FRONT = 20_000  # deliveries of each queue
AT_ONCE = 2_000  # moved in one transaction

_QUEUES = Statement(
    "SELECT s.id, p.priority FROM senders s"
    " CROSS JOIN (SELECT 1 AS priority UNION ALL SELECT 2 UNION ALL SELECT 3) p"
    " WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.sender_id = s.id"
    " AND d.priority = p.priority AND d.state IN ('queued', 'deferred') AND d.due_at <= :soon)"
)
_FRONT = Statement(
    "SELECT f.id, q.until FROM (SELECT d.id, d.message_id, d.due_at FROM deliveries d"
    " WHERE d.sender_id = :sender AND d.priority = :priority"
    " AND d.state IN ('queued', 'deferred') AND d.due_at <= :soon"
    " ORDER BY d.due_at, d.id LIMIT :front) f JOIN messages m ON m.id = f.message_id"
    " JOIN $rows(q: channel_id bigint, until bigint) ON q.channel_id = m.channel_id"
    " WHERE f.due_at < q.until AND (m.broadcast OR m.priority <> 1)"
)
_MOVE = Statement(
    "WITH waiting AS MATERIALIZED (SELECT d.id, r.until FROM $rows(r: id bigint, until bigint)"
    " JOIN deliveries d ON d.id = r.id WHERE d.state IN ('queued', 'deferred') $lock(d))"
    " UPDATE deliveries SET due_at = waiting.until FROM waiting WHERE deliveries.id = waiting.id"
)


def quiet_channels(snapshot: Snapshot, at: int, soon: int) -> dict[int, int]:
    """Channel id to the end of its quiet hours, for those that are quiet at `at` or at `soon`."""
    ends = {
        id: quiet_until(one.rules, at) or quiet_until(one.rules, soon)
        for id, one in snapshot.channel_ids.items()
    }
    return {id: end for id, end in ends.items() if end is not None}


async def hush(database: Database, until: Mapping[int, int]) -> bool:
    """Put off what the quiet channels `until` have at the front of the queues.

    True when there was something, and so may be more behind it.
    """
    async with database.read() as tx:
        found = await _front(tx, until)
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE]
        async with database.write() as tx:
            await tx.run(_MOVE, {"r": rows_json((row.id, row.until) for row in part)})
    return bool(found)


async def _front(tx: Tx, until: Mapping[int, int]) -> list[Any]:
    soon = clock.now() + AHEAD
    bound = {"soon": soon, "front": FRONT, "q": rows_json(until.items())}
    found: list[Any] = []
    for queue in await tx.rows(_QUEUES, {"soon": soon}):
        mine = {"sender": queue.id, "priority": queue.priority}
        found += await tx.rows(_FRONT, {**bound, **mine})
    return found
