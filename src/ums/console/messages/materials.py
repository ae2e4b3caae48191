"""Materials: files that messages refer to."""

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, refused, sort_of
from ums.console.rendering import AnyRequest, go, page
from ums.core.content import material_upload, materials
from ums.core.content.materials import MaterialOrder
from ums.core.users.visibility import bind_names
from ums.errors import Detail, Invalid, UmsError
from ums.web.streams import pieces_of_upload


@get("/materials", scope="materials:read")
async def list_materials(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    return await _list(request, system, visitor, Form({"file": "", "hours": "24"}))


async def _list(
    request: AnyRequest, system: Any, visitor: Any, form: Form, status: int = 200
) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, MaterialOrder, "-created_at")
    found = await materials.list_materials(
        system, visitor.caller.channels, sort=sort, after=after, limit=50
    )
    names = bind_names(visitor.caller)
    channels = [(key, name) for key, name in names.items() if name]
    return page(
        request,
        "materials/list.html",
        status=status,
        found=found,
        sort=sort,
        form=form,
        names=names,
        channels=channels if visitor.caller.channels is not None else [("", "–"), *channels],
        most=material_upload.MOST_HOURS,
    )


@post("/materials", scope="materials:write", body="upload")
async def upload_material(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Keep a file for as many hours as are asked for."""
    data: Any = await request.form()
    file, key = data.get("file"), str(data.get("channel") or "")
    values = {"file": "", "hours": str(data.get("hours") or ""), "channel": key}
    try:
        if not isinstance(file, UploadFile) or not file.filename:
            raise Invalid("missing", field="file")
        bound = bool(key) or visitor.caller.channels is not None
        channel = visitor.caller.channel(key) if bound else None
        await material_upload.store(
            system,
            pieces_of_upload(file),
            name=file.filename,
            content_type=file.content_type or "",
            hours=_hours(values["hours"]),
            channel_id=channel and channel.id,
        )
    except UmsError as error:
        return await _list(request, system, visitor, refused(request, values, error), error.status)
    return go("/materials", "materials.did_upload")


def _hours(text: str) -> int:
    most = material_upload.MOST_HOURS
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= most):
        raise Invalid("misfit", field="hours", detail=Detail("between", least=1, most=most))
    return int(text)


@post("/materials/{id:int}/delete", scope="materials:write")
async def delete_material(system: System, visitor: Visitor, id: FromPath[int]) -> Response[str]:
    await materials.delete_material(system, id, visitor.caller.channels)
    return go("/materials", "materials.did_delete")


handlers = [list_materials, upload_material, delete_material]
