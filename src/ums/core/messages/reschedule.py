"""Moving the start of a scheduled message, exactly: before its expansion has begun, or not at all.

One conditional update decides. The expansion takes the row of the message before it makes the first
delivery, so that either it sees the new start or this sees that it has begun.
"""

from typing import Any

from sqlalchemy import select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import quiet_hours
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import read_rules
from ums.core.messages import control
from ums.core.messages.scheduling import check_end, check_start, lifetime
from ums.core.tables import channels, messages
from ums.core.tables.states import ENDED
from ums.db import Tx
from ums.errors import Invalid


async def reschedule(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    starts_at: int,
    deliver_by: int | None = None,
) -> None:
    """Give a scheduled message another start. Its lifetime counts from there, unless `deliver_by`,
    here or when it was accepted, says when it ends.

    Raises NotFound; Invalid for a start that is over, and for a message that has begun, was stopped
    or was never scheduled; Refused where the channel's quiet hours refuse the new start.
    """
    check_start(starts_at, clock.now())
    async with system.database.write() as tx:
        row = await control.locked(tx, channel_id, msgid)
        _check_waiting(row)
        begins = await _begins(tx, row, starts_at)
        ends = _ends(row, begins, deliver_by)
        await _move(tx, row, begins, ends)
    system.wake.set()


def _check_waiting(row: Any) -> None:
    if row.halt in ENDED:
        raise Invalid("message_stopped", halt=row.halt)
    if not row.starts_at:
        raise Invalid("not_scheduled")


async def _begins(tx: Tx, row: Any, starts_at: int) -> int:
    """The new start, after the channel's quiet hours."""
    text = await tx.value(select(channels.c.rules).where(channels.c.id == row.channel_id))
    asked = max(clock.now(), starts_at)
    rules = read_rules(str(text))
    return quiet_hours.start(rules, asked, priority=row.priority, broadcast=row.broadcast)


def _ends(row: Any, begins: int, deliver_by: int | None) -> int:
    usual = lifetime(broadcast=row.broadcast)
    counted = row.expires_at - max(row.accepted_at, row.starts_at) == usual
    if deliver_by is None and counted:
        return begins + usual
    ends = int(row.expires_at) if deliver_by is None else deliver_by
    check_end(begins, ends)
    return ends


async def _move(tx: Tx, row: Any, begins: int, ends: int) -> None:
    still = (
        (messages.c.id == row.id)
        & (messages.c.state != "expanded")
        & messages.c.plan.is_(None)
        & (messages.c.starts_at > clock.now())
    )
    moved = update(messages).where(still).values(starts_at=begins, expires_at=ends)
    if (await tx.run(moved)).count != 1:
        raise Invalid("already_begun")
    before, after = {"starts_at": clock.iso(row.starts_at)}, {"starts_at": clock.iso(begins)}
    await audit_log.note(tx, "message.reschedule", row.msgid, before=before, after=after)
