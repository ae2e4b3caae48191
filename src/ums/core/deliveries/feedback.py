"""What was found out about mails after they were handed over: they stand in the account's Sent
folder, or a letter about them came back (reliability.md 3.1 and 4.5).

Everything is applied once, whatever is read twice: a letter by its digest, and a mail in the Sent
folder by the delivery's state. Only a delivery in doubt becomes `sent`; one that is `sent`, or in
doubt, becomes `failed`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import delete

from ums import clock
from ums.core.audit import audit_log
from ums.core.deliveries import soft_bounces, suppressions, transitions
from ums.core.deliveries.suppressions import COMPLAINT, Refusal
from ums.core.senders.reputation import Count
from ums.core.tables import feedback_reports
from ums.core.tables.messages import IN_DOUBT
from ums.core.tables.states import EventType
from ums.core.webhooks import outbox
from ums.db import Statement, Tx, rows_json
from ums.mail import bounce_parser
from ums.mail.bounce_parser import InboundReport
from ums.mail.outcomes import Reply, Stage, Verdict
from ums.mail.reply_classifier import HARD, SOFT

OLDEST: Final = 30 * clock.DAY  # deliveries whose reports are believed
KEPT: Final = 60 * clock.DAY  # digests
SEEN: Final = "in_sent_folder"
_TOLD: Final = {"delivered": "reported_delivered", "delayed": "reported_delayed"}
ANSWERED: Final = "answered"

_NEW = Statement(
    "INSERT INTO feedback_reports (delivery_id, digest, at)"
    " SELECT r.id, r.digest, CAST(:at AS bigint) FROM $rows(r: id bigint, digest text)"
    " JOIN deliveries d ON d.id = r.id AND $among(d.id, r) AND d.created_at > :since WHERE true"
    " ON CONFLICT (delivery_id, digest) DO NOTHING RETURNING delivery_id, digest"
)
_CHANGED = (
    " RETURNING deliveries.id, deliveries.message_id, deliveries.sender_id, deliveries.tries,"
    " deliveries.reason"
)
_ARRIVED = transitions.CONFIRM.statement(
    "UPDATE deliveries SET state = $to, reason = '', tries = tries + 1, updated_at = :at"
    " FROM $rows(r: id bigint) WHERE deliveries.id = r.id AND $among(deliveries.id, r)"
    f" AND deliveries.owner IS NULL AND {IN_DOUBT} AND deliveries.state IN ($from){_CHANGED}"
)
_RETURNED = transitions.BOUNCE.statement(
    "UPDATE deliveries SET state = $to, reason = r.why, tries = tries + 1, updated_at = :at"
    " FROM $rows(r: id bigint, why text) WHERE deliveries.id = r.id"
    " AND $among(deliveries.id, r) AND deliveries.owner IS NULL"
    f" AND (deliveries.state = 'sent' OR ({IN_DOUBT})) AND deliveries.state IN ($from){_CHANGED}"
)
_SENDER = Statement(
    "SELECT d.id, d.sender_id FROM deliveries d JOIN $rows(r: id bigint) ON d.id = r.id"
)
_ATTEMPT = Statement(
    "INSERT INTO attempts (delivery_id, number, sender_id, started_at, duration_ms, stage, verdict,"
    " reason, code, enhanced, reply) SELECT r.id, r.number, r.sender, CAST(:at AS bigint), 0,"
    f" '{Stage.AFTER}', r.verdict, r.reason, r.code, r.enhanced, r.reply FROM $rows(r: id bigint,"
    " number smallint, sender bigint, verdict text, reason text, code smallint, enhanced text,"
    " reply text)"
)
_MSGID = Statement("SELECT m.id, m.msgid FROM messages m JOIN $rows(r: id bigint) ON m.id = r.id")


class Changes(Struct):
    """What became of some evidence."""

    arrived: int = 0  # deliveries in doubt that are `sent` now
    bounced: int = 0  # deliveries that failed after all
    complained: int = 0
    counts: dict[int, Count] = {}  # by sender, for its standing


async def in_sent_folder(tx: Tx, ids: Iterable[int]) -> int:
    """The mails of these deliveries stand in the account's Sent folder: its server took them. How
    many of them had been in doubt."""
    return await _arrived(tx, dict.fromkeys(ids, SEEN), "in the Sent folder")


async def take(tx: Tx, given: Sequence[tuple[int, InboundReport]]) -> Changes:
    """Apply letters about these deliveries (ids), whose Message-IDs have been checked."""
    kinds: dict[str, dict[int, InboundReport]] = defaultdict(dict)
    for id, letter in await _new(tx, given):
        kinds[letter.kind][id] = letter
    bounced = await _returned(tx, kinds["failed"])
    complaints = await _complained(tx, list(kinds["complaint"]))
    came = {id: _TOLD.get(kind, ANSWERED) for kind in _PROVES for id in kinds[kind]}
    arrived = await _arrived(tx, came, "by a letter that came back")
    counts: dict[int, Count] = {}
    for row in bounced:
        counts.setdefault(row.sender_id, Count()).bounced += row.reason in HARD
    for sender in complaints:
        counts.setdefault(sender, Count()).complained += 1
    return Changes(arrived, len(bounced), len(complaints), counts)


_PROVES: Final = ("complaint", "delayed", "delivered", "answered")
"""Kinds of letters that nobody writes about a mail that was not taken."""


async def forget(tx: Tx) -> None:
    """Drop the digests of letters that are too old to count again."""
    await tx.run(delete(feedback_reports).where(feedback_reports.c.at <= clock.now() - KEPT))


async def _new(
    tx: Tx, given: Sequence[tuple[int, InboundReport]]
) -> list[tuple[int, InboundReport]]:
    by_key = {(id, letter.digest): letter for id, letter in given}
    if not by_key:
        return []
    at = clock.now()
    params = {"r": rows_json(sorted(by_key)), "at": at, "since": at - OLDEST}
    fresh = await tx.rows(_NEW, params)
    return [(row[0], by_key[row[0], row[1]]) for row in fresh]


async def _arrived(tx: Tx, reasons: dict[int, str], how: str) -> int:
    if not reasons:
        return 0
    params = {"r": rows_json((id,) for id in sorted(reasons)), "at": clock.now()}
    rows = await tx.rows(_ARRIVED, params)
    await _write(tx, [(row, Verdict.SENT, reasons[row.id], _NO_REPLY) for row in rows])
    await outbox.note(tx, [(row.id, EventType.SUBMITTED) for row in rows])
    await _audit(tx, rows, "arrived", how)
    return len(rows)


async def _returned(tx: Tx, letters: dict[int, InboundReport]) -> list[Any]:
    outcomes = {id: bounce_parser.means(letter) for id, letter in letters.items()}
    if not outcomes:
        return []
    given = [(id, outcome.reason) for id, outcome in sorted(outcomes.items())]
    rows = await tx.rows(_RETURNED, {"r": rows_json(given), "at": clock.now()})
    told = [(row, Verdict.REFUSED, row.reason, letters[row.id].reply) for row in rows]
    await _write(tx, told)
    await outbox.note(tx, [(row.id, EventType.DELIVERY_FAILED) for row in rows])
    await _audit(tx, rows, "did not arrive", "came back")
    full = [row.id for row in rows if row.reason in SOFT]
    gone = await soft_bounces.count(tx, full) if full else set[int]()
    gone |= {row.id for row in rows if row.reason in HARD}
    refused = [Refusal(r.id, r.reason, letters[r.id].reply.text) for r in rows if r.id in gone]
    if refused:
        await suppressions.learn(tx, refused)
    return list(rows)


async def _complained(tx: Tx, ids: Sequence[int]) -> list[int]:
    """Suppress their addresses; the senders that are complained about."""
    if not ids:
        return []
    await suppressions.learn(tx, [Refusal(id, COMPLAINT, "") for id in ids])
    rows = await tx.rows(_SENDER, {"r": rows_json((id,) for id in ids)})
    return [row.sender_id for row in rows]


_NO_REPLY: Final = Reply(0, "", "")


async def _write(tx: Tx, found: Sequence[tuple[Any, Verdict, str, Reply]]) -> None:
    """One more line in each delivery's attempts."""
    if not found:
        return
    lines = [
        (row.id, row.tries, row.sender_id, verdict, reason, reply.code, reply.enhanced, words)
        for row, verdict, reason, reply in found
        for words in (reply.text.replace("\x00", "")[:1000],)
    ]
    await tx.run(_ATTEMPT, {"r": rows_json(lines), "at": clock.now()})


async def _audit(tx: Tx, rows: Sequence[Any], word: str, how: str) -> None:
    counts = Counter(row.message_id for row in rows)
    if counts:
        names = await tx.rows(_MSGID, {"r": rows_json((id,) for id in counts)})
        for row in sorted(names):
            count = counts[row.id]
            await audit_log.note(
                tx,
                "message.resolve",
                row.msgid,
                f"{count} {word} ({how})",
                before={"unknown": count},
                after={word: count},
                actor=audit_log.ENGINE,
            )
