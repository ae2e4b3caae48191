"""Removing what is kept no longer: old messages with all that became of them, and the old log.

Only what is over goes: no delivery waits, no callback is still to be told or replayed. A message
of many deliveries goes in parts, and its size shrinks with them, so that its counts add up all
the while.
"""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy import delete, select

from ums import clock
from ums.core.audit import audit_chain, audit_ends
from ums.core.context.app_context import AppContext
from ums.core.tables import messages
from ums.core.tables.states import OPEN
from ums.db import Statement, rows_json

log = structlog.get_logger()
PART: Final = 2_000  # deliveries in one transaction; no writer has to wait for long
AT_ONCE: Final = 100_000  # deliveries in one sweep; the rest is for the next
LOOKED_AT: Final = 500  # messages at a time

_STATES = ", ".join(f"'{state}'" for state in OPEN)
_OPEN = Statement(
    f"SELECT id FROM deliveries WHERE message_id = :id AND state IN ({_STATES}) LIMIT 1"
)
_TOLD = Statement(
    "SELECT k.id FROM deliveries d JOIN callback_records k ON k.delivery_id = d.id"
    " WHERE d.message_id = :id LIMIT 1"
)
_STILL_TOLD = Statement(
    "SELECT k.id FROM $rows(r: id bigint)"
    " JOIN callback_records k ON k.delivery_id = r.id AND $among(k.delivery_id, r) LIMIT 1"
)
_LOCKED = Statement(
    "SELECT id FROM messages m WHERE id = :id AND state = 'expanded' AND accepted_at < :before"
    " AND expires_at <= :now $lock(m)"
)
_PART = Statement("SELECT id FROM deliveries WHERE message_id = :id LIMIT :limit")
_ATTEMPTS = Statement(
    "DELETE FROM attempts WHERE delivery_id IN (SELECT r.id FROM $rows(r: id bigint))"
)
_DELIVERIES = Statement("DELETE FROM deliveries WHERE id IN (SELECT r.id FROM $rows(r: id bigint))")
_SHRINK = Statement(
    "UPDATE messages SET audience_size = CASE WHEN audience_size > :gone"
    " THEN audience_size - :gone ELSE 0 END WHERE id = :id"
)


async def sweep(system: AppContext) -> None:
    """Remove what the settings keep no longer, up to a sweep's worth."""
    own, now = system.settings, clock.now()
    if own.message_retention_days:
        await _sweep_messages(system, now - round(own.message_retention_days * clock.DAY))
    if own.audit_retention_days and await may_shorten_log(system):
        until = now - round(own.audit_retention_days * clock.DAY)
        # By whole days: each removal leaves an entry.
        await audit_chain.remove_old(system, until - until % clock.DAY, AT_ONCE)


async def may_shorten_log(system: AppContext) -> bool:
    """Whether `audit_retention_days` comes from the environment or from UMS: whoever writes to the
    database can write it there as well, and must not have the log removed."""
    if "audit_retention_days" in system.fixed_settings or not system.settings.audit_retention_days:
        return True
    keep_ms = round(system.settings.audit_retention_days * clock.DAY)
    async with system.database.read() as tx:
        return await audit_ends.is_retention(tx, system.seal, keep_ms)


async def _sweep_messages(system: AppContext, before: int) -> None:
    place, left, removed = (0, 0), AT_ONCE, 0
    while left > 0:
        rows = await _old(system, before, place)
        for row in rows:
            if left <= 0:
                break
            place = (row.accepted_at, row.id)
            if await _is_needed(system, row.id):
                continue
            whole, gone = False, 1
            while left > 0 and gone and not whole:
                gone, whole = await _remove_part(system, row.id, before)
                left -= max(gone, 1)
                removed += whole
                await asyncio.sleep(0)  # whoever else wants to write comes first
        if len(rows) < LOOKED_AT:
            break
    if removed:
        log.info("removed old messages", count=removed)


async def _old(system: AppContext, before: int, place: tuple[int, int]) -> Any:
    at, id = place
    later = (messages.c.accepted_at > at) | ((messages.c.accepted_at == at) & (messages.c.id > id))
    over = (messages.c.accepted_at < before) & (messages.c.expires_at <= clock.now())
    query = select(messages.c.id, messages.c.accepted_at).where(
        over, later, messages.c.accepted_at >= at, messages.c.state == "expanded"
    )
    async with system.database.read() as tx:
        order = (messages.c.accepted_at, messages.c.id)
        return await tx.rows(query.order_by(*order).limit(LOOKED_AT))


async def _remove_part(system: AppContext, id: int, before: int) -> tuple[int, bool]:
    """(deliveries removed, whether the message is gone)"""
    async with system.database.write() as tx:
        # Whoever resends it holds this row as well, and gives it a new life.
        bound = {"id": id, "before": before, "now": clock.now()}
        if await tx.value(_LOCKED, bound) is None or await tx.first(_OPEN, {"id": id}):
            return 0, False
        ids = [row.id for row in await tx.rows(_PART, {"id": id, "limit": PART})]
        if ids:
            part = {"r": rows_json((one,) for one in ids)}
            if await tx.first(_STILL_TOLD, part):
                return 0, False
            await tx.run(_ATTEMPTS, part)
            await tx.run(_DELIVERIES, part)
            await tx.run(_SHRINK, {"id": id, "gone": len(ids)})
        whole = len(ids) < PART
        if whole:
            await tx.run(delete(messages).where(messages.c.id == id))
        return len(ids), whole


async def _is_needed(system: AppContext, id: int) -> bool:
    """Whether a delivery waits, or a callback is still to be told or replayed."""
    async with system.database.read() as tx:
        return any([await tx.first(query, {"id": id}) for query in (_OPEN, _TOLD)])
