"""Verbs of segments."""

from typing import Any

from msgspec import Struct

from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.users import segments
from ums.core.verbs.base import Id, Nothing, Verb
from ums.errors import Invalid


class SegmentCreate(Struct):
    name: str
    conditions: dict[str, Any] | None = None


class SegmentId(Struct):
    id: Id


class SegmentUpdate(Struct):
    id: Id
    name: str | None = None
    conditions: dict[str, Any] | None = None


class Selection(Struct):
    """A saved segment, or conditions."""

    id: Id | None = None
    conditions: dict[str, Any] | None = None
    after: str | None = None
    limit: int = 20


async def _create(system: AppContext, _: Intake, p: SegmentCreate) -> object:
    return await segments.create(system, p.name, p.conditions)


async def _update(system: AppContext, _: Intake, p: SegmentUpdate) -> object:
    return await segments.change(system, p.id, name=p.name, conditions=p.conditions)


async def _list(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await segments.list_segments(system)


async def _show(system: AppContext, _: Intake, p: SegmentId) -> object:
    return await segments.show(system, p.id)


async def _delete(system: AppContext, _: Intake, p: SegmentId) -> object:
    await segments.remove(system, p.id)
    return {"id": p.id}


async def _count(system: AppContext, _: Intake, p: Selection) -> object:
    return {"users": await segments.count(system, await _conditions(system, p))}


async def _sample(system: AppContext, _: Intake, p: Selection) -> object:
    conditions = await _conditions(system, p)
    return await segments.sample(system, conditions, after=p.after, limit=p.limit)


async def _conditions(system: AppContext, p: Selection) -> dict[str, Any]:
    if p.id is not None:
        return (await segments.show(system, p.id)).conditions
    if p.conditions is None:
        raise Invalid("missing", field="conditions")
    return p.conditions


VERBS = {
    "segment.create": Verb(SegmentCreate, _create),
    "segment.update": Verb(SegmentUpdate, _update),
    "segment.list": Verb(Nothing, _list),
    "segment.show": Verb(SegmentId, _show),
    "segment.delete": Verb(SegmentId, _delete),
    "segment.count": Verb(Selection, _count),
    "segment.sample": Verb(Selection, _sample),
}
