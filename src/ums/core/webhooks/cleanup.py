"""Removing what is not needed any more: batches of long ago, and all of a deleted address."""

from sqlalchemy import delete, select

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import callback_addresses as addresses
from ums.core.tables import callback_batches as batches
from ums.core.tables import callback_records as records
from ums.db import Statement, Tx

AT_ONCE = 50  # batches in one transaction; no writer has to wait for long
RECORDS_AT_ONCE = 5_000
STRAGGLERS = clock.HOUR  # a verdict under way may still tell an address that was just deleted

_OVER = Statement(
    "SELECT id FROM callback_batches WHERE state = :state AND ended_at < :before"
    " AND state IN ('done', 'dead') ORDER BY ended_at LIMIT :limit"
)
_LEFT = Statement(
    "DELETE FROM callback_records WHERE id IN (SELECT id FROM callback_records"
    " WHERE address_id = :id AND batch_id IS NULL AND at < :before ORDER BY id LIMIT :limit)"
)


async def sweep(system: AppContext) -> None:
    """Remove batches that ended long ago, and what is left of deleted addresses."""
    day, now = 24 * clock.HOUR, clock.now()
    dead = round(system.settings.dead_callback_retention_days * day)
    lives = {"done": round(system.settings.done_callback_retention_days * day), "dead": dead}
    for state, life in lives.items():
        while await _remove_ended(system, state, now - life):
            pass
    async with system.database.read() as tx:
        rows = await tx.rows(select(addresses).where(addresses.c.state != "verified"))
    for row in rows:
        deleted = row.state == "deleted"
        # A disabled address may be enabled again; until then its records age like dead batches.
        while await _remove_waiting(system, row.id, now + 1 if deleted else now - dead):
            pass
        if deleted and row.state_changed_at < now - STRAGGLERS:
            await _remove_address(system, row.id)


async def _remove_ended(system: AppContext, state: str, before: int) -> bool:
    async with system.database.write() as tx:
        params = {"state": state, "before": before, "limit": AT_ONCE}
        ids = [row.id for row in await tx.rows(_OVER, params)]
        await _remove(tx, ids)
    return len(ids) == AT_ONCE


async def _remove_waiting(system: AppContext, address_id: int, before: int) -> bool:
    """Whether there is more of what waited for this address since before that moment."""
    old = (batches.c.address_id == address_id) & (batches.c.last_at < before)
    async with system.database.write() as tx:
        query = select(batches.c.id).where(old, batches.c.state != "claimed").limit(AT_ONCE)
        ids = [row.id for row in await tx.rows(query)]
        await _remove(tx, ids)
        given = {"id": address_id, "before": before, "limit": RECORDS_AT_ONCE}
        count = (await tx.run(_LEFT, given)).count
    return len(ids) == AT_ONCE or count == RECORDS_AT_ONCE


async def _remove(tx: Tx, ids: list[int]) -> None:
    if ids:
        await tx.run(delete(records).where(records.c.batch_id.in_(ids)))
        await tx.run(delete(batches).where(batches.c.id.in_(ids)))


async def _remove_address(system: AppContext, id: int) -> None:
    """Only when nothing is left that names it."""
    async with system.database.write() as tx:
        for table in (records, batches):
            if await tx.first(select(table.c.id).where(table.c.address_id == id).limit(1)):
                return
        await tx.run(delete(addresses).where(addresses.c.id == id))
