"""What a channel's rules want of an expansion: the frequency cap, and quiet hours that have begun.

The cap: at most so many messages to one address of a channel within some hours.

Who was given a message is written down as the message is expanded, and only for channels with a
cap. Their messages are expanded one after the other, and the channel's row is locked meanwhile:
two workers must not both find the last place free.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, select

from ums import clock
from ums.core.channels.quiet_hours import is_urgent, quiet_until
from ums.core.context.channel_policy import LONGEST_CAP, read_rules
from ums.core.tables import channels
from ums.core.tables.states import DeliveryState
from ums.db import Statement, Tx, rows_json

FORGET_AT_ONCE = 20_000

_NOTE = Statement(
    "INSERT INTO frequency_cap_log (channel_id, address, message_id, at)"
    " SELECT CAST(:channel AS bigint), r.address, r.message_id, CAST(:at AS bigint)"
    " FROM $rows(r: message_id bigint, address text) WHERE true ON CONFLICT DO NOTHING"
)
_FORGET = Statement(
    "DELETE FROM frequency_cap_log WHERE (channel_id, address, message_id) IN"
    " (SELECT channel_id, address, message_id FROM frequency_cap_log WHERE at < :over LIMIT :limit)"
)


class Terms(Struct, frozen=True):
    """What the rules want of one message."""

    message_id: int
    most: int | None  # messages to one address ...
    since: int  # ... from this moment on
    due_at: int | None  # no delivery before


def terms_of(row: Row[Any], at: int) -> Terms | None:
    """The terms of a message (with `channels.rules`) that is expanded at `at`, if it has any."""
    if row.rules == "{}":
        return None
    rules = read_rules(row.rules)
    cap = rules.frequency_cap
    urgent = is_urgent(priority=row.priority, broadcast=row.broadcast)
    due_at = None if urgent else quiet_until(rules, at)
    if cap is None:
        return None if due_at is None else Terms(row.id, None, 0, due_at)
    return Terms(row.id, cap.count, at - round(cap.hours * clock.HOUR), due_at)


def terms_json(terms: Iterable[Terms]) -> str:
    """As `$rows(o: message_id bigint, most int, since bigint, due_at bigint)` reads them."""
    return rows_json((one.message_id, one.most, one.since, one.due_at) for one in terms)


async def hold(tx: Tx, ids: Iterable[int]) -> None:
    """Let nobody else expand messages of these channels that have a cap until `tx` ends."""
    query = select(channels.c.id).where(channels.c.id.in_(set(ids))).order_by(channels.c.id)
    # Not FOR UPDATE, for which whoever stores a message of the channel would have to wait.
    await tx.run(query.with_for_update(key_share=True))


async def note(tx: Tx, channel: int, rows: Sequence[Any]) -> None:
    """Write down the deliveries (message_id, address, state) that are to go out."""
    reached = [(row.message_id, row.address) for row in rows if row.state == DeliveryState.QUEUED]
    if reached:
        bound = {"channel": channel, "at": clock.now(), "r": rows_json(reached)}
        await tx.run(_NOTE, bound)


async def forget(tx: Tx) -> None:
    """Drop what no cap can count any more, a part at a time."""
    over = clock.now() - LONGEST_CAP * clock.HOUR
    await tx.run(_FORGET, {"over": over, "limit": FORGET_AT_ONCE})
