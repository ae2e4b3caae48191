"""Segments: users by conditions, counted and looked at before they are saved."""

from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.forms import Form, given, refused
from ums.console.pages import AnyRequest, go, page
from ums.console.shapes import System, Visitor
from ums.core import segments
from ums.errors import Invalid, UmsError

EXAMPLE: Final = '{"attribute": {"name": "age", "op": "ge", "value": 18}}'


@get("/segments", scope="segments:read")
async def list_segments(request: AnyRequest, system: System) -> Response[str]:
    after = request.query_params.get("after")
    found = await segments.page_segments(system, after=after, limit=50)
    return page(request, "segments/list.html", found=found)


@get("/segments/new", scope="segments:write")
async def new_segment(request: AnyRequest, visitor: Visitor) -> Response[str]:
    visitor.caller.unbound()
    return _form(request, Form({"name": "", "conditions": EXAMPLE}))


def _form(
    request: AnyRequest, form: Form, *, id: int | None = None, status: int = 200, **more: Any
) -> Response[str]:
    values: dict[str, Any] = {"counted": None, "sample": None, **more}
    return page(request, "segments/form.html", status=status, form=form, id=id, **values)


@post("/segments", scope="segments:write", status_code=200)
async def create_segment(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """With `count` it is only counted, and a sample shown."""
    return await _save(request, system, visitor, None)


@get("/segments/{segment_id:int}", scope="segments:read")
async def show_segment(
    request: AnyRequest, system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    """How many it has; whom, only for whoever sees every channel's users."""
    found = await segments.show(system, segment_id)
    text = msgspec.json.format(msgspec.json.encode(found.conditions), indent=2).decode()
    counted = await segments.count(system, found.conditions)
    sample = None
    if visitor.caller.channels is None:
        sample = await segments.sample(system, found.conditions, limit=20)
    form = Form({"name": found.name, "conditions": text})
    return _form(request, form, id=found.id, counted=counted, sample=sample)


@post("/segments/{segment_id:int}", scope="segments:write", status_code=200)
async def change_segment(
    request: AnyRequest, system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    return await _save(request, system, visitor, segment_id)


async def _save(request: AnyRequest, system: Any, visitor: Any, id: int | None) -> Response[str]:
    visitor.caller.unbound()
    fields = await given(request)
    values = {"name": fields.get("name", "").strip(), "conditions": fields.get("conditions", "")}
    try:
        conditions = _conditions(values["conditions"])
        if "count" in fields:
            counted = await segments.count(system, conditions)
            sample = await segments.sample(system, conditions, limit=20)
            return _form(request, Form(values), id=id, counted=counted, sample=sample)
        actor = visitor.caller.name
        if id is None:
            id = (await segments.create(system, values["name"], conditions, actor=actor)).id
        else:
            await segments.change(
                system, id, name=values["name"], conditions=conditions, actor=actor
            )
    except UmsError as error:
        if str(error.values.get("field", "")).startswith("conditions"):
            error.values["field"] = "conditions"
        return _form(request, refused(request, values, error), id=id, status=error.status)
    return go(f"/segments/{id}", "segments.did_save")


def _conditions(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("misfit", field="conditions", detail="not a JSON object") from None


@post("/segments/{segment_id:int}/delete", scope="segments:write")
async def delete_segment(
    system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    visitor.caller.unbound()
    await segments.remove(system, segment_id, actor=visitor.caller.name)
    return go("/segments", "segments.did_delete")


handlers = [
    list_segments,
    new_segment,
    create_segment,
    show_segment,
    change_segment,
    delete_segment,
]
