"""Materials: files that messages name by their URL."""

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, MultipartBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, ChannelKey, Paging, System, shown
from ums.core.common.pagination import Page
from ums.core.content import material_upload, materials
from ums.core.content.material_upload import HOURS, MOST_HOURS
from ums.core.content.materials import MaterialInfo, MaterialOrder
from ums.web.bodies import BoundedRequest as Call
from ums.web.streams import pieces_of_upload


class MaterialUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """A file, and how long it is kept."""

    file: UploadFile
    hours: Annotated[int, Meta(ge=1, le=MOST_HOURS)] = HOURS
    channel: str | None = None


@get("/api/materials", scope="materials:read", channels="own")
async def list_materials(
    system: System,
    caller: Caller,
    paging: Paging,
    channel: ChannelKey = None,
    sort: FromQuery[MaterialOrder] = "-created_at",
) -> Page[MaterialInfo]:
    """Materials that the caller's channels uploaded, the newest first."""
    return await materials.list_materials(
        system, caller.among(channel), sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/materials", scope="materials:write", channels="own", body="upload")
async def upload_material(
    system: System, caller: Caller, request: Call, data: MultipartBody[MaterialUpload]
) -> Response[MaterialInfo]:
    """Upload a file. Messages name its `url`; nobody can fetch it."""
    bound = data.channel is not None or caller.channels is not None
    channel = caller.channel(data.channel) if bound else None
    made = await material_upload.store(
        system,
        pieces_of_upload(data.file, material_upload.CHUNK),
        name=data.file.filename,
        content_type=data.file.content_type or "",
        hours=data.hours,
        channel_id=channel and channel.id,
    )
    return shown(request, made, 201)


@get("/api/materials/{material_id:int}", scope="materials:read", channels="own")
async def show_material(
    system: System, caller: Caller, request: Call, material_id: FromPath[int]
) -> Response[MaterialInfo]:
    """A material."""
    return shown(request, await materials.show(system, material_id, caller.channels))


@delete(
    "/api/materials/{material_id:int}", scope="materials:write", channels="own", status_code=200
)
async def delete_material(
    system: System, caller: Caller, material_id: FromPath[int]
) -> MaterialInfo:
    """End its time now. Its content stays as long as an unfinished message needs it."""
    return await materials.delete_material(system, material_id, caller.channels)


handlers = [list_materials, upload_material, show_material, delete_material]
