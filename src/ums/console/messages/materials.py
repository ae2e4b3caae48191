"""Materials: files that messages refer to."""

from os import SEEK_END
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, refused, sort_of
from ums.console.rendering import AnyRequest, go, page
from ums.core.common.field_errors import ErrorList
from ums.core.content import material_upload, materials
from ums.core.content.materials import MaterialOrder
from ums.core.context.directory import Channel
from ums.core.users.visibility import bind_names
from ums.errors import Detail, Invalid, UmsError
from ums.web.streams import pieces_of_upload


@get("/materials", scope="materials:read", channels="own")
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


@post("/materials", scope="materials:write", channels="own", body="upload")
async def upload_material(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Keep a file for as many hours as are asked for."""
    data: Any = await request.form()
    key = str(data.get("channel") or "")
    values = {"file": "", "hours": str(data.get("hours") or ""), "channel": key}
    errors, hours, channel = ErrorList(), 0, None
    with errors.collecting():
        if key or visitor.caller.channels is not None:
            channel = visitor.caller.channel(key)
    with errors.collecting():
        hours = _hours(values["hours"])
    with errors.collecting():
        await _store(system, _file(data), hours, channel, errors)
    if errors:
        form = refused(request, values, errors[0], others=errors)
        return await _list(request, system, visitor, form, errors[0].status)
    return go("/materials", "materials.did_upload")


def _file(data: Any) -> UploadFile:
    file = data.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid("missing", field="file")
    return file


async def _store(
    system: Any, file: UploadFile, hours: int, channel: Channel | None, errors: list[UmsError]
) -> None:
    """Store the file unless something else is wrong; its size is told then too."""
    if errors:
        material_upload.check_size(system, file.file.seek(0, SEEK_END))
        return
    await material_upload.store(
        system,
        pieces_of_upload(file),
        name=file.filename,
        content_type=file.content_type or "",
        hours=hours,
        channel_id=channel and channel.id,
    )


def _hours(text: str) -> int:
    most = material_upload.MOST_HOURS
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= most):
        raise Invalid("misfit", field="hours", detail=Detail("between", least=1, most=most))
    return int(text)


@post("/materials/{id:int}/delete", scope="materials:write", channels="own")
async def delete_material(system: System, visitor: Visitor, id: FromPath[int]) -> Response[str]:
    await materials.delete_material(system, id, visitor.caller.channels)
    return go("/materials", "materials.did_delete")


handlers = [list_materials, upload_material, delete_material]
