"""Materials: uploaded attachments that messages refer to by URL (ums-spec 3.12).

They belong to the whole installation: any channel may send any of them. One that an unfinished
message refers to stays until that message is final, even past its time.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Exists, delete, exists, or_, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.channel_scope import Channels
from ums.core.common.pagination import Page, cut, page_size
from ums.core.common.sorting import Order
from ums.core.context.app_context import AppContext
from ums.core.tables import channels as channels_table
from ums.core.tables import deliveries, files, material_chunks, materials, messages
from ums.core.tables.states import OPEN
from ums.db import Tx
from ums.errors import Invalid, NotFound

PATH = "/v1/material/"
MaterialOrder = Literal["created_at", "-created_at", "name", "-name", "size", "-size"]
_ORDER = Order(materials.c.id, (materials.c.name, materials.c.size))
_SWEPT = 100  # at once
_TOKEN = re.compile(rf"https?://[^\s?#]{{1,2000}}{PATH}([\w-]{{43}})", re.ASCII | re.IGNORECASE)


class MaterialInfo(Struct, frozen=True):
    """A material as it is shown."""

    id: int
    url: str  # for `files`; it cannot be fetched
    name: str
    content_type: str
    size: int
    channelkey: str | None  # of the channel that uploaded it
    created_at: str
    expires_at: str  # from then on no message can refer to it
    expired: bool
    needed: bool  # an unfinished message refers to it


class Material(Struct, frozen=True):
    """One that a message may refer to now."""

    id: int
    name: str
    content_type: str
    size: int


def _needed() -> Exists:
    """Whether an unfinished message refers to the row of `materials`."""
    undelivered = exists().where(
        deliveries.c.message_id == messages.c.id, deliveries.c.state.in_(OPEN)
    )
    return exists().where(
        files.c.material_id == materials.c.id,
        messages.c.id == files.c.message_id,
        or_(messages.c.state != "expanded", undelivered),
    )


async def list_materials(
    system: AppContext,
    channels: Channels = None,
    *,
    sort: MaterialOrder = "-created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[MaterialInfo]:
    """The materials, the newest first unless `sort` says another; of `channels`, those that they
    uploaded."""
    query = _ORDER.sort(_shown(channels), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, lambda row: _info(system, row), _ORDER.place(sort))


async def show(system: AppContext, id: int, channels: Channels = None) -> MaterialInfo:
    """Raises NotFound for one that is not there, or that none of `channels` uploaded."""
    async with system.database.read() as tx:
        row = await tx.first(_shown(channels).where(materials.c.id == id))
    if row is None:
        raise NotFound("no_material", id=id)
    return _info(system, row)


async def delete_material(system: AppContext, id: int, channels: Channels = None) -> MaterialInfo:
    """End its time now; its content goes too, unless an unfinished message needs it.

    Gives it as it was left. Raises NotFound as `show` does.
    """
    held = await show(system, id, channels)
    now = clock.now()
    async with system.database.write() as tx:
        still = (materials.c.id == id) & (materials.c.expires_at > now)
        done = await tx.run(update(materials).where(still).values(expires_at=now))
        told = {"name": held.name, "size": held.size, "expires_at": held.expires_at}
        if done.count:
            await audit_log.note(tx, "material.delete", str(id), before=told)
        else:
            await audit_log.note(tx, "material.delete", str(id), before={}, after={})
    left = await show(system, id, channels)
    await _remove(system, id)
    return left


def _shown(channels: Channels) -> Any:
    query = (
        select(materials, channels_table.c.key.label("channelkey"), _needed().label("needed"))
        .outerjoin(channels_table, channels_table.c.id == materials.c.channel_id)
        .where(materials.c.stored_at.is_not(None))
    )
    if channels is None:
        return query
    ids = (channels,) if isinstance(channels, int) else sorted(channels)
    return query.where(materials.c.channel_id.in_(ids))


def _info(system: AppContext, row: Any) -> MaterialInfo:
    return MaterialInfo(
        id=row.id,
        url=system.settings.base_url + PATH + row.token,
        name=row.name,
        content_type=row.content_type,
        size=row.size,
        channelkey=row.channelkey,
        created_at=clock.iso(row.created_at),
        expires_at=clock.iso(row.expires_at),
        expired=row.expires_at <= clock.now(),
        needed=bool(row.needed),
    )


# -- for messages -----------------------------------------------------------------------------


async def resolve(
    system: AppContext, urls: Sequence[str], fields: Sequence[str]
) -> dict[int, Material]:
    """Those of `urls` that are materials, by their place. Raises Invalid for ones of ours that
    are not there or over, with their place among `fields`.

    A token that we know is ours whatever stands before it: machines that share the database may
    each have given out URLs of their own name.
    """
    tokens = {i: found[1] for i, url in enumerate(urls) if (found := _TOKEN.fullmatch(url))}
    known = await _known(system, set(tokens.values())) if tokens else {}
    found = {i: known[token] for i, token in tokens.items() if token in known}
    ours = system.settings.base_url + PATH
    for i, url in enumerate(urls):
        if i not in found and url.startswith(ours):
            raise Invalid("material_unknown", field=fields[i])
    return found


async def _known(system: AppContext, tokens: set[str]) -> dict[str, Material]:
    there = materials.c.stored_at.is_not(None) & (materials.c.expires_at > clock.now())
    query = select(materials).where(materials.c.token.in_(tokens), there)
    async with system.database.read() as tx:
        rows = await tx.rows(query)
    return {row.token: Material(row.id, row.name, row.content_type, row.size) for row in rows}


async def hold(tx: Tx, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that are still there; they stay until `tx` ends, and then as long as the
    message needs them that it wrote."""
    query = select(materials.c.id).where(materials.c.id.in_(set(ids)))
    return {row.id for row in await tx.rows(query.with_for_update(read=True, key_share=True))}


async def read(tx: Tx, ids: Iterable[int]) -> dict[int, bytes]:
    """The contents of the materials `ids`."""
    pieces: dict[int, list[bytes]] = {id: [] for id in ids}
    query = select(material_chunks).where(material_chunks.c.material_id.in_(pieces))
    order = (material_chunks.c.material_id, material_chunks.c.position)
    for row in await tx.rows(query.order_by(*order)):
        pieces[row.material_id].append(bytes(row.data))
    return {id: b"".join(found) for id, found in pieces.items()}


# -- what nobody needs any more ---------------------------------------------------------------


async def sweep(system: AppContext) -> int:
    """Remove materials whose time is over and that no unfinished message needs, and uploads that
    broke off; how many."""
    over = materials.c.expires_at <= clock.now()
    query = select(materials.c.id).where(over, ~_needed()).order_by(materials.c.expires_at)
    async with system.database.read() as tx:
        ids = [row.id for row in await tx.rows(query.limit(_SWEPT))]
    return sum([await _remove(system, id) for id in ids])


async def _remove(system: AppContext, id: int) -> bool:
    over: ColumnElement[bool] = (materials.c.id == id) & (materials.c.expires_at <= clock.now())
    async with system.database.write() as tx:
        # Locked first and looked at then: a message that was just storing its reference (`hold`)
        # is seen by the second statement, and one that comes later finds nothing.
        locked = select(materials.c.id).where(over).with_for_update(skip_locked=True)
        if await tx.value(locked) is None:
            return False
        done = await tx.run(delete(materials).where(over, ~_needed()))
    return done.count == 1
