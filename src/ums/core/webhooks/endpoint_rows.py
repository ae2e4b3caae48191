"""Callback addresses as they are stored and shown."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Select, func, select

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import callback_addresses as addresses
from ums.core.tables import callback_batches as batches
from ums.core.tables import callback_records as records
from ums.core.tables import channels
from ums.db import Tx
from ums.errors import NotFound


class AddressInfo(Struct, frozen=True):
    """An address as it is shown. `secret` stands only in the answer that made it."""

    id: int
    url: str
    is_default: bool
    schedule: str  # hosted | standard
    form: str  # signed | hosted: how it is proved that UMS calls
    username: str  # of its own Basic credentials; "": none
    state: str  # verified | disabled
    state_changed_at: str
    failing_since: str | None
    cooldown_until: str | None
    waiting_since: str | None  # the oldest record that is in no batch yet
    dead: int  # batches
    created_at: str
    secret: str | UnsetType = UNSET


async def list_addresses(system: AppContext, channel: Channel) -> list[AddressInfo]:
    """The addresses of the channel, in the order they were added."""
    async with system.database.read() as tx:
        rows = await tx.rows(shape(channel).order_by(addresses.c.id))
    return [info(row) for row in rows]


async def find(system: AppContext, channel: Channel, given: str) -> int:
    """The id of the channel's address that `given`, an id or a URL, names. Raises NotFound."""
    async with system.database.read() as tx:
        for row in await tx.rows(mine(channel)):
            if given in (str(row.id), row.url):
                return int(row.id)
    raise NotFound("callback_address_unknown")


def locked(channel: Channel) -> Select[Any]:
    """Changes of one channel's addresses take turns (PostgreSQL)."""
    return select(channels.c.id).where(channels.c.id == channel.id).with_for_update()


def mine(channel: Channel) -> Select[Any]:
    own = (addresses.c.channel_id == channel.id) & (addresses.c.state != "deleted")
    return select(addresses).where(own)


def shape(channel: Channel) -> Select[Any]:
    waiting = (
        select(records.c.at)
        .where(records.c.address_id == addresses.c.id, records.c.batch_id.is_(None))
        .order_by(records.c.id)
        .limit(1)
        .scalar_subquery()
    )
    dead = (
        select(func.count())
        .where(batches.c.address_id == addresses.c.id, batches.c.state == "dead")
        .scalar_subquery()
    )
    return mine(channel).add_columns(waiting.label("waiting_since"), dead.label("dead"))


async def row_of(tx: Tx, channel: Channel, id: int) -> Any:
    row = await tx.first(mine(channel).where(addresses.c.id == id))
    if row is None:
        raise NotFound("callback_address_unknown")
    return row


async def found(system: AppContext, channel: Channel, id: int) -> Any:
    async with system.database.read() as tx:
        return await row_of(tx, channel, id)


def info(row: Any, secret: str | UnsetType = UNSET) -> AddressInfo:
    def moment(at: int | None) -> str | None:
        return None if at is None else clock.iso(at)

    return AddressInfo(
        id=row.id,
        url=row.url,
        is_default=bool(row.is_default),
        schedule=row.schedule,
        form=row.form,
        username=row.username,
        state=row.state,
        state_changed_at=clock.iso(row.state_changed_at),
        failing_since=moment(row.failing_since),
        cooldown_until=moment(row.cooldown_until),
        waiting_since=moment(row.waiting_since),
        dead=row.dead,
        created_at=clock.iso(row.created_at),
        secret=secret,
    )
