"""Addresses that a channel no longer writes to, as their server said for good that nobody is there
(reliability.md 4.1, 4.5).

They are learnt from refusals, may be added by hand, and can be lifted. A message to one of them
is accounted for as `suppressed`. Whoever sends a failed delivery again decides otherwise, and what
is then taken lifts the suppression.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, delete, or_, select

from ums import clock
from ums.core.audit import audit_log
from ums.core.audit.long_lists import note_lines
from ums.core.channels.access_lists import MAX_ENTRIES, Change
from ums.core.common.pagination import Page, cut, page_size, plain
from ums.core.common.sorting import Order
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import audit as log
from ums.core.tables import deliveries
from ums.core.tables import suppressions as table
from ums.db import Statement, Tx, rows_json
from ums.errors import Invalid
from ums.mail.addresses import BadAddress, clean
from ums.mail.reply_classifier import SOFT, alike

BY_HAND: Final = "by_hand"
COMPLAINT: Final = "complaint"
_LASTING: Final = f"('{BY_HAND}', '{COMPLAINT}')"  # until a person lifts them
LASTS: Final = dict.fromkeys(("mailbox_disabled", *SOFT), 30 * clock.DAY)
"""For how many ms a reason suppresses an address; the others do until it is lifted."""
STORM: Final = 50  # addresses of one domain ...
STORM_TIME: Final = 10 * clock.MINUTE  # ... in this time, whose server says the same ...
NEW: Final = clock.DAY  # ... and said it for the first time less than this ago
HELD_BACK: Final = "suppression.held_back"
SuppressionOrder = Literal["created_at", "-created_at", "address", "-address"]
_ORDER: Final = Order(table.c.id, (table.c.address,))
LONGEST: Final = 160  # characters of a reply_pattern

_WHOSE = Statement(
    "SELECT d.id, m.channel_id, d.address FROM $rows(r: id bigint)"
    " JOIN deliveries d ON d.id = r.id AND $among(d.id, r)"
    " JOIN messages m ON m.id = d.message_id ORDER BY m.channel_id, d.address, d.id"
)
_MINE = (
    " FROM suppressions s WHERE s.channel_id = r.channel_id AND s.reply_pattern = r.reply_pattern"
)
_SAID = Statement(
    f"SELECT r.channel_id, r.reply_pattern, (SELECT min(s.created_at){_MINE}) AS first,"
    f" (SELECT count(*){_MINE} AND s.created_at > :since) AS recent"
    " FROM $rows(r: channel_id bigint, reply_pattern text)"
)
_LEARN = Statement(
    "INSERT INTO suppressions (channel_id, address, reason, reply, reply_pattern, delivery_id,"
    " created_at, expires_at) SELECT r.channel_id, r.address, r.reason, r.reply, r.reply_pattern,"
    " r.delivery_id, CAST(:at AS bigint), r.expires_at FROM $rows(r: channel_id bigint,"
    " address text, reason text, reply text, reply_pattern text, delivery_id bigint,"
    " expires_at bigint)"
    " WHERE true ON CONFLICT (channel_id, address) DO UPDATE SET reason = excluded.reason,"
    " reply = excluded.reply, reply_pattern = excluded.reply_pattern,"
    " delivery_id = excluded.delivery_id,"
    " created_at = excluded.created_at, expires_at = excluded.expires_at"
    f" WHERE suppressions.reason NOT IN {_LASTING}"
)
_FORGIVE = Statement(
    f"DELETE FROM suppressions WHERE reason NOT IN {_LASTING} AND (channel_id, address) IN"
    " (SELECT m.channel_id, d.address FROM $rows(r: id bigint)"
    " JOIN deliveries d ON d.id = r.id AND $among(d.id, r)"
    " JOIN messages m ON m.id = d.message_id)"
)
_ADD = Statement(
    "INSERT INTO suppressions (channel_id, address, reason, reply, reply_pattern, created_at)"
    f" SELECT CAST(:channel AS bigint), r.address, '{BY_HAND}', '', '', CAST(:at AS bigint)"
    " FROM $rows(r: address text) WHERE true ON CONFLICT DO NOTHING RETURNING address"
)
_LIFT = Statement(
    "DELETE FROM suppressions WHERE channel_id = :channel AND address IN"
    " (SELECT r.address FROM $rows(r: address text)) RETURNING address"
)
_KEY = Statement("SELECT key FROM channels WHERE id = :id")


class Refusal(Struct, frozen=True):
    """A delivery that failed, and the server's words."""

    delivery_id: int
    reason: str
    reply: str


class Suppression(Struct, frozen=True):
    """An address that a channel does not write to, and why."""

    address: str
    reason: Annotated[str, Meta(description="A delivery's, or `by_hand`.")]
    reply: Annotated[str, Meta(description="What the server said.")]
    delivery_id: Annotated[
        int | None, Meta(description="The delivery that it was said of, while it is kept.")
    ]
    created_at: str
    expires_at: Annotated[str | None, Meta(description="Null: not before somebody lifts it.")]


class HeldBack(Struct, frozen=True):
    """So many addresses were refused alike that they are not suppressed; see `STORM`."""

    at: str
    reply_pattern: str  # the domain, and what its server says


async def learn(tx: Tx, refusals: Sequence[Refusal]) -> None:
    """Suppress the addresses of these deliveries: nobody is there, their mailbox is full again
    and again, or somebody there complained.

    When one domain suddenly says the same new thing of many addresses, it is more likely broken,
    or misunderstood, than that all of them are gone: beyond `STORM` none is suppressed.
    """
    given = {one.delivery_id: one for one in refusals}
    alike_ones: dict[tuple[int, str], dict[str, Refusal]] = defaultdict(dict)
    for row in await tx.rows(_WHOSE, {"r": rows_json((id,) for id in given)}):
        refusal = given[row.id]
        alike_ones[row.channel_id, _wording(row.address, refusal.reply)][row.address] = refusal
    at = clock.now()
    bound = {"r": rows_json(alike_ones), "since": at - STORM_TIME}
    said = {(row.channel_id, row.reply_pattern): row for row in await tx.rows(_SAID, bound)}
    rows: list[tuple[object, ...]] = []
    for key, found in alike_ones.items():
        channel, reply_pattern = key
        complained = all(one.reason == COMPLAINT for one in found.values())
        room = len(found) if complained else _room(said[key], at)
        if room < len(found):
            await _hold_back(tx, channel, reply_pattern, at)
        for address, refusal in [*found.items()][:room]:
            lasts = LASTS.get(refusal.reason)
            until = None if lasts is None else at + lasts
            told = (refusal.reason, refusal.reply, reply_pattern, refusal.delivery_id, until)
            rows.append((channel, address, *told))
    if rows:
        rows.sort(key=lambda row: row[:2])  # whoever does the same meanwhile locks in this order
        await tx.run(_LEARN, {"r": rows_json(rows), "at": at})


async def forgive(tx: Tx, taken: Collection[int]) -> None:
    """Lift what was learnt of the addresses of these deliveries (ids): their servers took them."""
    await tx.run(_FORGIVE, {"r": rows_json((id,) for id in taken)})


async def list_suppressions(
    system: AppContext,
    channel: Channel,
    *,
    address: str | None = None,
    sort: SuppressionOrder = "-created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[Suppression]:
    """Those of the channel that hold, the newest first unless `sort` says another; with `address`
    its own."""
    left = select(deliveries.c.id).where(deliveries.c.id == table.c.delivery_id).scalar_subquery()
    query = select(table, left.label("left")).where(table.c.channel_id == channel.id, _holds())
    if address is not None:
        query = query.where(table.c.address == _sought(plain(address, "address")))
    async with system.database.read() as tx:
        query = _ORDER.sort(query, sort, after)
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, _shown, _ORDER.place(sort))


async def of_addresses(
    tx: Tx, channels: Sequence[Channel], addresses: Collection[str]
) -> set[tuple[int, str]]:
    """Of these (channel id, address) the ones that are suppressed."""
    mine = table.c.channel_id.in_([channel.id for channel in channels])
    columns = (table.c.channel_id, table.c.address)
    query = select(*columns).where(mine, table.c.address.in_(list(addresses)), _holds())
    return {(row.channel_id, row.address) for row in await tx.rows(query)}


async def held_back(system: AppContext, channel: Channel) -> list[HeldBack]:
    """What was held back within the last day, the newest first."""
    query = select(log.c.at, log.c.detail).where(
        log.c.action == HELD_BACK, log.c.subject == channel.key, log.c.at > clock.now() - clock.DAY
    )
    async with system.database.read() as tx:
        rows = await tx.rows(query.order_by(log.c.id.desc()).limit(20))
    return [HeldBack(clock.iso(row.at), row.detail) for row in rows]


async def add(
    system: AppContext, channel: Channel, addresses: Sequence[str], *, actor: str | None = None
) -> Change:
    """Suppress addresses by hand, all or none. Raises Invalid naming the first that is none."""
    return await _change(system, channel, addresses, _ADD, "add", actor)


async def lift(
    system: AppContext, channel: Channel, addresses: Sequence[str], *, actor: str | None = None
) -> Change:
    """Let the channel write to these again, all or none. Raises Invalid for what is no address."""
    return await _change(system, channel, addresses, _LIFT, "lift", actor)


async def forget(tx: Tx) -> None:
    """Drop those whose time is over."""
    await tx.run(delete(table).where(table.c.expires_at <= clock.now()))


async def _change(
    system: AppContext,
    channel: Channel,
    addresses: Sequence[str],
    statement: Statement,
    action: str,
    actor: str | None,
) -> Change:
    if not 1 <= len(addresses) <= MAX_ENTRIES:
        raise Invalid("batch_size", limit=MAX_ENTRIES)
    rows = sorted({(_cleaned(one, place),) for place, one in enumerate(addresses)})
    bound = {"channel": channel.id, "r": rows_json(rows)}
    bound |= {"at": clock.now()} if statement is _ADD else {}
    async with system.database.write() as tx:
        lines = sorted(address for (address,) in await tx.rows(statement, bound))
        gone, action = statement is _LIFT, f"suppression.{action}"
        await note_lines(tx, action, channel.key, lines, "addresses", gone=gone, actor=actor)
    return Change(len(lines), len(rows) - len(lines))


def _cleaned(address: str, place: int) -> str:
    try:
        return clean(address)
    except BadAddress as error:
        raise Invalid("bad_address", field=f"addresses[{place}]", detail=error.detail) from None


def _sought(address: str) -> str:
    try:
        return clean(address)
    except BadAddress:
        return address


def _wording(address: str, reply: str) -> str:
    domain = address.rpartition("@")[2]
    return f"{domain}: {alike(reply)}"[:LONGEST]


def _room(said: Any, at: int) -> int:
    """How many more addresses the same words may suppress now."""
    new = said.first is None or said.first > at - NEW
    return max(STORM - said.recent, 0) if new else MAX_ENTRIES


async def _hold_back(tx: Tx, channel: int, reply_pattern: str, at: int) -> None:
    """Tell of it, once for a storm."""
    key = str(await tx.value(_KEY, {"id": channel}))
    told = select(log.c.id).where(
        log.c.action == HELD_BACK,
        log.c.subject == key,
        log.c.detail == reply_pattern,
        log.c.at > at - STORM_TIME,
    )
    if await tx.first(told) is None:
        await audit_log.note(tx, HELD_BACK, key, reply_pattern, actor=audit_log.ENGINE)


def _holds() -> ColumnElement[bool]:
    return or_(table.c.expires_at.is_(None), table.c.expires_at > clock.now())


def _shown(row: Any) -> Suppression:
    until = None if row.expires_at is None else clock.iso(row.expires_at)
    at = clock.iso(row.created_at)
    return Suppression(row.address, row.reason, row.reply, row.left, at, until)
