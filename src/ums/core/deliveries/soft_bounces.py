"""Mailboxes that are full again and again (reliability.md 4.5).

Whoever could not be reached so with five messages, in a week or more and with none taken between,
is not written to for 30 days; and again after the next one that finds the mailbox full.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import delete, select

from ums import clock
from ums.core.tables import full_mailboxes as table
from ums.db import Statement, Tx, rows_json

TIMES: Final = 5  # messages
SPAN: Final = 7 * clock.DAY  # from the first of them to the last, at least
KEPT: Final = 90 * clock.DAY  # without another

_COUNT = Statement(
    "INSERT INTO full_mailboxes (channel_id, address, count, first_at, last_at, message_id)"
    " SELECT m.channel_id, d.address, 1, CAST(:at AS bigint), CAST(:at AS bigint), m.id"
    " FROM $rows(r: id bigint) JOIN deliveries d ON d.id = r.id AND $among(d.id, r)"
    " JOIN messages m ON m.id = d.message_id WHERE true ORDER BY m.channel_id, d.address, m.id"
    " ON CONFLICT (channel_id, address) DO UPDATE SET count = full_mailboxes.count + 1,"
    " last_at = excluded.last_at, message_id = excluded.message_id"
    # A delivery that is sent again is of the same message.
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
    """Count these deliveries (ids), which ended at a full mailbox; those whose addresses are
    written to no more."""
    at = clock.now()
    for id in sorted(deliveries):  # one by one: two of them may be for the same address
        await tx.run(_COUNT, {"r": rows_json([(id,)]), "at": at})
    rows = rows_json((id,) for id in deliveries)
    due = {"r": rows, "times": TIMES, "since": at - SPAN}
    return {row.id for row in await tx.rows(_DUE, due)}


async def empty(tx: Tx, taken: Iterable[tuple[int, str]]) -> None:
    """Servers took mails of these messages (ids) for these addresses: there is room again."""
    if await tx.first(select(table.c.address).limit(1)) is not None:
        await tx.run(_TAKEN, {"r": rows_json(sorted(taken))})


async def forget(tx: Tx) -> None:
    """Drop what was not full for long."""
    await tx.run(delete(table).where(table.c.last_at <= clock.now() - KEPT))
