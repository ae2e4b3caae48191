"""Segments: saved selections of users. They have no conditions yet; each is everyone."""

from msgspec import Struct
from sqlalchemy import insert, select

from ums import clock
from ums.core.models import segments
from ums.core.system import System
from ums.errors import Invalid


class Segment(Struct, frozen=True):
    id: int
    name: str
    created_at: str


async def create(system: System, name: str) -> Segment:
    """Make a segment; its id is what `aud_segment` takes. Raises Invalid."""
    if not 1 <= len(name) <= 60 or not name.isprintable() or name.strip() != name:
        raise Invalid("bad_value", field="name")
    now = clock.now()
    row = {"name": name, "conditions": "{}", "created_at": now}
    async with system.database.write() as tx:
        if await tx.first(select(segments.c.id).where(segments.c.name == name)):
            raise Invalid("name_taken", name=name)
        id = await tx.value(insert(segments).returning(segments.c.id), row)
    return Segment(id, name, clock.iso(now))


async def list_segments(system: System) -> list[Segment]:
    query = select(segments.c.id, segments.c.name, segments.c.created_at).order_by(segments.c.id)
    async with system.database.read() as tx:
        return [Segment(r.id, r.name, clock.iso(r.created_at)) for r in await tx.rows(query)]
