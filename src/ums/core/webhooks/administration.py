"""Batches as an administrator sees them: what waits, what is dead, and sending it again."""

from typing import Any

from msgspec import Struct
from sqlalchemy import Select, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.pagination import Page, cut, page_size
from ums.core.common.sorting import ByTime, Order
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import callback_addresses as addresses
from ums.core.tables import callback_batches as batches
from ums.core.webhooks import payload
from ums.core.webhooks.payload import Record
from ums.db import Tx
from ums.errors import Detail, Invalid, NotFound

_ORDER = Order(batches.c.id)
STATES = ("waiting", "claimed", "done", "dead")


class BatchInfo(Struct, frozen=True):
    """A batch of records for one address."""

    id: int
    address_id: int
    url: str
    webhook_id: str  # the same in every try
    state: str
    size: int  # records
    tries: int
    due_at: str | None  # when it is tried next
    last_status: int  # 0: no answer
    last_error: str
    first_at: str  # of its records
    last_at: str
    created_at: str
    ended_at: str | None


class BatchDetail(BatchInfo, frozen=True):
    """A batch with its records, as they are told."""

    records: list[Record]


class Replayed(Struct, frozen=True):
    """How many dead batches wait again."""

    batches: int


async def list_batches(
    tx: Tx,
    channel: Channel,
    *,
    state: str | None = None,
    address_id: int | None = None,
    sort: ByTime = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[BatchInfo]:
    """The channel's batches, the oldest first unless `sort` says another."""
    if state is not None and state not in STATES:
        raise Invalid("bad_filter", field="state", detail=Detail("one_of", names=", ".join(STATES)))
    query = _of(channel)
    for column, value in ((batches.c.state, state), (batches.c.address_id, address_id)):
        if value is not None:
            query = query.where(column == value)
    query = _ORDER.sort(query, sort, after)
    rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, lambda row: BatchInfo(**_fields(row)), _ORDER.place(sort))


async def show_batch(tx: Tx, channel: Channel, id: int) -> BatchDetail:
    """Raises NotFound for a batch that is not the channel's."""
    row = await tx.first(_of(channel).where(batches.c.id == id))
    if row is None:
        raise NotFound("callback_batch_unknown", id=id)
    return BatchDetail(**_fields(row), records=await payload.records_of(tx, id))


async def replay(
    system: AppContext,
    channel: Channel,
    *,
    first: int | None = None,
    last: int | None = None,
    address_id: int | None = None,
) -> Replayed:
    """Send dead batches again, under their old ids: those from `first` to `last`, of `address_id`
    where it is given. One batch: `first` and `last` are its id.

    Raises Invalid when neither a range nor an address is given, and NotFound for one batch that
    is not dead or not the channel's.
    """
    if first is None and last is None and address_id is None:
        raise Invalid("callback_replay")
    mine = select(addresses.c.id).where(
        addresses.c.channel_id == channel.id, addresses.c.state != "deleted"
    )
    dead = (batches.c.state == "dead") & batches.c.address_id.in_(mine)
    for limit in (
        None if first is None else batches.c.id >= first,
        None if last is None else batches.c.id <= last,
        None if address_id is None else batches.c.address_id == address_id,
    ):
        dead = dead if limit is None else dead & limit
    again = {"state": "waiting", "tries": 0, "due_at": clock.now(), "ended_at": None}
    async with system.database.write() as tx:
        count = (await tx.run(update(batches).where(dead).values(again))).count
        if not count and first is not None and first == last:
            raise NotFound("callback_batch_unknown", id=first)
        told = f"{count} batches of {first or 'the first'} to {last or 'the last'}"
        before, after = {"dead": count}, {"dead": 0, "waiting": count}
        await audit_log.note(tx, "callback.replay", channel.key, told, before=before, after=after)
    return Replayed(count)


def _of(channel: Channel) -> Select[Any]:
    return (
        select(batches, addresses.c.url)
        .join(addresses, addresses.c.id == batches.c.address_id)
        .where(addresses.c.channel_id == channel.id, addresses.c.state != "deleted")
    )


def _fields(row: Any) -> dict[str, Any]:
    plain = ("id", "address_id", "url", "webhook_id", "state", "size", "tries", "last_status")
    return {
        **{name: getattr(row, name) for name in (*plain, "last_error")},
        "due_at": clock.iso(row.due_at) if row.state == "waiting" else None,
        "first_at": clock.iso(row.first_at),
        "last_at": clock.iso(row.last_at),
        "created_at": clock.iso(row.created_at),
        "ended_at": None if row.ended_at is None else clock.iso(row.ended_at),
    }
