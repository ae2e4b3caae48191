"""Repeated soft bounces of full mailboxes (reliability.md 4.5).

An address is suppressed for 30 days after five messages found its mailbox full, over a week or
more and with no message accepted in between. After that, each further message that finds the
mailbox full suppresses it again.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import delete, select

from ums import clock
from ums.core.tables import full_mailboxes as table
from ums.db import Statement, Tx, rows_json

TIMES: Final = 5  # messages
SPAN: Final = 7 * clock.DAY  # from the first of them to the last, at least
KEPT: Final = 90 * clock.DAY  # after the last soft bounce

_COUNT = Statement(
    "INSERT INTO full_mailboxes (channel_id, address, count, first_at, last_at, message_id)"
    " SELECT m.channel_id, d.address, 1, CAST(:at AS bigint), CAST(:at AS bigint), m.id"
    " FROM $rows(r: id bigint) JOIN deliveries d ON d.id = r.id AND $among(d.id, r)"
    " JOIN messages m ON m.id = d.message_id WHERE true ORDER BY m.channel_id, d.address, m.id"
    " ON CONFLICT (channel_id, address) DO UPDATE SET count = full_mailboxes.count + 1,"
    " last_at = excluded.last_at, message_id = excluded.message_id"
    # A resent delivery belongs to the same message and is not counted again.
    " WHERE full_mailboxes.message_id <> excluded.message_id"
)
_DUE = Statement(
    "SELECT d.id FROM $rows(r: id bigint) JOIN deliveries d ON d.id = r.id AND $among(d.id, r)"
    " JOIN messages m ON m.id = d.message_id JOIN full_mailboxes f"
    " ON f.channel_id = m.channel_id AND f.address = d.address"
    " WHERE f.count >= :times AND f.first_at <= :since"
)
_TAKEN = Statement(
    "DELETE FROM full_mailboxes WHERE (channel_id, address) IN (SELECT m.channel_id, r.address"
    " FROM $rows(r: message bigint, address text) JOIN messages m ON m.id = r.message)"
)


async def count(tx: Tx, deliveries: Sequence[int]) -> set[int]:
    """Count these deliveries (ids), which failed because of a full mailbox.

    Return the ids of those whose address is now due to be suppressed.
    """
    at = clock.now()
    for id in sorted(deliveries):  # one by one: two of them may be for the same address
        await tx.run(_COUNT, {"r": rows_json([(id,)]), "at": at})
    rows = rows_json((id,) for id in deliveries)
    due = {"r": rows, "times": TIMES, "since": at - SPAN}
    return {row.id for row in await tx.rows(_DUE, due)}


async def empty(tx: Tx, taken: Iterable[tuple[int, str]]) -> None:
    """Reset the count of addresses that accepted a mail, given as (message id, address)."""
    if await tx.first(select(table.c.address).limit(1)) is not None:
        await tx.run(_TAKEN, {"r": rows_json(sorted(taken))})


async def forget(tx: Tx) -> None:
    """Delete the counts of addresses without a soft bounce for KEPT."""
    await tx.run(delete(table).where(table.c.last_at <= clock.now() - KEPT))
