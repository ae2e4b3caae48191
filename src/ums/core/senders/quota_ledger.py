"""What a sender sends against its caps (`mail.send_limits`), counted in the database, so that any
number of workers together stay within them.

A worker takes what it is about to send before it sends it, a few mails at a time: each counts from
then on. What it did not send after all it gives back; what it took when it was killed stays
counted, so a crash can only make a sender slower.

Of each cap a share is kept for urgent mail: other mail stops earlier.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import senders
from ums.db import Statement, Tx, rows_json, to_json
from ums.errors import Invalid
from ums.mail.send_limits import SendLimit

UNSPENT: dict[str, Any] = {"cap_reached_until": None, "urgent_cap_reached_until": None}
PATIENCE = 2 * clock.SECOND  # what is free again within this is waited for
MOST_CAPS = 12  # of one sender
MOST_KEPT = 90  # % for urgent mail

_USED = Statement(
    "SELECT c.cap, sum(s.used) AS used, min(s.window_start) AS first"
    " FROM $rows(c: cap text, since bigint) JOIN cap_usage s ON s.cap = c.cap"
    " AND s.window_start >= c.since WHERE s.sender_id = :sender AND s.used > 0 GROUP BY c.cap"
)
_COUNT = Statement(
    "INSERT INTO cap_usage (sender_id, cap, window_start, used)"
    " SELECT CAST(:sender AS bigint), r.cap, r.start, r.used"
    " FROM $rows(r: cap text, start bigint, used int) WHERE true"
    " ON CONFLICT (sender_id, cap, window_start) DO UPDATE"
    " SET used = cap_usage.used + excluded.used"
)
_WAITING = Statement(
    "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE sender_id = :sender"
    " AND state IN ('queued', 'deferred') LIMIT :most) AS waiting"
)
_FORGET = Statement(
    "DELETE FROM cap_usage WHERE sender_id = :sender AND EXISTS (SELECT 1 FROM"
    " $rows(c: cap text, since bigint) WHERE c.cap = cap_usage.cap"
    " AND cap_usage.window_start < c.since)"
)


class Reservation(Struct, frozen=True):
    """What may be sent now."""

    count: int
    good_until: int  # ms; what is not sent by then has to be given back
    slots: tuple[tuple[str, int], ...]  # where it is counted
    free_at: int | None = None  # when there is more, where `count` is 0


def columns(given: Sequence[SendLimit] | None, share: int | None) -> dict[str, Any]:
    """The columns of a sender that this changes; None leaves one as it is. New caps count from
    what was sent already. Raises Invalid."""
    values: dict[str, Any] = {}
    if given is not None:
        _check(given)
        values |= {"caps": to_json(list(given)), **UNSPENT}
    if share is not None:
        if not 0 <= share <= MOST_KEPT:
            raise Invalid("urgent_reserve_percent", field="urgent_reserve_percent", limit=MOST_KEPT)
        values |= {"urgent_reserve_percent": share, **UNSPENT}
    return values


def _check(given: Sequence[SendLimit]) -> None:
    if len(given) > MOST_CAPS:
        raise Invalid("caps_many", field="caps", limit=MOST_CAPS)
    if len({cap.key for cap in given}) < len(given):
        raise Invalid("caps_twice", field="caps")
    for cap in given:
        check_cap(cap)


def check_cap(cap: SendLimit) -> None:
    """Raises Invalid for a time that nothing can be counted by."""
    if not cap.is_clock:
        raise Invalid("cap_reset", field="caps", reset=cap.reset[:60])
    if not cap.fits:
        raise Invalid("cap_seconds", field="caps", seconds=cap.seconds)


async def caps_of(system: AppContext, code: str) -> list["CapUse"]:
    """How far the sender's caps are used. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        return await report(tx, sender.id, sender.caps)


class CapUse(SendLimit, frozen=True, kw_only=True):
    """A cap, and how much of it is used."""

    used: int
    left: int
    reserved: Annotated[
        int,
        Meta(description="Of what is left, promised to mail that waits already: it goes first."),
    ]
    renews_at: Annotated[
        str | None, Meta(description="When some of it, or by the clock all of it, is free again.")
    ]


async def take(
    tx: Tx, sender: int, caps: Sequence[SendLimit], want: int, *, share: int, urgent: bool
) -> Reservation:
    """Count up to `want` mails of the sender's, as many as every cap has left. Where that is none
    for longer than one waits, it is written down for all workers."""
    # Two workers must not both take the last one.
    await tx.run(select(senders.c.id).where(senders.c.id == sender).with_for_update(key_share=True))
    now = clock.now()
    used = await _used(tx, sender, caps, now)
    lefts = _lefts(caps, used, share, urgent=urgent)
    count = max(0, min([want, *lefts]))
    if not count:
        spent = [cap for cap, left in zip(caps, lefts, strict=True) if left <= 0]
        free_at = max(cap.frees_at(used[cap.key][1]) for cap in spent)
        if free_at - now > PATIENCE:
            await _spent(tx, sender, free_at, urgent=urgent)
        return Reservation(0, now, (), free_at)
    slots = tuple((cap.key, cap.slot(now)) for cap in caps)
    rows = rows_json((key, start, count) for key, start in slots)
    await tx.run(_COUNT, {"sender": sender, "r": rows})
    # What a day came to is asked after its end (core.senders.warm_up).
    kept = {cap.key: cap.seconds * clock.SECOND if cap.reset else 0 for cap in caps}
    over = rows_json((cap.key, cap.since(now) - kept[cap.key]) for cap in caps)
    await tx.run(_FORGET, {"sender": sender, "c": over})
    ends = [cap.period(now)[1] for cap in caps if cap.reset]
    good_until = min([now + min(cap.hold for cap in caps), *ends])
    return Reservation(count, good_until, slots)


async def give_back(tx: Tx, sender: int, grant: Reservation, count: int) -> None:
    """So many of a grant were not sent; what waited for the next time may use them."""
    rows = rows_json((key, start, -count) for key, start in grant.slots)
    await tx.run(_COUNT, {"sender": sender, "r": rows})
    spent = (senders.c.id == sender) & senders.c.cap_reached_until.is_not(None)
    await tx.run(update(senders).where(spent).values(UNSPENT))


async def left(tx: Tx, sender: int, caps: Sequence[SendLimit], *, share: int, urgent: bool) -> int:
    """How many mails every cap has left at this moment; needs a cap."""
    used = await _used(tx, sender, caps, clock.now())
    return max(0, min(_lefts(caps, used, share, urgent=urgent)))


async def report(tx: Tx, sender: int, caps: Sequence[SendLimit]) -> list[CapUse]:
    """How far each cap is used."""
    now = clock.now()
    used = await _used(tx, sender, caps, now)
    lefts = [max(0, left) for left in _lefts(caps, used, 0, urgent=True)]
    most = {"sender": sender, "most": max(lefts, default=0)}
    waiting = int(await tx.value(_WAITING, most))
    found: list[CapUse] = []
    for cap, left in zip(caps, lefts, strict=True):
        count, first = used.get(cap.key, (0, 0))
        renews = cap.period(now)[1] if cap.reset else cap.frees_at(first) if count else None
        found.append(
            CapUse(
                count=cap.count,
                seconds=cap.seconds,
                of=cap.of,
                reset=cap.reset,
                used=count,
                left=left,
                reserved=min(left, waiting),
                renews_at=clock.iso_or_none(renews),
            )
        )
    return found


async def through_at(tx: Tx, sender: int, caps: Sequence[SendLimit], share: int, mails: int) -> int:
    """The moment (ms) by which the caps let so many of the sender's next mails through."""
    now = clock.now()
    used = await _used(tx, sender, caps, now)
    return max([now, *(_through(cap, used.get(cap.key), share, mails, now) for cap in caps)])


def _through(cap: SendLimit, used: tuple[int, int] | None, share: int, mails: int, now: int) -> int:
    limit = _limit(cap, share, urgent=False)
    count, _ = used or (0, 0)
    rest = mails - max(0, limit - count)
    if rest <= 0:
        return now
    times = -(-rest // limit)  # begun ones count: the last mail goes in the last of them
    if not cap.reset:
        return now + times * cap.seconds * clock.SECOND
    at = now
    for _ in range(min(times, 1000)):
        at = cap.period(at)[1]
    return at


def _lefts(
    caps: Sequence[SendLimit], used: dict[str, tuple[int, int]], share: int, *, urgent: bool
) -> list[int]:
    """What each cap has left; below 0 where it was lowered since."""
    return [_limit(cap, share, urgent=urgent) - used.get(cap.key, (0, 0))[0] for cap in caps]


def _limit(cap: SendLimit, share: int, *, urgent: bool) -> int:
    """How much of a cap mail may use: all of it, or what is not kept for urgent mail."""
    return cap.count if urgent else max(1, cap.count - cap.count * share // 100)


async def _used(
    tx: Tx, sender: int, caps: Sequence[SendLimit], now: int
) -> dict[str, tuple[int, int]]:
    """Of each cap with something in it: how much, and its oldest slot."""
    bound: dict[str, Any] = {"sender": sender, "c": _since(caps, now)}
    return {row.cap: (int(row.used), int(row.first)) for row in await tx.rows(_USED, bound)}


def _since(caps: Sequence[SendLimit], now: int) -> str:
    return rows_json((cap.key, cap.since(now)) for cap in caps)


async def _spent(tx: Tx, sender: int, until: int, *, urgent: bool) -> None:
    values = {"cap_reached_until": until} | ({"urgent_cap_reached_until": until} if urgent else {})
    await tx.run(update(senders).where(senders.c.id == sender).values(values))
