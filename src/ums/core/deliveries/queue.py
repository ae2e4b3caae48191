"""Delivery queue in the table `deliveries`: claim, intent, verdict, release, recovery.

States (reliability.md 2.1):

    queued -> claimed -> at_dot -> sent | deferred | failed | unknown
    and paused, expired, cancelled, suppressed, invalid

A worker claims rows in its own name (`owner`); its lease lasts as long as it renews its row in
`workers`. Each claim increments `epoch`, and every later change names that epoch, so a worker that
lost a row to another worker changes nothing (invariant I3).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from ums import clock
from ums.core.common.metadata import HELD
from ums.core.deliveries import soft_bounces, suppressions, transitions
from ums.core.deliveries.suppressions import Refusal
from ums.core.tables.states import DeliveryState, OnUnknown, sql_list
from ums.core.webhooks import outbox
from ums.db import Statement, Tx, rows_json
from ums.mail.outcomes import Stage, Verdict
from ums.mail.reply_classifier import HARD, SOFT

FIRST_STEP = 75 * clock.SECOND  # reliability.md 4.2
CLAIMING = 7_726_193_345
"""Lock that claims take shared and that the halt of a message takes exclusively."""

_READY = Statement(
    "SELECT s.id, p.priority FROM senders s"
    " CROSS JOIN (SELECT 1 AS priority UNION ALL SELECT 2 UNION ALL SELECT 3) p"
    " WHERE s.open AND (s.cooldown_until IS NULL OR s.cooldown_until <= :at)"
    # The sender's caps (core.senders.quota_ledger).
    " AND COALESCE(CASE p.priority WHEN 1 THEN s.urgent_cap_reached_until"
    " ELSE s.cap_reached_until END, 0)"
    " <= :at"
    # No delivery is claimed until a restored backup is confirmed (core.maintenance.restore_guard).
    f" AND NOT EXISTS (SELECT 1 FROM meta WHERE name = '{HELD}')"
    " AND EXISTS (SELECT 1 FROM deliveries d WHERE d.sender_id = s.id"
    " AND d.priority = p.priority AND d.state IN ('queued', 'deferred') AND d.due_at <= :at)"
    " ORDER BY p.priority, s.id"
)
_CLAIM = transitions.CLAIM.statement(
    "WITH due AS MATERIALIZED (SELECT id FROM deliveries WHERE sender_id = :sender"
    " AND priority = :priority AND state IN ($from) AND due_at <= :at"
    # What was halted a moment ago and is not parked yet; the table is as good as empty.
    " AND message_id NOT IN (SELECT message_id FROM pending_halts WHERE kind <> 'resumed')"
    " ORDER BY due_at, id LIMIT :limit $skip_locked)"
    " UPDATE deliveries SET state = $to, owner = :owner, epoch = epoch + 1,"
    " updated_at = :at FROM due WHERE deliveries.id = due.id"
    " RETURNING deliveries.id, deliveries.message_id, deliveries.address, deliveries.epoch,"
    " deliveries.counted_tries, deliveries.tries, deliveries.unknown_count, deliveries.userid,"
    " deliveries.variables"
)
_INTEND = transitions.INTEND.statement(
    "UPDATE deliveries SET state = $to, updated_at = :at"
    " FROM $rows(r: id bigint, epoch int) WHERE deliveries.id = r.id"
    " AND deliveries.epoch = r.epoch AND deliveries.owner = :owner"
    " AND deliveries.state IN ($from) RETURNING deliveries.id, deliveries.epoch"
)
_RECORD = transitions.RECORD.statement(
    "UPDATE deliveries SET state = r.state, reason = r.reason, due_at = r.due_at,"
    " counted_tries = r.counted_tries, tries = r.tries, unknown_count = r.unknown_count,"
    " owner = NULL, updated_at = :at"
    " FROM $rows(r: id bigint, epoch int, state text, reason text, due_at bigint,"
    " counted_tries smallint, tries smallint, unknown_count smallint)"
    " WHERE deliveries.id = r.id AND deliveries.epoch = r.epoch AND $among(deliveries.id, r)"
    " AND ((deliveries.owner = :owner AND deliveries.state IN ($from))"
    # A reply that came after the row was given up tells the truth after all; a row that somebody
    # claimed since has another epoch.
    " OR (deliveries.owner IS NULL AND deliveries.reason = 'unknown_outcome'"
    f" AND deliveries.state IN ({sql_list(transitions.RECORD_LATE.sources)})"
    f" AND r.state IN ({sql_list(transitions.RECORD_LATE.targets)})))"
    " RETURNING deliveries.id, deliveries.epoch"
)
_ATTEMPT = Statement(
    "INSERT INTO attempts (delivery_id, number, sender_id, started_at, duration_ms, stage, verdict,"
    " reason, code, enhanced, reply) SELECT delivery_id, number, sender_id, started_at,"
    " duration_ms, stage, verdict, reason, code, enhanced, reply FROM $rows(r: delivery_id bigint,"
    " number smallint, sender_id bigint, started_at bigint, duration_ms int, stage text,"
    " verdict text, reason text, code smallint, enhanced text, reply text)"
)
_RELEASE = transitions.RELEASE.statement(
    "UPDATE deliveries SET state = $to,"
    " owner = NULL, updated_at = :at FROM $rows(r: id bigint, epoch int)"
    " WHERE deliveries.id = r.id AND deliveries.epoch = r.epoch"
    " AND deliveries.owner = :owner AND deliveries.state IN ($from)"
)
_HELD = Statement(
    "SELECT id, epoch FROM deliveries WHERE owner = :owner AND state IN ('claimed', 'at_dot')"
)
_DISOWN = Statement(
    "UPDATE deliveries SET owner = '' FROM $rows(r: id bigint, epoch int)"
    " WHERE deliveries.id = r.id AND deliveries.epoch = r.epoch"
    " AND deliveries.owner = :owner AND deliveries.state IN ('claimed', 'at_dot')"
)
_BEAT = Statement(
    "INSERT INTO workers (owner, started_at, lease_until) VALUES (:owner, :now, $now + :lease)"
    " ON CONFLICT (owner) DO UPDATE SET lease_until = $now + :lease"
)
_DEAD = Statement(
    "SELECT owner FROM workers WHERE (lease_until <= $now OR :everyone) AND owner <> :owner"
    # And whoever holds rows without being a worker: a claim may commit after its worker's burial.
    " UNION SELECT owner FROM deliveries WHERE state IN ('claimed', 'at_dot')"
    " AND owner <> :owner AND owner NOT IN (SELECT owner FROM workers)"
)
_FREE = transitions.RECOVER.statement(
    "UPDATE deliveries SET state = $to,"
    " owner = NULL, updated_at = :at WHERE owner = :dead AND state IN ($from)"
)
_DOUBTFUL = Statement(
    "SELECT d.id, d.sender_id, d.tries, d.unknown_count, d.updated_at, m.on_unknown, m.expires_at"
    " FROM deliveries d JOIN messages m ON m.id = d.message_id"
    " WHERE d.owner = :dead AND d.state = 'at_dot' LIMIT 5000 $lock(d)"
)
_DECIDE = transitions.DECIDE.statement(
    "UPDATE deliveries SET state = r.state, reason = 'unknown_outcome', owner = NULL,"
    " due_at = r.due_at, unknown_count = r.unknown_count, tries = r.tries,"
    " counted_tries = counted_tries + 1,"
    " updated_at = :at FROM $rows(r: id bigint, state text, due_at bigint, unknown_count smallint,"
    " tries smallint) WHERE deliveries.id = r.id AND deliveries.state IN ($from)"
)
_RETIRE = Statement("DELETE FROM workers WHERE owner = :dead")
_EXPIRE = transitions.EXPIRE.statement(
    "UPDATE deliveries SET state = $to, reason = CASE WHEN reason = '' THEN 'expired'"
    " ELSE reason END, updated_at = :at WHERE state IN ($from)"
    " AND message_id IN"
    " (SELECT id FROM messages WHERE expires_at <= :at AND expires_at > :since"
    " AND callback_id IS NULL)"
)
_EXPIRED_TOLD = Statement(
    "SELECT m.id FROM messages m WHERE m.expires_at <= :at AND m.expires_at > :since"
    " AND m.callback_id IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.message_id = m.id AND d.state IN ('queued', 'deferred', 'paused')) ORDER BY m.id"
)
_EXPIRE_TOLD = transitions.EXPIRE.statement(
    "UPDATE deliveries SET state = $to, reason = CASE WHEN reason = '' THEN 'expired'"
    " ELSE reason END, updated_at = :at WHERE state IN ($from) AND id IN"
    " (SELECT id FROM deliveries WHERE message_id = :message"
    " AND state IN ($from) LIMIT 5000) RETURNING id"
)


Name = tuple[int, int]
"""(id, epoch): of one claim. An id alone would name a delivery that was taken from a worker and
that it claimed again, and both of its claims would be answered as one."""


class Claimed(Struct):
    """A delivery this worker may send."""

    id: int
    message_id: int
    address: str
    epoch: int
    counted_tries: int
    tries: int
    unknown_count: int
    userid: str = ""
    variables: str | None = None  # JSON: its own, for a template
    attributes: dict[str, Any] = {}  # its user's, where its message needs them


class Attempt(Struct):
    """What is recorded of one try."""

    sender_id: int
    started_at: int
    duration_ms: int
    stage: str
    verdict: str
    reason: str
    code: int = 0
    enhanced: str = ""
    reply: str = ""


NOT_TRIED = Attempt(0, 0, 0, "", "", "")


class Result(Struct):
    """A delivery's new state, and the attempt that led to it (none when it was not tried)."""

    id: int
    epoch: int
    state: DeliveryState
    reason: str
    due_at: int
    counted_tries: int
    tries: int
    unknown_count: int
    attempt: Attempt | None
    event_mask: int = 0  # its message's


async def ready(tx: Tx) -> list[tuple[int, int]]:
    """(sender, priority) of every queue that has something due and a sender that may send it."""
    return [(row[0], row[1]) for row in await tx.rows(_READY, {"at": clock.now()})]


async def claim(tx: Tx, owner: str, sender: int, priority: int, limit: int) -> list[Claimed]:
    """Take up to `limit` due deliveries, the longest due first."""
    params = {"owner": owner, "sender": sender, "priority": priority, "limit": limit}
    # In a statement before the claim's own, which then sees every halt that is committed.
    await tx.share(CLAIMING)
    rows = await tx.rows(_CLAIM, {**params, "at": clock.now()})
    return sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.id)


async def intend(tx: Tx, owner: str, rows: Sequence[Name]) -> set[Name]:
    """Write down that these are about to get their dot; those that may."""
    params = {"r": rows_json(rows), "owner": owner, "at": clock.now()}
    return {(row[0], row[1]) for row in await tx.rows(_INTEND, params)}


async def record(tx: Tx, owner: str, results: Sequence[Result]) -> set[Name]:
    """Store verdicts with their attempts; those whose rows were still this worker's."""
    params = {"r": rows_json(_state(r) for r in results), "owner": owner, "at": clock.now()}
    names = {(row[0], row[1]) for row in await tx.rows(_RECORD, params)}
    stored = [r for r in results if (r.id, r.epoch) in names]
    tried = [r for r in stored if r.attempt is not None]
    if tried:
        await tx.run(_ATTEMPT, {"r": rows_json(_attempt(r) for r in tried)})
    told = [(r.id, r.state) for r in stored if r.event_mask]
    if told:
        await outbox.note_states(tx, told)
    await _learn(tx, tried)
    return names


async def _learn(tx: Tx, tried: Sequence[Result]) -> None:
    """What verdicts say of addresses; one that is taken after all is nobody's refusal any more."""
    ended = [r for r in tried if r.state in (DeliveryState.FAILED, DeliveryState.EXPIRED)]
    full = [r.id for r in ended if r.reason in SOFT]
    gone = await soft_bounces.count(tx, full) if full else set[int]()
    gone |= {r.id for r in ended if r.state == DeliveryState.FAILED and r.reason in HARD}
    if gone:
        refused = [r for r in ended if r.id in gone]
        given = [Refusal(r.id, r.reason, r.attempt.reply if r.attempt else "") for r in refused]
        await suppressions.learn(tx, given)
    again = [r.id for r in tried if r.state == DeliveryState.SENT and r.tries > 1]
    if again:
        await suppressions.forgive(tx, again)


def _state(r: Result) -> tuple[object, ...]:
    return (r.id, r.epoch, r.state, r.reason, r.due_at, r.counted_tries, r.tries, r.unknown_count)


def _attempt(r: Result) -> tuple[object, ...]:
    a = r.attempt or NOT_TRIED
    head = (r.id, r.tries, a.sender_id, a.started_at, a.duration_ms)
    return (*head, a.stage, a.verdict, a.reason, a.code, a.enhanced, a.reply)


async def release(tx: Tx, owner: str, rows: Iterable[Name]) -> None:
    """Give (id, epoch) back; nothing is charged. Only for what certainly got no dot, though its
    intent may be written already."""
    await tx.run(_RELEASE, {"r": rows_json(rows), "owner": owner, "at": clock.now()})


async def held(tx: Tx, owner: str) -> list[Name]:
    """All that is written as this worker's."""
    return [(row.id, row.epoch) for row in await tx.rows(_HELD, {"owner": owner})]


async def disown(tx: Tx, owner: str, rows: Sequence[Name], pause: int) -> None:
    """Give up (id, epoch), of which this worker no longer knows how far it came with them: they
    go by what is written, as those of a dead worker do."""
    await tx.run(_DISOWN, {"r": rows_json(rows), "owner": owner})
    await bury(tx, "", pause)


async def beat(tx: Tx, owner: str, lease: int) -> None:
    """Stay alive for another `lease` ms."""
    await tx.run(_BEAT, {"owner": owner, "lease": lease, "now": clock.now()})


async def recover(tx: Tx, owner: str, *, everyone: bool = False, pause: int = FIRST_STEP) -> int:
    """Take back what dead workers held: unsent rows return to the queue, those at the dot go by
    their message's policy (I4), no sooner than after `pause` ms. `everyone`: all workers but
    `owner` are known to be dead. The number of workers buried."""
    params = {"owner": owner, "now": clock.now(), "everyone": everyone}
    dead = await tx.rows(_DEAD, params)
    for row in dead:
        await bury(tx, row.owner, pause)
    return len(dead)


async def bury(tx: Tx, dead: str, pause: int = FIRST_STEP) -> None:
    at = clock.now()
    await tx.run(_FREE, {"dead": dead, "at": at})
    doubtful = await tx.rows(_DOUBTFUL, {"dead": dead})
    if doubtful:
        decided = [(row, *_decide(row, at, at + pause)) for row in doubtful]
        rows = [
            (r.id, state, due, unknown_count, r.tries + 1)
            for r, state, due, unknown_count in decided
        ]
        await tx.run(_DECIDE, {"r": rows_json(rows), "at": at})
        await tx.run(_ATTEMPT, {"r": rows_json(_lost(r) for r in doubtful)})
        return  # the rest, if any, and the worker's own row at the next call
    await tx.run(_RETIRE, {"dead": dead})


def in_doubt(on_unknown: str, unknown_count: int, due: int, expires_at: int) -> bool:
    """Whether a delivery of unknown outcome is sent again: once, and only by policy `resend`."""
    return on_unknown == OnUnknown.RESEND and unknown_count == 0 and due < expires_at


def _decide(row: Any, at: int, due: int) -> tuple[DeliveryState, int, int]:
    if in_doubt(row.on_unknown, row.unknown_count, due, row.expires_at):
        return DeliveryState.DEFERRED, due, 1
    return DeliveryState.UNKNOWN, at, row.unknown_count


def _lost(row: Any) -> tuple[object, ...]:
    text = "the worker ended between the mail's end and the server's reply"
    head = (row.id, row.tries + 1, row.sender_id, row.updated_at, 0)
    return (*head, Stage.DOT, Verdict.UNKNOWN, "unknown_outcome", 0, "", text)


async def expire(tx: Tx, since: int) -> int:
    """End what waits although its message's lifetime is over; messages that ended before
    `since` were seen to earlier."""
    window = {"at": clock.now(), "since": since}
    count = (await tx.run(_EXPIRE, window)).count
    for message in await tx.rows(_EXPIRED_TOLD, window):
        count += await _expire_told(tx, message.id, window["at"])
    return count


async def _expire_told(tx: Tx, message: int, at: int) -> int:
    """What a worker claims meanwhile expires in its hands; the rest in the next round."""
    count = 0
    while rows := await tx.rows(_EXPIRE_TOLD, {"message": message, "at": at}):
        await outbox.note_states(tx, [(row.id, DeliveryState.EXPIRED) for row in rows])
        count += len(rows)
    return count
