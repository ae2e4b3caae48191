"""Uploading users: a spreadsheet, what its columns hold, and what became of its rows."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import xlsxwriter
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import ServerSentEvent, Stream

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, lists, refused, sort_of, whole
from ums.console.i18n import Words, language_of
from ums.console.live_updates import live
from ums.console.rendering import SAFE_HEADERS, XLSX, AnyRequest, go, page, render
from ums.console.stream_guard import watched
from ums.core.audit import audit_log
from ums.core.common.sorting import ByName
from ums.core.identity.principals import Principal
from ums.core.imports import drafts, rejects
from ums.core.imports import undo as import_undo
from ums.core.imports.columns import Choice, has_userid
from ums.core.imports.drafts import ColumnView, ImportInfo, Preview, TopRow
from ums.core.imports.dry_run import dry_run
from ums.core.imports.row_mapping import KIND_OF
from ums.core.spreadsheets.headings import (
    ATTRIBUTE,
    BOTH,
    COLUMNS,
    attribute_for,
    is_attribute,
    letters,
)
from ums.core.users.visibility import bind_names
from ums.errors import Conflict, Invalid, UmsError
from ums.web.streams import pieces_of, temporary_file

MOVING: Final = ("waiting", "running", "undoing")


@get("/imports", scope="users:read", channels="all")
async def list_imports(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """The form to upload, and what was uploaded before."""
    return await _uploads(request, system, visitor, Form({"bind_id": "all", "file": ""}))


async def _uploads(
    request: AnyRequest, system: System, visitor: Any, form: Form, status: int = 200
) -> Response[str]:
    async with system.database.read() as tx:
        after, sort = request.query_params.get("after"), sort_of(request, ByName, "-created_at")
        found = await drafts.list_imports(tx, sort=sort, after=after, limit=20)
    return page(
        request,
        "imports/list.html",
        status=status,
        form=form,
        found=found,
        sort=sort,
        binds=bind_names(visitor.caller),
    )


@post("/imports", scope="users:write", channels="all", body="upload")
async def upload(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    data: Any = await request.form()
    file, bind_id = data.get("file"), str(data.get("bind_id") or "all")
    try:
        if not isinstance(file, UploadFile) or not file.filename:
            raise Invalid("missing", field="file")
        made = await drafts.upload(
            system, file.file, file.filename, bind_id=bind_id, remembered=True
        )
    except UmsError as error:
        form = refused(request, {"bind_id": bind_id, "file": ""}, error, {"file": "file"})
        return await _uploads(request, system, visitor, form, error.status)
    return go(f"/imports/{made.id}")


@get("/imports/template.xlsx", scope="users:read", channels="own")
async def template() -> Response[bytes]:
    """A workbook to fill in: the guide's own columns."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("users")
        for place, name in enumerate(("userid", "email")):
            sheet.write_string(0, place, name)
            sheet.write_string(1, place, ("zhangsan", "zhangsan@example.com")[place])
        sheet.set_column(0, 1, 28)
    headers = {**SAFE_HEADERS, "Content-Disposition": 'attachment; filename="users.xlsx"'}
    return Response(file.getvalue(), media_type=XLSX, headers=headers)


@get("/imports/{id:int}", scope="users:read", channels="all")
async def show_import(
    request: AnyRequest, system: System, visitor: Visitor, id: FromPath[int]
) -> Response[str]:
    """Before it is started what its columns hold; then how far it is."""
    async with system.database.read() as tx:
        found = await drafts.show(tx, id, language_of(request))
    if found.state == "draft":
        return await _draft(
            request,
            system,
            visitor,
            found,
            Form(
                {
                    "bind_id": found.bind_id,
                    "sheet": found.sheet or "",
                    "header_row": 1 if found.header_row is None else found.header_row,
                }
            ),
        )
    return page(request, "imports/show.html", **_progress(found))


@get("/imports/{id:int}/live", scope="users:read", channels="all")
async def live_import(request: AnyRequest, system: System, id: FromPath[int]) -> ServerSentEvent:
    """How far it is, while it is."""

    async def look() -> tuple[str, bool]:
        async with system.database.read() as tx:
            found = await drafts.show(tx, id, language_of(request))
        html = render(request, "imports/_progress.html", **_progress(found))
        return html, found.state not in MOVING

    await look()  # raises NotFound in time
    return live(request, look)


def _progress(found: ImportInfo) -> dict[str, Any]:
    return {"found": found, "moving": found.state in MOVING, "pace": _pace(found)}


def _pace(found: ImportInfo) -> tuple[int, int] | None:
    """Rows a second since it began, and the seconds that the rest will take; None: not known."""
    if found.state != "running" or found.started_at is None or not found.read:
        return None
    seconds = max(0.001, (clock.now() - clock.read(found.started_at)) / clock.SECOND)
    rate = found.read / seconds
    return round(rate), round((found.size - found.read) / rate)


@get("/imports/{id:int}/dry-run", scope="users:read", channels="all")
async def count_import(request: AnyRequest, system: System, id: FromPath[int]) -> Response[str]:
    """What a draft would do. htmx asks for that part while the page is read."""
    return await _counted(request, system, id)


async def _counted(
    request: AnyRequest, system: Any, id: int, error: UmsError | None = None
) -> Response[str]:
    counted = None
    if error is None:
        try:
            counted = await dry_run(system, id, language_of(request))
        except (Conflict, Invalid) as found:
            error = found
    form = Form({}) if error is None else refused(request, {}, error)
    part = request.headers.get("hx-request") == "true"
    name = "imports/_dry_run.html" if part else "imports/dry_run.html"
    why = "trouble" if counted is None else "" if counted.users else "no_good_row"
    if counted is not None and not counted.size:
        why = "no_rows"
    return page(request, name, counted=counted, form=form, id=id, why=why, part=part)


async def _draft(
    request: AnyRequest,
    system: System,
    visitor: Any,
    found: ImportInfo,
    form: Form,
    status: int = 200,
    typed: Sequence[str] = (),
) -> Response[str]:
    try:
        preview = await drafts.preview(system, found.id)
    except (Conflict, Invalid) as error:  # its file lies on another machine, say
        preview, form = None, refused(request, form.values, error)
    columns = preview.columns if preview else []
    holds = [typed[place] if place < len(typed) else one.holds for place, one in enumerate(columns)]
    return page(
        request,
        "imports/draft.html",
        status=status,
        found=found,
        preview=preview,
        form=form,
        holds=holds,
        known=_offered(visitor.caller, holds),
        wrong=_column_errors(holds, language_of(request)),
        names=[_attribute(one, column) for one, column in zip(holds, columns, strict=True)],
        sheets=[] if preview is None else [(name, name) for name in preview.sheets],
        tops=[] if preview is None else _header_rows(preview, language_of(request)),
        counted=None,
        part=False,
        why="no_rows" if not found.size else "" if has_userid(holds) else "no_userid",
        binds=bind_names(visitor.caller),
    )


def _offered(caller: Principal, holds: Sequence[str]) -> list[str]:
    """The fields that a column may hold: those of senders that there are, and those in use."""
    kinds = {"email", "phone", "tag", *(one.type for one in caller.snapshot.senders.values())}
    usual = ("userid", BOTH, "email", *COLUMNS)
    return [
        name
        for name in dict.fromkeys(usual)
        if name in holds or KIND_OF.get(name, "email") in kinds
    ]


def _attribute(holds: str, column: ColumnView) -> str:
    """The name of the attribute that the column fills, or would."""
    if holds.startswith(ATTRIBUTE):
        return holds.removeprefix(ATTRIBUTE)
    return attribute_for(column.header) or column.letter.lower()


def _header_rows(preview: Preview, language: str) -> list[tuple[int, str]]:
    """The rows that may be chosen as the header: the first ones, the present one, or none."""
    rows = {one.row: _top(one) for one in preview.top}
    headings = TopRow(preview.header_row, [column.header for column in preview.columns])
    rows.setdefault(preview.header_row, _top(headings))
    return [(0, Words(language)("imports.no_header_row")), *sorted((rows | {0: ""}).items())[1:]]


def _top(one: TopRow) -> str:
    return f"{one.row}: {' · '.join(cell for cell in one.cells if cell)}"[:80]


def _columns(fields: dict[str, list[str]]) -> list[str]:
    """What was chosen for each column."""
    columns = fields.get("column", [])
    names = [*fields.get("attribute", []), *[""] * len(columns)]
    return [
        f"{ATTRIBUTE}{name.strip()}" if one == ATTRIBUTE else one
        for one, name in zip(columns, names, strict=False)
    ]


def _column_errors(columns: Sequence[str], language: str) -> list[str]:
    """What is wrong with each column, "" where nothing is: told in the words of the page."""
    words, errors = Words(language), list[str]()
    for place, column in enumerate(columns):
        taken = {BOTH, "userid", "email"} if column == BOTH else {column, BOTH}
        alike = taken if column in ("userid", "email", BOTH) else {column}
        before = [letters(other) for other in range(place) if columns[other] in alike]
        if column.startswith(ATTRIBUTE) and not is_attribute(column):
            errors.append(words("imports.attribute_wrong"))
        elif column and before:
            errors.append(words("imports.column_twice", letter=before[0]))
        else:
            errors.append("")
    return errors


def _check_columns(columns: Sequence[str], language: str) -> None:
    """Raises Invalid with what is wrong with each column."""
    wrong = _column_errors(columns, language)
    told = [f"{letters(place)} – {words}" for place, words in enumerate(wrong) if words]
    if told:
        raise Invalid("columns_wrong", columns=" ".join(told))


@post("/imports/{id:int}", scope="users:write", channels="all")
async def start_import(
    request: AnyRequest, system: System, visitor: Visitor, id: FromPath[int]
) -> Response[str]:
    """Keep what the columns hold, and with `start` do it."""
    fields = await lists(request)
    last = {name: values[-1] for name, values in fields.items()}
    bind_id, columns = last.get("bind_id") or "all", _columns(fields)
    part = request.headers.get("hx-request") == "true"
    try:
        if "take" in fields:
            choice = Choice(last.get("sheet") or None, _row_of(last))
            await drafts.change(system, id, bind_id=bind_id, choice=choice, remembered=True)
            return go(f"/imports/{id}")
        _check_columns(columns, language_of(request))
        await drafts.change(system, id, columns=columns, bind_id=bind_id)
        if "start" in fields:
            await drafts.start(system, id)
    except Conflict:
        audit_log.look()
        return go(f"/imports/{id}")  # somebody was quicker: the page says how it stands
    except UmsError as error:
        audit_log.look()
        if part:
            return await _counted(request, system, id, error)
        async with system.database.read() as tx:
            found = await drafts.show(tx, id, language_of(request))
        values = {"bind_id": bind_id, "sheet": found.sheet or "", "header_row": found.header_row}
        form = refused(request, values, error)
        return await _draft(request, system, visitor, found, form, error.status, columns)
    return await _counted(request, system, id) if part else go(f"/imports/{id}")


def _row_of(fields: dict[str, str]) -> int | None:
    """The header's row, where another than before was chosen: a sheet that changed has its own."""
    if fields.get("sheet", "") != fields.get("sheet_before", ""):
        return None
    return whole(fields.get("header_row", ""), 7)


@post("/imports/{id:int}/dismiss", scope="users:write", channels="all")
async def dismiss(system: System, id: FromPath[int]) -> Response[str]:
    """Show it on the first page no more."""
    await drafts.dismiss(system, id)
    return go("/home")


@post("/imports/{id:int}/delete", scope="users:write", channels="all")
async def delete_import(system: System, id: FromPath[int]) -> Response[str]:
    await drafts.remove(system, id)
    return go("/imports", "imports.did_delete")


@post("/imports/{id:int}/undo", scope="users:write", channels="all")
async def undo(system: System, id: FromPath[int]) -> Response[str]:
    await import_undo.request(system, id)
    system.wake.set()
    return go(f"/imports/{id}")


@get("/imports/{id:int}/rejects", scope="users:read", channels="all", recent="/imports/{id}")
async def download_rejects(request: AnyRequest, system: System, id: FromPath[int]) -> Stream:
    """The rejected rows as a workbook, each with its reason."""
    language = language_of(request)

    async def write(path: Path) -> None:
        await rejects.rejected_workbook(system, id, path, language)

    file = await temporary_file(system.settings.data_dir, ".xlsx", write)
    shown = f'attachment; filename="import-{id}-rejected.xlsx"'
    headers = {**SAFE_HEADERS, "Content-Disposition": shown}
    return Stream(watched(request, pieces_of(file)), media_type=XLSX, headers=headers)


handlers = [
    list_imports,
    upload,
    template,
    show_import,
    live_import,
    count_import,
    start_import,
    delete_import,
    undo,
    dismiss,
    download_rejects,
]
