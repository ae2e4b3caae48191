"""When a message will be through, and what keeps it: measured, not assumed."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from sqlalchemy import func, select, text

from ums import clock
from ums.core.channels import quiet_hours
from ums.core.common.metadata import is_held
from ums.core.context.directory import Channel, Snapshot
from ums.core.messages.requests import SendRequest
from ums.core.reporting.reports import MessageInfo
from ums.core.senders import quota_ledger, status
from ums.core.senders.status import SenderStatus
from ums.core.tables import attempts, deliveries, messages, senders, workers
from ums.core.tables.states import HELD, PENDING, DeliveryState, Priority
from ums.db import Tx
from ums.mail.send_limits import read as read_caps

RECENT = 1_000  # attempts of all messages that the pace is taken from
WINDOW = 2 * clock.MINUTE  # and no older ones
PAST = 5_000  # attempts that a sender's pace is taken from before a message is sent
# As the partial index of the queue says it.
_WAITING = text("deliveries.state IN ('queued', 'deferred')")
IDLE = 10 * clock.SECOND  # a longer pause between two of them is no work
MOST_WAITING = 100_000  # that are counted

Bottleneck = Literal[
    "restored",
    "engine",
    "sender_paused",
    "sender_cooldown",
    "quota",
    "quiet_hours",
    "retries",
    "queue",
    "server",
    "",
]


_BOTTLENECKS: Final[dict[SenderStatus, Bottleneck]] = {
    SenderStatus.PAUSED: "sender_paused",
    SenderStatus.COOLDOWN: "sender_cooldown",
    SenderStatus.WARM_UP_LIMIT: "quota",
    SenderStatus.CAP_REACHED: "quota",
}


class Forecast(Struct, frozen=True):
    """How a message that is on its way will go on."""

    left: Annotated[int, Meta(description="Recipients that are to be tried; retries apart.")]
    rate: Annotated[float, Meta(description="Tries a minute, of the last two minutes.")]
    finishes_at: Annotated[str | None, Meta(description="At this pace; null: nobody can tell.")]
    bottleneck: Annotated[Bottleneck, Meta(description="What it waits for the most.")]
    until: Annotated[str | None, Meta(description="When that is over, where it is known.")]


class Estimate(Struct, frozen=True):
    """How a message that is not sent yet would go."""

    waiting: int  # recipients before it at the same sender; MOST_WAITING: that or more
    rate: float  # tries a minute while the sender last was at work; 0: it has not been
    seconds: int | None  # from the start to the last try; None: nobody can tell
    bottleneck: Bottleneck
    until: str | None


async def estimate(
    tx: Tx, channel: Channel, sender: str, asked: SendRequest, recipients: int
) -> Estimate:
    """How `asked` would go to so many recipients by the channel's sender `sender`, a code, or by
    the channel's route where it names none."""
    now = clock.now()
    carriers = await _carriers(tx, channel, sender, named=bool(asked.instance))
    ids = [one.id for one in carriers]
    rate = sum([await _pace(tx, id) for id in ids])
    queue = (
        select(deliveries.c.id)
        .where(deliveries.c.sender_id.in_(ids), deliveries.c.priority <= asked.priority, _WAITING)
        .limit(MOST_WAITING)
    )
    waiting = int(await tx.value(select(func.count()).select_from(queue.subquery())))
    urgent = quiet_hours.is_urgent(priority=asked.priority, broadcast=recipients > 1)
    silent = None if urgent else quiet_hours.quiet_until(channel.rules, max(now, asked.starts_at))
    cause, until = await _held(tx, carriers, asked.priority, now) or ("", None)
    if not cause and not await _working(tx, now):
        cause = "engine"
    if not cause and silent is not None:
        cause, until = "quiet_hours", silent
    seconds = None
    if waiting < MOST_WAITING:
        through = (await _through(tx, carriers, waiting + recipients, now) - now) // clock.SECOND
        if rate:
            seconds = max(1, round((waiting + recipients) / rate * 60), through)
        elif through:
            seconds = through  # no pace is known, but it cannot be sooner
    return Estimate(waiting, round(rate, 1), seconds, cause, clock.iso_or_none(until))


async def _carriers(tx: Tx, channel: Channel | None, sender: str, *, named: bool) -> list[Any]:
    """The senders that may carry a message of the channel's, of which `sender` is the first."""
    route = () if named or channel is None else channel.route
    mine = senders.c.id.in_([leg.sender for leg in route]) if route else senders.c.code == sender
    return list(await tx.rows(select(senders).where(mine).order_by(senders.c.id)))


async def _through(tx: Tx, carriers: Sequence[Any], mails: int, now: int) -> int:
    """When the caps of these senders let so many through: those that wait have been promised
    first. What all of them have left goes at once, and each takes an equal part of the rest."""
    capped = [(row, read_caps(row.caps)) for row in carriers]
    if not capped or not all(caps for _, caps in capped):
        return now
    lefts = [
        await quota_ledger.left(tx, row.id, caps, share=row.urgent_reserve_percent, urgent=False)
        for row, caps in capped
    ]
    rest = max(0, mails - sum(lefts))
    if not rest:
        return now
    part = -(-rest // len(capped))
    times = [
        await quota_ledger.through_at(tx, row.id, caps, row.urgent_reserve_percent, have + part)
        for (row, caps), have in zip(capped, lefts, strict=True)
    ]
    return max(times)


async def _pace(tx: Tx, sender: int) -> float:
    """Tries a minute of the sender's, of the newest attempts of all; pauses are left out."""
    recent = (
        select(attempts.c.sender_id, attempts.c.started_at)
        .order_by(attempts.c.id.desc())
        .limit(PAST)
        .subquery()
    )
    mine = select(recent.c.started_at).where(recent.c.sender_id == sender)
    rows = await tx.rows(mine.order_by(recent.c.started_at))
    times = [int(row[0]) for row in rows]
    work = sum(gap for one, next in pairwise(times) if (gap := next - one) <= IDLE)
    return (len(times) - 1) * clock.MINUTE / max(work, clock.SECOND) if len(times) > 1 else 0.0


async def forecast(tx: Tx, snapshot: Snapshot, info: MessageInfo) -> Forecast | None:
    """None for a message that is not on its way."""
    if info.state not in ("accepted", "expanding", "sending"):
        return None
    now = clock.now()
    counts = info.counts
    waiting = sum(counts.get(state, 0) for state in (PENDING, DeliveryState.QUEUED, *HELD))
    rate = await _rate(tx, info.msgid, now)
    failover_allowed = await tx.value(
        select(messages.c.failover_allowed).where(messages.c.msgid == info.msgid)
    )
    channel = snapshot.channels.get(info.channelkey)
    carriers = await _carriers(tx, channel, info.sender, named=not failover_allowed)
    cause, until = await _bottleneck(
        tx, channel, info, carriers=carriers, left=waiting, rate=rate, now=now
    )
    end = None
    if waiting and rate and cause in ("server", "queue", "quota"):
        end = now + round(waiting / rate * clock.MINUTE)
        end = max(end, await _through(tx, carriers, waiting, now))
    return Forecast(
        waiting, round(rate, 1), clock.iso_or_none(end), cause, clock.iso_or_none(until)
    )


async def _rate(tx: Tx, msgid: str, now: int) -> float:
    """Tries a minute. Of the newest attempts of all messages, so that it costs the same however
    many there are."""
    recent = (
        select(attempts.c.delivery_id, attempts.c.started_at)
        .order_by(attempts.c.id.desc())
        .limit(RECENT)
        .subquery()
    )
    mine = (
        select(func.count(), func.min(recent.c.started_at))
        .select_from(recent)
        .join(deliveries, deliveries.c.id == recent.c.delivery_id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.msgid == msgid, recent.c.started_at > now - WINDOW)
    )
    row: Any = await tx.first(mine)
    if not row or not row[0]:
        return 0.0
    return row[0] * clock.MINUTE / max(clock.SECOND, now - row[1])


async def _bottleneck(
    tx: Tx,
    channel: Channel | None,
    info: MessageInfo,
    *,
    carriers: Sequence[Any],
    left: int,
    rate: float,
    now: int,
) -> tuple[Bottleneck, int | None]:
    if not await _working(tx, now):
        return "engine", None
    held = await _held(tx, carriers, info.priority, now)
    if held is not None:
        return held
    silent = _silent(channel, info, now)
    if silent is not None:
        return "quiet_hours", silent
    if not left and info.counts.get(DeliveryState.DEFERRED):
        return "retries", await _next_try(tx, info.msgid)
    if not left and info.state == "sending":
        return "", None
    return ("server" if rate else "queue"), None


async def _working(tx: Tx, now: int) -> bool:
    running = select(workers.c.owner).where(workers.c.lease_until > now)
    return await tx.first(running.limit(1)) is not None


async def _held(
    tx: Tx, carriers: Sequence[Any], priority: int, now: int
) -> tuple[Bottleneck, int | None] | None:
    """What keeps every one of these senders, and until when the first of them."""
    if await is_held(tx):
        return "restored", None
    found: list[tuple[Bottleneck, int | None]] = []
    for sender in carriers:
        held = await _sender_held(tx, sender, priority, now)
        if held is None:
            return None
        found.append(held)
    return min(found or [("sender_paused", None)], key=lambda held: held[1] or sys.maxsize)


async def _sender_held(
    tx: Tx, sender: Any, priority: int, now: int
) -> tuple[Bottleneck, int | None] | None:
    stop = status.stop_of(sender, urgent=priority == Priority.URGENT)
    if stop is not None:
        return _BOTTLENECKS[stop.status], stop.until
    if priority != Priority.URGENT and (through := await _through(tx, [sender], 1, now)) > now:
        return "quota", through
    return None


def _silent(channel: Channel | None, info: MessageInfo, now: int) -> int | None:
    if channel is None or quiet_hours.is_urgent(
        priority=info.priority, broadcast=info.audience > 1
    ):
        return None
    return quiet_hours.quiet_until(channel.rules, now)


async def _next_try(tx: Tx, msgid: str) -> int | None:
    mine = (messages.c.msgid == msgid) & (deliveries.c.state == DeliveryState.DEFERRED)
    joined = deliveries.join(messages, messages.c.id == deliveries.c.message_id)
    return await tx.value(select(func.min(deliveries.c.due_at)).select_from(joined).where(mine))
