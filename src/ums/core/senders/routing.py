"""Several senders of a channel: who carries its mail, and who takes over.

A channel's route is made of ranks. The mail of a rank is shared by weight among its senders; where
none of them can send, because they rest or a cap is reached, the next rank takes over. Mail that
names its sender goes by that one alone.

The expansion (expansion) gives each delivery its sender. `spill` moves what waits at one that
cannot send to one that can, but only where it is certain that no server has taken it: never what
is at the dot, unknown, or sent again after an unknown outcome (invariant I7), and not what a
receiver keeps waiting (greylisting), which wants to see the same sender again. The mail goes out
with the address of the sender that carries it, so SPF and DKIM of its provider stay true.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import structlog
from sqlalchemy import select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.context.directory import RouteEntry, Sender, Snapshot
from ums.core.senders import quota_ledger, status
from ums.core.tables import channel_senders
from ums.core.tables import senders as sender_table
from ums.core.tables.states import Priority
from ums.db import Statement, Tx
from ums.errors import Invalid, NotFound

MOST_RANK: Final = 9
MOST_WEIGHT: Final = 100
_BOUNDS: Final = {"rank": (0, MOST_RANK), "weight": (1, MOST_WEIGHT)}
AT_ONCE: Final = 2_000  # deliveries that wait at one sender before no more are moved to it
PATIENT: Final = 6  # charged tries after which a receiver that keeps waiting may see another sender
log = structlog.get_logger()

_STATES = select(sender_table)
_MOVE = Statement(
    "UPDATE deliveries SET sender_id = :heir, updated_at = :at FROM (SELECT d.id"
    " FROM deliveries d JOIN messages m ON m.id = d.message_id WHERE d.sender_id = :sender"
    " AND d.state IN ('queued', 'deferred') AND d.due_at <= :at AND d.priority >= :priority"
    " AND d.unknown_count = 0 AND (d.counted_tries = 0 OR d.counted_tries >= :patient)"
    " AND m.channel_id = :channel AND m.failover_allowed"
    " ORDER BY d.priority, d.due_at, d.id LIMIT :limit $lock(d)) AS moved"
    " WHERE deliveries.id = moved.id"
)
_WAITING = Statement(
    "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE sender_id = :sender"
    " AND state IN ('queued', 'deferred') AND due_at <= :at LIMIT :most) AS waiting"
)


async def set_leg(
    system: AppContext, key: str, code: str, *, rank: int | None = None, weight: int | None = None
) -> None:
    """Give a sender its place in the channel's route; rank 0 takes it out, None keeps what is
    there. Raises Invalid, and NotFound for a sender that the channel may not use."""
    check_number("rank", rank)
    check_number("weight", weight)
    wanted = {"rank": rank, "weight": weight}
    values = {name: given for name, given in wanted.items() if given is not None}
    if not values:
        return
    now = await system.directory.fresh()
    channel, sender = now.channels.get(key), now.sender_codes.get(code)
    if channel is None:
        raise NotFound("channel_unknown", key=key)
    if sender is None or sender.id not in channel.senders:
        raise NotFound("sender_unknown", code=code)
    links = channel_senders
    mine = (links.c.channel_id == channel.id) & (links.c.sender_id == sender.id)
    async with system.directory.change() as tx:
        row = await tx.first(select(links.c.rank, links.c.weight).where(mine).with_for_update())
        before = {} if row is None else {name: getattr(row, name) for name in values}
        await tx.run(update(links).where(mine).values(values))
        await audit_log.note(tx, "sender.route", code, key, before=before, after=values)


def check_number(name: Literal["rank", "weight"], given: int | None, field: str = "") -> None:
    """Raises Invalid, naming `field` where it is called otherwise; None is no number."""
    least, most = _BOUNDS[name]
    if given is not None and not least <= given <= most:
        raise Invalid("not_in_range", field=field or name, least=least, most=most)


async def spill(system: AppContext) -> bool:
    """Move what waits at senders that cannot send; False when nothing had to move."""
    now = await system.directory.now()
    routed = [channel for channel in now.channels.values() if len(channel.route) > 1]
    if not routed:
        return False
    legs = {leg.sender for channel in routed for leg in channel.route}
    async with system.database.read() as tx:
        held = await _held(tx, [now.senders[id] for id in legs])
    moved = 0
    for channel in routed:
        for leg in channel.route:
            priority = held.get(leg.sender)
            if priority is not None and now.senders[leg.sender].open:
                heirs = _heirs(channel.route, held)
                moved += await _spill(system, now, channel.id, leg.sender, priority, heirs)
    return moved > 0


async def _held(tx: Tx, known: Sequence[Sender]) -> dict[int, int]:
    """The senders that cannot send, each with the most urgent priority that waits for it."""
    held = dict[int, int]()
    rows = {row.id: row for row in await tx.rows(_STATES)}
    for sender in known:
        row = rows[sender.id]
        if status.stop_of(row, urgent=True):
            held[sender.id] = Priority.URGENT
        # What is kept for urgent mail is still there. Nobody need have noticed yet.
        elif status.stop_of(row, urgent=False) or (sender.caps and not await _left(tx, sender)):
            held[sender.id] = Priority.URGENT + 1
    return held


async def _left(tx: Tx, sender: Sender) -> int:
    share = sender.urgent_reserve_percent
    return await quota_ledger.left(tx, sender.id, sender.caps, share=share, urgent=False)


def _heirs(route: Sequence[RouteEntry], held: dict[int, int]) -> list[RouteEntry]:
    """Those of the first rank of which any can send."""
    ready = [leg for leg in route if leg.sender not in held]
    return [leg for leg in ready if leg.rank == ready[0].rank]


async def _spill(
    system: AppContext,
    now: Snapshot,
    channel: int,
    sender: int,
    priority: int,
    heirs: list[RouteEntry],
) -> int:
    moved, total = 0, sum(leg.weight for leg in heirs)
    for leg in heirs:
        heir = now.senders[leg.sender]
        async with system.database.write() as tx:
            limit = await _room(tx, heir, AT_ONCE * leg.weight // total)
            params: dict[str, Any] = {"heir": heir.id, "sender": sender, "channel": channel}
            params |= {"priority": priority, "patient": PATIENT, "limit": limit}
            count = 0
            if limit > 0:
                count = (await tx.run(_MOVE, {**params, "at": clock.now()})).count
        if count:
            code = now.senders[sender].code
            log.warning("mail goes by another sender", code=code, instead=heir.code, count=count)
        moved += count
    return moved


async def _room(tx: Tx, heir: Sender, most: int) -> int:
    """How many more may be moved to it: no more than it can send, and not all at once, as the
    others may go on soon."""
    if heir.caps:
        most = min(most, await _left(tx, heir))
    waiting = {"sender": heir.id, "at": clock.now(), "most": AT_ONCE}
    return most - int(await tx.value(_WAITING, waiting))
