"""Segments: users by conditions, counted and looked at before they are saved."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, given, refused, sort_of
from ums.console.i18n import Words, language_of
from ums.console.rendering import AnyRequest, go, page
from ums.console.users import segment_builder as builder
from ums.console.users.segment_builder import Row
from ums.core.audit import audit_log
from ums.core.common.field_errors import all_of
from ums.core.common.sorting import ByName
from ums.core.users import segments
from ums.core.users.segment_conditions import read
from ums.core.users.visibility import bind_names
from ums.errors import Detail, Invalid, UmsError

SAMPLE: Final = 20
NOT_YET: Final[dict[str, Any]] = {"counted": None, "sample": None}


@get("/segments", scope="segments:read", channels="own")
async def list_segments(request: AnyRequest, system: System) -> Response[str]:
    after, sort = request.query_params.get("after"), sort_of(request, ByName, "created_at")
    found = await segments.page_segments(system, sort=sort, after=after, limit=50)
    return page(request, "segments/list.html", found=found, sort=sort)


@get("/segments/new", scope="segments:write", channels="all")
async def new_segment(request: AnyRequest, visitor: Visitor) -> Response[str]:
    return _form(
        request, visitor, Form({"name": "", **_shown({}), "rows": [builder.new_row("tag")]})
    )


@post("/segments", scope="segments:write", channels="all", status_code=200)
async def create_segment(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """Any other button than the one that saves only changes the form, or counts."""
    return await _save(request, system, visitor, None)


@post("/segments-count", scope="segments:write", channels="all", status_code=200)
async def count_segment(request: AnyRequest, system: System) -> Response[str]:
    """The count and the sample alone, while the conditions are being written."""
    values = _values(await given(request))
    form, found = _lacking(request, values), dict[str, Any]()
    if not form.errors:
        try:
            found = await _found(system, values)
        except UmsError as error:
            form = _wrong(request, values, error)
    return page(request, "segments/_found.html", form=form, **{**NOT_YET, **found})


@get("/segments/{segment_id:int}", scope="segments:read", channels="own")
async def show_segment(
    request: AnyRequest, system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    """How many it has; whom, only for whoever sees every channel's users."""
    found = await segments.show(system, segment_id)
    counted = await segments.count(system, found.conditions)
    sample = None
    if visitor.caller.channels is None:
        sample = await segments.sample(system, found.conditions, limit=SAMPLE)
    form = Form({"name": found.name, **_shown(found.conditions)})
    return _form(request, visitor, form, id=found.id, counted=counted, sample=sample)


@post("/segments/{segment_id:int}", scope="segments:write", channels="all", status_code=200)
async def change_segment(
    request: AnyRequest, system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    return await _save(request, system, visitor, segment_id)


async def _save(request: AnyRequest, system: Any, visitor: Any, id: int | None) -> Response[str]:
    fields = await given(request)
    values = _values(fields)
    audit_log.look()  # unless it is stored, which is noted where it is done
    if _edited(values, fields):
        return _form(request, visitor, Form(values), id=id)
    saves = not {"switch", "count"} & set(fields)
    flaws = await segments.errors_of_name(system, values["name"], id or 0) if saves else []
    form = _lacking(request, values, flaws)
    if form.errors:
        return _form(request, visitor, form, id=id, status=_status(flaws))
    try:
        if "switch" in fields:
            return _form(request, visitor, Form(_switched(values)), id=id)
        if "count" in fields:
            return _form(request, visitor, form, id=id, **await _found(system, values))
        id = await _store(system, values, id, visitor.caller.name)
    except UmsError as error:
        form = _wrong(request, values, error)
        return _form(request, visitor, form, id=id, status=error.status)
    return go(f"/segments/{id}", "segments.did_save")


async def _store(system: Any, values: dict[str, Any], id: int | None, actor: str) -> int:
    name, conditions = values["name"], _conditions(values)
    if id is None:
        return (await segments.create(system, name, conditions, actor=actor)).id
    await segments.change(system, id, name=name, conditions=conditions, actor=actor)
    return id


async def _found(system: Any, values: dict[str, Any]) -> dict[str, Any]:
    conditions = _conditions(values)
    counted = await segments.count(system, conditions)
    return {"counted": counted, "sample": await segments.sample(system, conditions, limit=SAMPLE)}


# -- the form -----------------------------------------------------------------------------------


def _form(
    request: AnyRequest,
    visitor: Any,
    form: Form,
    *,
    id: int | None = None,
    status: int = 200,
    **found: Any,
) -> Response[str]:
    channels = [(key, name) for key, name in bind_names(visitor.caller).items() if name]
    values = {**NOT_YET, **found}
    return page(
        request, "segments/form.html", status=status, id=id, form=form, channels=channels, **values
    )


def _values(fields: dict[str, str]) -> dict[str, Any]:
    """The form as it was sent; `mode` says whether by rows or as JSON."""
    return {
        "name": fields.get("name", "").strip(),
        "mode": "rows" if fields.get("mode") == "rows" else "json",
        "join": "any" if fields.get("join") == "any" else "all",
        "rows": builder.rows_in(fields),
        "conditions": fields.get("conditions", ""),
        "added": None,
        "unsaved": fields.get("unsaved", "")[:1],  # what the script of the page has found
    }


def _shown(conditions: dict[str, Any]) -> dict[str, Any]:
    """The form of conditions that there are: by rows, where rows can say them."""
    text = msgspec.json.format(msgspec.json.encode(conditions), indent=2).decode()
    by_rows = builder.rows_of(conditions)
    join, rows = by_rows or ("all", [])
    mode = "json" if by_rows is None else "rows"
    return {"mode": mode, "join": join, "rows": rows, "conditions": text, "added": None}


def _edited(values: dict[str, Any], fields: dict[str, str]) -> bool:
    """Whether a button was pressed that adds a row, takes one away (`values` have it done), or
    asks for the form in another language."""
    if "again" in fields:
        return True
    rows: list[Row] = values["rows"]
    if fields.get("add") in builder.KINDS and len(rows) < builder.MOST_ROWS:
        values["added"] = len(rows)
        rows.append(builder.new_row(fields["add"]))
        return True
    drop = fields.get("drop", "")
    if drop.isdecimal() and int(drop) < len(rows):
        del rows[int(drop)]
        return True
    return False


def _switched(values: dict[str, Any]) -> dict[str, Any]:
    """From rows to JSON, or back. Raises Invalid where rows cannot say it."""
    shown = _shown(_conditions(values))
    if values["mode"] == "rows":
        shown["mode"] = "json"
    elif shown["mode"] == "json":
        raise Invalid("not_as_rows", field="conditions")
    return {**values, **shown}


def _conditions(values: dict[str, Any]) -> dict[str, Any]:
    """Raises Invalid."""
    if values["mode"] == "rows":
        return builder.conditions_of(values["rows"], values["join"])
    try:
        return msgspec.json.decode(values["conditions"] or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("misfit", field="conditions", detail=Detail("not_an_object")) from None


def _lacking(request: AnyRequest, values: dict[str, Any], flaws: Sequence[UmsError] = ()) -> Form:
    """The form, with what each row still needs or is wrong with it, and `flaws`."""
    language = language_of(request)
    if values["mode"] != "rows":
        json = all_of([lambda: read(_conditions(values))]) if flaws else []
        return Form(values, others=[*flaws, *map(_of_json, json)], language=language)
    form, words = Form(values, others=flaws, language=language), Words(language)
    for i, row in enumerate(values["rows"]):
        lack, wrong = builder.lack_of(row), builder.flaw_of(row)
        if lack or wrong is not None:
            form.errors[f"row-{i}"] = words(lack) if lack else _detail(wrong, language)
    return form


def _status(flaws: Sequence[UmsError]) -> int:
    return flaws[0].status if flaws else 400


def _of_json(error: UmsError) -> UmsError:
    """The same, about the field of the form: that is where the place within it is."""
    if str(error.values.get("field", "")).startswith("conditions"):
        error.values["field"] = "conditions"
    return error


def _detail(error: UmsError | None, language: str) -> str:
    """What is wrong with a row, which needs no place."""
    detail = "" if error is None else error.values.get("detail", "")
    words = detail.words(language) if isinstance(detail, Detail) else str(detail)
    return words[:1].upper() + words[1:]


def _wrong(request: AnyRequest, values: dict[str, Any], error: UmsError) -> Form:
    """The form, with what is wrong beside the row it is about, or under the JSON."""
    place = str(error.values.get("field", ""))
    row = builder.row_at(place) if values["mode"] == "rows" else None
    if row is not None:
        form = Form(values)
        form.errors[f"row-{row}"] = _detail(error, language_of(request))
        return form
    return refused(request, values, _of_json(error))


@post("/segments/{segment_id:int}/delete", scope="segments:write", channels="all")
async def delete_segment(
    system: System, visitor: Visitor, segment_id: FromPath[int]
) -> Response[str]:
    await segments.remove(system, segment_id, actor=visitor.caller.name)
    return go("/segments", "segments.did_delete")


handlers = [
    list_segments,
    new_segment,
    create_segment,
    count_segment,
    show_segment,
    change_segment,
    delete_segment,
]
