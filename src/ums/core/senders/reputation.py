"""How a sender stands with the servers it writes to: what became of its last mails.

Too many addresses that do not exist, or too many mails of which nobody knows whether they arrived,
cost an account its name (reliability.md 4.4). Then it is slowed down, or sends nothing to several
people any more until an operator says so; urgent and single mails still go.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, structs
from sqlalchemy import delete, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.tables import sender_outcomes, senders
from ums.db import Statement, Tx, rows_json

WINDOW: Final = 1000  # the mails that count ...
LEAST: Final = 200  # ... once there are so many
WARN: Final = 0.05  # of them to addresses that do not exist: it is told
STOP: Final = 0.10  # nothing goes to several people any more
COMPLAINTS: Final = 0.001  # of a whole window: it is told
COMPLAINTS_STOP: Final = 0.005
DOUBT_WINDOW: Final = 200
DOUBTS: Final = 0.05  # of which nobody knows whether they arrived: one session
SLOW: Final = 15 * clock.MINUTE
SLOT: Final = 10 * clock.SECOND

_NEWEST = select(sender_outcomes).order_by(sender_outcomes.c.slot.desc())
_COUNT = Statement(
    "INSERT INTO sender_outcomes (sender_id, slot, total, bounced, unknown, complained)"
    " SELECT r.sender, CAST(:slot AS bigint), r.total, r.bounced, r.unknown,"
    " r.complained"
    " FROM $rows(r: sender bigint, total int, bounced int, unknown int,"
    " complained int) WHERE true"
    " ON CONFLICT (sender_id, slot) DO UPDATE SET total = sender_outcomes.total + excluded.total,"
    " bounced = sender_outcomes.bounced + excluded.bounced,"
    " unknown = sender_outcomes.unknown + excluded.unknown,"
    " complained = sender_outcomes.complained + excluded.complained"
)


class Count(Struct):
    """Of some mails of a sender: those with a verdict, and of these the three bad kinds."""

    total: int = 0
    bounced: int = 0
    unknown: int = 0
    complained: int = 0

    def add(self, other: "Count") -> None:
        self.total += other.total
        self.bounced += other.bounced
        self.unknown += other.unknown
        self.complained += other.complained

    @property
    def bounce_rate(self) -> float:
        """The part that went to addresses that do not exist; 0 while too few are counted."""
        return self.bounced / self.total if self.total >= LEAST else 0.0

    @property
    def verdict(self) -> Literal["good", "warn", "stop"]:
        """By addresses that do not exist, and by complaints: so many of a whole window, as one
        alone says little of a few mails."""
        complaints = self.complained / max(self.total, WINDOW)
        if self.bounce_rate >= STOP or complaints >= COMPLAINTS_STOP:
            return "stop"
        warned = self.bounce_rate >= WARN or complaints >= COMPLAINTS
        return "warn" if warned else "good"


class Reputation(Struct, frozen=True):
    """What became of a sender's last mails, up to about 1,000."""

    mails: Annotated[int, Meta(description="Those of which the end is known, or in doubt.")]
    bounced: Annotated[int, Meta(description="Those to addresses that do not exist.")]
    unknown: Annotated[int, Meta(description="Those of which nobody knows if they arrived.")]
    complained: Annotated[int, Meta(description="Those that somebody called spam.")]
    verdict: Annotated[
        Literal["good", "warn", "stop"],
        Meta(
            description="`warn` from 5 % of 200 mails or more that bounced, or one complaint in"
            " 1,000; `stop` from 10 %, or 5 in 1,000."
        ),
    ]


async def note(system: AppContext, counts: Mapping[int, Count]) -> None:
    """Add what became of mails, by sender, and draw the consequences. Raises Unavailable.

    The engine pauses what a stopped sender would send to several people (`auto_pause`).
    """
    slot = clock.now() // SLOT * SLOT
    rows = [(id, *structs.astuple(one)) for id, one in sorted(counts.items())]
    async with system.database.write() as tx:
        await tx.run(_COUNT, {"r": rows_json(rows), "slot": slot})
        stopped = [sender for sender in sorted(counts) if await _judge(tx, sender)]
    if stopped:
        system.directory.forget()
        system.wake.set()


async def _judge(tx: Tx, sender: int) -> bool:
    """Slow or stop the sender where its last mails ask for it; whether it was stopped now."""
    rows = await _slots(tx, sender)
    wide, last = last_of(rows, WINDOW), last_of(rows, DOUBT_WINDOW)
    columns = (senders.c.code, senders.c.throttled_until, senders.c.suspended_at)
    row = await tx.first(select(*columns).where(senders.c.id == sender))
    if row is None:
        return False
    mine, now = update(senders).where(senders.c.id == sender), clock.now()
    # So many of a whole window, as the first few mails of a sender may all be in doubt.
    slow = last.unknown > max(last.total, DOUBT_WINDOW) * DOUBTS
    if slow and (row.throttled_until or 0) <= now:
        await tx.run(mine.values(throttled_until=now + SLOW))
        await audit_log.note(
            tx,
            "sender.slow",
            row.code,
            _told(last.unknown, last.total),
            before={"slow_until": None},
            after={"slow_until": clock.iso(now + SLOW)},
            actor=audit_log.ENGINE,
        )
        await touch(tx)
    if wide.verdict != "stop" or row.suspended_at is not None:
        return False
    await tx.run(mine.values(suspended_at=now))
    before, after, by = {"stopped": False}, {"stopped": True}, audit_log.ENGINE
    await audit_log.note(
        tx, "sender.stop", row.code, _why(wide), before=before, after=after, actor=by
    )
    await touch(tx)
    return True


def _why(last: Count) -> str:
    if last.bounce_rate >= STOP:
        return _told(last.bounced, last.total)
    return f"{last.complained} complaints about {last.total} mails"


def _told(bad: int, total: int) -> str:
    return f"{bad} of {total} mails"


async def _slots(tx: Tx, sender: int) -> list[Any]:
    """What counts, the newest first; what is older than the window is dropped."""
    kept: list[Any] = []
    total = 0
    for row in await tx.rows(_NEWEST.where(sender_outcomes.c.sender_id == sender)):
        if total >= WINDOW:
            over = (sender_outcomes.c.sender_id == sender) & (sender_outcomes.c.slot <= row.slot)
            await tx.run(delete(sender_outcomes).where(over))
            break
        kept.append(row)
        total += row.total
    return kept


def last_of(rows: Sequence[Any], window: int) -> Count:
    """The newest of these slots, as many as hold `window` mails."""
    found = Count()
    for row in rows:
        if found.total >= window:
            break
        found.add(Count(row.total, row.bounced, row.unknown, row.complained))
    return found


async def standings(system: AppContext) -> dict[str, Reputation]:
    """Of each sender, by its code, what became of its last mails."""
    query = select(senders.c.code, sender_outcomes).join(
        sender_outcomes, sender_outcomes.c.sender_id == senders.c.id
    )
    rows: dict[str, list[Any]] = {}
    async with system.database.read() as tx:
        for row in await tx.rows(query.order_by(sender_outcomes.c.slot.desc())):
            rows.setdefault(row.code, []).append(row)
    return {code: _standing(last_of(own, WINDOW)) for code, own in rows.items()}


async def standing_of(system: AppContext, code: str) -> Reputation:
    """Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        rows = await tx.rows(_NEWEST.where(sender_outcomes.c.sender_id == sender.id))
    return _standing(last_of(rows, WINDOW))


def _standing(last: Count) -> Reputation:
    return Reputation(last.total, last.bounced, last.unknown, last.complained, last.verdict)
