"""Taking in a material: in pieces, as they come, each in a transaction of its own (ums-spec 3.12).

Until its last piece has come nobody sees it. What broke off is removed at once where we live to
do it, and else when its time to be given up has come (`materials.sweep`).
"""

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Final

from sqlalchemy import case, delete, func, insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.content.file_names import OCTETS, name_and_type
from ums.core.content.materials import MaterialInfo, show
from ums.core.context.app_context import AppContext
from ums.core.tables import material_chunks, materials
from ums.db import Tx
from ums.errors import Invalid, TooLarge

CHUNK: Final = 256 * 1024
HOURS: Final = 24  # that a material is kept unless told otherwise
MOST_HOURS: Final = 168
LEAST_COUNTED: Final = 64 * 1024  # bytes of the common space, however small it is
GIVEN_UP: Final = clock.HOUR  # after the last piece that came


class Storing:
    """A material on its way into the database.

    A name or type that is none is mended (`file_names`). Whoever made one calls `discard` when
    it does not come to `finish`.
    """

    def __init__(
        self, system: AppContext, name: str, content_type: str = "", channel_id: int | None = None
    ) -> None:
        # "Some bytes" is what clients say who did not look.
        given = "" if content_type.strip().lower() == OCTETS else content_type
        self._name, self._type = name_and_type([name], given)
        self._system = system
        self._channel_id = channel_id
        self._held = bytearray()
        self._id: int | None = None
        self._chunks = 0
        self._size = 0

    async def add(self, data: bytes) -> None:
        """Take the next bytes. Raises TooLarge when they are too many."""
        check_size(self._system, self._size + len(self._held) + len(data))
        self._held += data
        while len(self._held) >= CHUNK:
            async with self._system.database.write() as tx:
                await self._write(tx, bytes(self._held[:CHUNK]))
            del self._held[:CHUNK]

    async def finish(self, hours: int = HOURS) -> MaterialInfo:
        """Make it visible for `hours`. Raises Invalid, and TooLarge when the space is used up."""
        check_hours(hours)
        now = clock.now()
        async with self._system.database.write() as tx:
            id = await self._write(tx, bytes(self._held))
            values = {"stored_at": now, "expires_at": now + hours * clock.HOUR}
            await tx.run(update(materials).where(materials.c.id == id).values(values))
            await self._check_space(tx)
            told = {"name": self._name, "size": self._size, "hours": hours}
            await audit_log.note(tx, "material.upload", str(id), after=told)
        return await show(self._system, id)

    async def discard(self) -> None:
        """Leave nothing of it."""
        if self._id is not None:
            async with self._system.database.write() as tx:
                await tx.run(delete(materials).where(materials.c.id == self._id))

    async def _write(self, tx: Tx, data: bytes) -> int:
        self._size += len(data)
        id = await self._row(tx)
        if data:
            row = {"material_id": id, "position": self._chunks, "data": data}
            await tx.run(insert(material_chunks), row)
            self._chunks += 1
        return id

    async def _row(self, tx: Tx) -> int:
        now = clock.now()
        values = {"size": self._size, "expires_at": now + GIVEN_UP}
        if self._id is None:
            made = insert(materials).values(
                token=secrets.token_urlsafe(32),
                channel_id=self._channel_id,
                name=self._name,
                content_type=self._type,
                created_at=now,
                **values,
            )
            self._id = int(await tx.value(made.returning(materials.c.id)))
            await self._check_space(tx)
            return self._id
        mine = materials.c.id == self._id
        if (await tx.run(update(materials).where(mine).values(values))).count == 0:
            raise Invalid("too_slow", limit=f"{GIVEN_UP / clock.SECOND:g}")  # and tidied away
        return self._id

    async def _check_space(self, tx: Tx) -> None:
        limit = self._system.settings.materials_limit_bytes
        size = materials.c.size
        counted = case((size < LEAST_COUNTED, LEAST_COUNTED), else_=size)
        if int(await tx.value(select(func.coalesce(func.sum(counted), 0)))) > limit:
            raise TooLarge("materials_full", limit=limit)


async def store(
    system: AppContext,
    source: AsyncIterable[bytes],
    *,
    name: str,
    content_type: str = "",
    hours: int = HOURS,
    channel_id: int | None = None,
) -> MaterialInfo:
    """Store all that `source` gives as a material. Raises UmsError, and what `source` raises;
    then nothing is left of it."""
    check_hours(hours)
    storing = Storing(system, name, content_type, channel_id)
    try:
        async for data in source:
            await storing.add(data)
        return await storing.finish(hours)
    except BaseException:
        await asyncio.shield(storing.discard())
        raise


async def store_file(system: AppContext, path: Path, hours: int = HOURS) -> MaterialInfo:
    """Store a file of this machine. Raises Invalid when there is none that can be read."""
    if not await asyncio.to_thread(path.is_file):
        raise Invalid("file_missing", path=path.name)
    try:
        return await store(system, _pieces(path), name=path.name, hours=hours)
    except OSError as error:
        raise Invalid("misfit", field=path.name, detail=error.strerror) from None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece


def check_size(system: AppContext, size: int) -> None:
    """Raises TooLarge for more bytes than a material may have."""
    limit = system.settings.material_limit_bytes
    if size > limit:
        raise TooLarge("material_large", limit=limit)


def check_hours(hours: int) -> None:
    """Raises Invalid for a time that no material is kept (ums-spec 3.12)."""
    if not 1 <= hours <= MOST_HOURS:
        raise Invalid("material_ttl")
