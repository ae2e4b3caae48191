"""Segments: users by conditions. They are the whole installation's."""

from typing import Annotated, Any

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, expected, listed, shown
from ums.bounds import Name60, said
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.users import condition_shape, segments
from ums.core.users.segments import Segment, SegmentUser
from ums.web.bodies import BoundedRequest as Call

_Name = Name60
_Conditions = Annotated[
    dict[str, Any],
    said(**condition_shape.REF),
    Meta(description="`and`, `or`, `not` over tag, attribute, address, engagement; {}: everyone."),
]


class NewSegment(Struct, frozen=True, forbid_unknown_fields=True):
    """A segment to be made."""

    name: _Name
    conditions: _Conditions = {}


class SegmentChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out or null stays."""

    name: _Name | None = None
    conditions: _Conditions | None = None


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions that need not be saved."""

    conditions: _Conditions


class Counted(Struct, frozen=True):
    """How many users fit now."""

    users: int


@get("/api/segments", scope="segments:read", channels="own")
async def list_segments(
    system: System,
    paging: Paging,
    sort: FromQuery[ByName] = "created_at",
) -> Page[Segment]:
    """All segments, the oldest first."""
    return await segments.page_segments(system, sort=sort, after=paging.after, limit=paging.limit)


@post("/api/segments", scope="segments:write", channels="all")
async def create_segment(
    system: System, caller: Caller, request: Call, data: JSONBody[NewSegment]
) -> Response[Segment]:
    """Make a segment. Not for callers that are bound to channels, as all that changes one."""
    made = await segments.create(system, data.name, data.conditions, actor=caller.name)
    return shown(request, made, 201)


@post("/api/segments/count", scope="segments:write", channels="all", status_code=200)
async def count_selection(system: System, data: JSONBody[Selection]) -> Counted:
    """How many users conditions select, before they are saved."""
    return Counted(await segments.count(system, data.conditions))


@post("/api/segments/sample", scope="segments:write", channels="all", status_code=200)
async def sample_selection(
    system: System, paging: Paging, data: JSONBody[Selection]
) -> Page[SegmentUser]:
    """The users that conditions select, in the order they came."""
    return listed(
        await segments.sample(system, data.conditions, after=paging.after, limit=paging.limit)
    )


@get("/api/segments/{segment_id:int}", scope="segments:read", channels="own")
async def show_segment(
    system: System, request: Call, segment_id: FromPath[int]
) -> Response[Segment]:
    """A segment."""
    return shown(request, await segments.show(system, segment_id))


@get("/api/segments/{segment_id:int}/count", scope="segments:read", channels="own")
async def count_segment(system: System, segment_id: FromPath[int]) -> Counted:
    """How many users it has now."""
    found = await segments.show(system, segment_id)
    return Counted(await segments.count(system, found.conditions))


@get("/api/segments/{segment_id:int}/users", scope="segments:write", channels="all")
async def list_segment_users(
    system: System, paging: Paging, segment_id: FromPath[int]
) -> Page[SegmentUser]:
    """Its users, in the order they came."""
    found = await segments.show(system, segment_id)
    return listed(
        await segments.sample(system, found.conditions, after=paging.after, limit=paging.limit)
    )


@patch("/api/segments/{segment_id:int}", scope="segments:write", channels="all")
async def change_segment(
    system: System,
    caller: Caller,
    request: Call,
    segment_id: FromPath[int],
    data: JSONBody[SegmentChange],
) -> Response[Segment]:
    """Change it. Messages whose expansion has begun keep the conditions they found."""
    changed = await segments.change(
        system,
        segment_id,
        name=data.name,
        conditions=data.conditions,
        expect=expected(request),
        actor=caller.name,
    )
    return shown(request, changed)


@delete("/api/segments/{segment_id:int}", scope="segments:write", channels="all")
async def delete_segment(system: System, caller: Caller, segment_id: FromPath[int]) -> None:
    """Delete it, unless a message that waits is for it."""
    await segments.remove(system, segment_id, actor=caller.name)


handlers = [
    list_segments,
    create_segment,
    count_selection,
    sample_selection,
    show_segment,
    count_segment,
    list_segment_users,
    change_segment,
    delete_segment,
]
