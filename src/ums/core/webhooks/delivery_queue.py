"""Records on their way: put into batches, claimed, told, tried again, dead, replayed.

    (records) -> claimed -> done
                  |   ^---- waiting    tried again when it is due
                  `-------> dead       kept, until somebody replays it or it is too old

A batch is made in the transaction that claims it, so a killed worker leaves either none or one
whose records are its own. An address has one batch in flight, whichever worker has it: the row of
the address is locked while one is taken. Whoever takes over a dead worker's batch sends it under
the same id.
"""

import secrets
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core.audit import audit_log
from ums.core.tables import callback_addresses as addresses
from ums.core.tables import channels
from ums.core.webhooks import backoff
from ums.core.webhooks.client import Reply
from ums.db import Statement, Tx

_ALIVE = "EXISTS (SELECT 1 FROM workers w WHERE w.owner = b.owner AND w.lease_until > $now)"
_FREE = f"b.state = 'claimed' AND (b.owner = :owner OR NOT {_ALIVE})"
_MINE = "b.address_id = a.id"
_NOT_BATCHED = "FROM callback_records r WHERE r.address_id = a.id AND r.batch_id IS NULL"
_READY = (
    f"((SELECT r.at {_NOT_BATCHED} ORDER BY r.id LIMIT 1) <= :old"
    f" OR EXISTS (SELECT 1 {_NOT_BATCHED} ORDER BY r.id LIMIT 1 OFFSET :full))"
)
_WAITING = f"EXISTS (SELECT 1 FROM callback_batches b WHERE {_MINE} AND b.state = 'waiting'"
_DUE = Statement(
    "SELECT a.id, a.failing_since IS NOT NULL AS failing FROM callback_addresses a"
    " WHERE a.state = 'verified' AND (a.cooldown_until IS NULL OR a.cooldown_until <= :at) AND"
    f" (EXISTS (SELECT 1 FROM callback_batches b WHERE {_MINE} AND {_FREE})"
    f" OR (NOT EXISTS (SELECT 1 FROM callback_batches b WHERE {_MINE} AND b.state = 'claimed')"
    f" AND ({_WAITING} AND b.due_at <= :at)"
    f" OR ({_READY} AND (a.schedule <> 'hosted' OR NOT {_WAITING}))))))"
    " ORDER BY a.id"
)
_LOCK = Statement(
    "SELECT a.id, a.channel_id, a.url, a.schedule, a.secret, a.old_secret, a.old_secret_until,"
    " a.form, a.username, a.password, a.failing_since, a.failures,"
    f" {_READY} AS ready FROM callback_addresses a"
    " WHERE a.id = :id AND a.state = 'verified'"
    " AND (a.cooldown_until IS NULL OR a.cooldown_until <= :at) $lock(a)"
)
# What is in flight goes first; then the oldest, or of schedule `standard` the oldest that is due.
_FIRST = Statement(
    f"SELECT b.id, b.webhook_id, b.tries, b.due_at, b.state = 'claimed' AS held, {_FREE} AS free"
    " FROM callback_batches b WHERE b.address_id = :id AND (b.state = 'claimed'"
    " OR (b.state = 'waiting' AND (:ordered OR b.due_at <= :at)))"
    " ORDER BY CASE WHEN b.state = 'claimed' THEN 0 ELSE 1 END, b.id LIMIT 1"
)
_TAKE = Statement("UPDATE callback_batches SET state = 'claimed', owner = :owner WHERE id = :id")
_OPEN = Statement(
    "INSERT INTO callback_batches (address_id, webhook_id, state, owner, size, first_at, last_at,"
    " due_at, created_at) VALUES (:id, :webhook, 'claimed', :owner, 0, 0, 0, :at, :at)"
    " RETURNING id"
)
_FILL = Statement(
    "UPDATE callback_records SET batch_id = :batch WHERE id IN (SELECT r.id"
    " FROM callback_records r WHERE r.address_id = :id AND r.batch_id IS NULL"
    " ORDER BY r.id LIMIT :most)"
)
_SIZED = Statement(
    "UPDATE callback_batches SET size = c.size, first_at = c.first_at, last_at = c.last_at"
    " FROM (SELECT count(*) AS size, min(at) AS first_at, max(at) AS last_at"
    " FROM callback_records WHERE batch_id = :batch) c WHERE id = :batch"
)
_DROP = Statement("DELETE FROM callback_batches WHERE id = :batch")
_SETTLE = Statement(
    "UPDATE callback_batches SET state = :state, owner = NULL, tries = tries + 1, due_at = :due,"
    " last_status = :status, last_error = :error, ended_at = :ended"
    " WHERE id = :id AND owner = :owner AND state = 'claimed' RETURNING id"
)
_POSTPONE = Statement(
    "UPDATE callback_batches SET state = 'waiting', owner = NULL, due_at = :due,"
    " last_error = :error WHERE id = :id AND owner = :owner AND state = 'claimed'"
)
_WELL = Statement(
    "UPDATE callback_addresses SET failing_since = NULL, failures = 0, cooldown_until = NULL"
    " WHERE id = :id"
)
_ILL = Statement(
    "UPDATE callback_addresses SET failing_since = COALESCE(failing_since, :at),"
    " failures = failures + 1, cooldown_until = :rest WHERE id = :id"
)
_DISABLE = Statement(
    "UPDATE callback_addresses SET state = 'disabled', state_changed_at = :at"
    " WHERE id = :id AND state = 'verified' RETURNING id"
)
GONE: Final = "it answered 410"


class Due(Struct, frozen=True):
    """An address for which there is something to do."""

    id: int
    failing: bool


class Limits(Struct, frozen=True):
    """When records become a batch."""

    most: int
    age: int  # ms

    def at(self, now: int) -> dict[str, int]:
        return {"at": now, "old": now - self.age, "full": self.most - 1}


class Batch(Struct, frozen=True):
    """A batch in the hands of this worker, with where it goes."""

    id: int
    webhook_id: str
    tries: int  # that failed
    address_id: int
    channel_id: int
    url: str
    schedule: str
    secret: str  # sealed
    old_secret: str | None  # sealed
    old_secret_until: int | None
    form: str
    username: str
    password: str | None  # sealed
    failing_since: int | None
    failures: int


async def due(tx: Tx, owner: str, limits: Limits) -> list[Due]:
    """The addresses that want a look; whether there is work after all, `take` says."""
    now = clock.now()
    params = {"owner": owner, "now": now, **limits.at(now)}
    return [Due(row.id, bool(row.failing)) for row in await tx.rows(_DUE, params)]


async def take(tx: Tx, owner: str, address_id: int, limits: Limits) -> Batch | None:
    """Claim the batch of the address whose turn it is, or make it; None: nothing to tell now."""
    now = clock.now()
    address = await tx.first(_LOCK, {"id": address_id, **limits.at(now)})
    if address is None:
        return None
    ordered = address.schedule == backoff.HOSTED
    params = {"id": address_id, "owner": owner, "now": now, "at": now, "ordered": ordered}
    first = await tx.first(_FIRST, params)
    if first is not None:
        if not (first.free if first.held else first.due_at <= now):
            return None  # another's, or its time has not come and the others wait for it
        await tx.run(_TAKE, {"id": first.id, "owner": owner})
        return _batch(address, first.id, first.webhook_id, first.tries)
    if not address.ready:
        return None
    return await _made(tx, owner, address, limits.most, now)


async def _made(tx: Tx, owner: str, address: Any, most: int, now: int) -> Batch | None:
    webhook_id = f"ums_{secrets.token_hex(16)}"
    row = {"id": address.id, "webhook": webhook_id, "owner": owner, "at": now}
    id = await tx.value(_OPEN, row)
    filled = await tx.run(_FILL, {"id": address.id, "most": most, "batch": id})
    if not filled.count:  # another worker told them between the look and the lock
        await tx.run(_DROP, {"batch": id})
        return None
    await tx.run(_SIZED, {"batch": id})
    return _batch(address, id, webhook_id, 0)


def _batch(address: Any, id: int, webhook_id: str, tries: int) -> Batch:
    fields = ("channel_id", "url", "schedule", "secret", "old_secret", "old_secret_until")
    fields = (*fields, "form", "username", "password", "failing_since", "failures")
    own = {name: getattr(address, name) for name in fields}
    return Batch(id=id, webhook_id=webhook_id, tries=tries, address_id=address.id, **own)


async def settle(tx: Tx, owner: str, batch: Batch, reply: Reply) -> str | None:
    """Store how a try ended; the batch's new state, None when it was no longer this worker's."""
    now = clock.now()
    state, due = _next(batch, reply, now)
    params = {"id": batch.id, "owner": owner, "state": state, "due": due}
    told = {"status": reply.status, "error": reply.detail[:500]}
    ended = now if state in ("done", "dead") else None
    if await tx.value(_SETTLE, {**params, **told, "ended": ended}) is None:
        return None
    if reply.ok:
        if batch.failures:
            await tx.run(_WELL, {"id": batch.address_id})
    else:
        await _fail(tx, batch, reply, now)
    return state


def _next(batch: Batch, reply: Reply, now: int) -> tuple[str, int]:
    if reply.ok:
        return "done", now
    if reply.gone and batch.schedule == backoff.STANDARD:
        return "waiting", now  # for the address to be enabled again
    pause = backoff.pause(batch.schedule, batch.tries + 1, reply.retry_after)
    return ("dead", now) if pause is None else ("waiting", now + pause)


async def _fail(tx: Tx, batch: Batch, reply: Reply, now: int) -> None:
    rest = backoff.rest(batch.schedule, batch.failures + 1, reply.retry_after)
    await tx.run(_ILL, {"id": batch.address_id, "at": now, "rest": now + rest if rest else None})
    if batch.schedule != backoff.STANDARD:
        return
    since = now if batch.failing_since is None else batch.failing_since
    if reply.gone or now - since >= backoff.PATIENCE:
        await _disable(tx, batch, GONE if reply.gone else "it failed for five days", now)


async def _disable(tx: Tx, batch: Batch, why: str, now: int) -> None:
    if await tx.value(_DISABLE, {"id": batch.address_id, "at": now}) is not None:
        key = await tx.value(select(channels.c.key).where(channels.c.id == batch.channel_id))
        await audit_log.note(
            tx,
            "callback.disable",
            str(key),
            f"address {batch.address_id}: {why}",
            before={"state": "verified"},
            after={"state": "disabled"},
            actor=audit_log.ENGINE,
        )


async def postpone(tx: Tx, owner: str, batch: Batch, pause: int, why: str) -> None:
    """Put the batch off for `pause` ms; it was not tried, for no fault of the receiver."""
    due = clock.now() + pause
    await tx.run(_POSTPONE, {"id": batch.id, "owner": owner, "due": due, "error": why})
    rest = addresses.update().where(addresses.c.id == batch.address_id).values(cooldown_until=due)
    await tx.run(rest)
