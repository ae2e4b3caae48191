"""Automatic pauses: a suspended sender's mail to several people, and content that servers refuse.

The reputation of a sender is in `reputation`; a person lets go on what was paused here.
"""

from contextlib import suppress
from typing import Final

from sqlalchemy import delete, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.deliveries import holds
from ums.core.deliveries.holds import Why
from ums.core.messages import control
from ums.core.tables import messages, sender_outcomes, senders
from ums.core.tables.states import Halt
from ums.db import Statement, Tx
from ums.errors import Invalid, NotFound, Refused

BOUNCES, CONTENT = "bounces", "content"  # a message's `halt_reason`
PAUSED_AT_ONCE: Final = 50  # messages

_TO_SEVERAL = Statement(
    "SELECT m.msgid FROM messages m WHERE m.expires_at > :at AND m.starts_at <= :at"
    " AND m.audience_size > 1"
    " AND m.priority <> 1 AND m.halt = '' AND m.halt_reason = ''"
    " AND ((m.sender_id = :sender AND m.state <> 'expanded')"
    " OR EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = m.id AND d.sender_id = :sender"
    " AND d.state IN ('queued', 'deferred', 'claimed'))) ORDER BY m.id LIMIT :limit"
)


async def keep_stopped(system: AppContext) -> bool:
    """Pause what stopped senders would send to several people; whether there was anything."""
    now = await system.directory.now()
    found = [one.id for one in now.senders.values() if one.suspended_at is not None]
    return any([await _pause_mailings(system, sender) for sender in found])


async def _pause_mailings(system: AppContext, sender: int) -> bool:
    """Pause all that the sender has to send to several people and that is not urgent. What an
    operator let go on after that goes on."""
    params = {"at": clock.now(), "sender": sender, "limit": PAUSED_AT_ONCE}
    async with system.database.read() as tx:
        found = await tx.rows(_TO_SEVERAL, params)
        code = str(await tx.value(select(senders.c.code).where(senders.c.id == sender)))
    for row in found:
        with suppress(Refused, Invalid, NotFound):  # it ended meanwhile
            await control.pause(system, None, row.msgid, why=Why(BOUNCES, code))
    return bool(found)


async def pause_refused(system: AppContext, message: int, words: str) -> None:
    """Pause a message whose content one server after the other refuses; once, for what a person
    let go on after that goes on."""
    async with system.database.read() as tx:
        row = await tx.first(select(messages).where(messages.c.id == message))
    if row is not None and row.halt_reason != CONTENT and row.audience_size > 1:
        with suppress(Refused, Invalid, NotFound):
            await control.pause(system, None, row.msgid, why=Why(CONTENT, words[:1000]))


async def paused_by_us(tx: Tx, channels: frozenset[int] | None, limit: int) -> list[str]:
    """msgids of the newest messages that UMS itself paused and nobody let go on yet."""
    mine = (messages.c.halt_reason != "") & (messages.c.halt == Halt.PAUSED)
    query = select(messages.c.msgid).where(mine, messages.c.expires_at > clock.now())
    if channels is not None:
        query = query.where(messages.c.channel_id.in_(sorted(channels)))
    return [row.msgid for row in await tx.rows(query.order_by(messages.c.id.desc()).limit(limit))]


async def confirm(system: AppContext, code: str) -> None:
    """An operator has seen to it: the sender sends to several people again, what was paused for
    it goes on, and its mails are counted anew. Raises NotFound."""
    async with system.directory.change() as tx:
        row = await tx.first(select(senders).where(senders.c.code == code).with_for_update())
        if row is None:
            raise NotFound("sender_unknown", code=code)
        id, values = row.id, {"suspended_at": None, "throttled_until": None}
        await tx.run(update(senders).where(senders.c.id == id).values(values))
        await tx.run(delete(sender_outcomes).where(sender_outcomes.c.sender_id == id))
        mine = (messages.c.halt == Halt.PAUSED) & (messages.c.halt_reason == BOUNCES)
        paused = select(messages.c.id).where(mine, messages.c.halt_detail == code)
        resumed = await tx.rows(paused.with_for_update(key_share=True))
        for message in resumed:
            await holds.resume(tx, message.id)
        stopped, slowed = row.suspended_at is not None, row.throttled_until is not None
        before = {"stopped": stopped, "slowed": slowed, "paused_messages": len(resumed)}
        after = {"stopped": False, "slowed": False, "paused_messages": 0}
        await audit_log.note(tx, "sender.confirm", code, before=before, after=after)
    system.halted.set()
    system.wake.set()
