"""Imports: spreadsheets of users, from the upload to taking it back."""

from pathlib import Path
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta, Struct

from ums.api.management.dependencies import Paging, System, expected, shown
from ums.api.responses import language_of
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.core.imports import drafts, rejects, undo
from ums.core.imports.columns import Choice, HeaderRow, Sheet
from ums.core.imports.drafts import ImportInfo, Preview, State
from ums.core.imports.dry_run import DryRun, dry_run
from ums.web.bodies import BoundedRequest as Call
from ums.web.streams import pieces_of, temporary_file

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Upload(Struct, frozen=True, forbid_unknown_fields=True):
    """A spreadsheet, .xlsx, .ods or .csv."""

    file: UploadFile
    bind_id: str = "all"
    sheet: Annotated[
        Sheet | None, Meta(description="Of a workbook; if not given, the first with a table.")
    ] = None
    header_row: Annotated[
        HeaderRow | None,
        Meta(
            description="The number of the row with the headings, 0 for none; if not given, it is "
            "found."
        ),
    ] = None


class ImportChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different of a draft; what is left out or null stays."""

    columns: Annotated[
        list[str] | None,
        Meta(description='What each column of the file holds, in its order; "" nothing.'),
    ] = None
    fields: Annotated[
        dict[str, str] | None,
        Meta(
            description="What some columns hold, by heading or letter; the others stay. A field, "
            '`user.` and an attribute, `email+userid`, or "" for nothing.'
        ),
    ] = None
    sheet: Annotated[
        Sheet | None,
        Meta(description="Which sheet of a workbook; its columns are guessed if not given."),
    ] = None
    header_row: Annotated[
        HeaderRow | None,
        Meta(
            description="The row with the headings, 0 for none; its columns are guessed if not "
            "given."
        ),
    ] = None
    bind_id: Annotated[
        str | None, Meta(description="Where values go whose row names no bind id.")
    ] = None


@get("/api/imports", scope="users:read", channels="all")
async def list_imports(
    system: System,
    request: Call,
    paging: Paging,
    of_state: Annotated[State | None, QueryParameter(name="state")] = None,
    sort: FromQuery[ByName] = "-created_at",
) -> Page[ImportInfo]:
    """All imports, the newest first."""
    async with system.database.read() as tx:
        return await drafts.list_imports(
            tx,
            state=of_state,
            sort=sort,
            after=paging.after,
            limit=paging.limit,
            language=language_of(request),
        )


@post("/api/imports", scope="users:write", channels="all", body="upload")
async def upload_import(
    system: System, request: Call, data: MultipartBody[Upload]
) -> Response[ImportInfo]:
    """Upload a spreadsheet as a draft; what its columns hold is guessed from their names."""
    made = await drafts.upload(
        system,
        data.file.file,
        data.file.filename,
        bind_id=data.bind_id,
        choice=Choice(data.sheet, data.header_row),
    )
    return shown(request, made, 201)


@get("/api/imports/{id:int}", scope="users:read", channels="all")
async def show_import(system: System, request: Call, id: FromPath[int]) -> Response[ImportInfo]:
    """An import and how far it is."""
    async with system.database.read() as tx:
        return shown(request, await drafts.show(tx, id, language_of(request)))


@patch("/api/imports/{id:int}", scope="users:write", channels="all")
async def change_import(
    system: System, request: Call, id: FromPath[int], data: JSONBody[ImportChange]
) -> Response[ImportInfo]:
    """Say what the columns of a draft hold, and where its values go."""
    changed = await drafts.change(
        system,
        id,
        columns=data.columns,
        bind_id=data.bind_id,
        choice=Choice(data.sheet, data.header_row, data.fields or {}),
        expect=expected(request),
    )
    return shown(request, changed)


@delete("/api/imports/{id:int}", scope="users:write", channels="all")
async def delete_import(system: System, request: Call, id: FromPath[int]) -> None:
    """Throw a draft away."""
    await drafts.remove(system, id, expected(request))


@get("/api/imports/{id:int}/preview", scope="users:read", channels="all")
async def preview_import(system: System, id: FromPath[int]) -> Preview:
    """The columns and the first rows of a draft."""
    return await drafts.preview(system, id)


@get("/api/imports/{id:int}/dry-run", scope="users:read", channels="all")
async def dry_run_import(system: System, request: Call, id: FromPath[int]) -> DryRun:
    """What the draft would do as the users are now, counted without doing it. The reasons of
    invalid rows are in the language of Accept-Language: en or zh."""
    return await dry_run(system, id, language_of(request))


@post("/api/imports/{id:int}/start", scope="users:write", channels="all", status_code=200)
async def start_import(system: System, request: Call, id: FromPath[int]) -> Response[ImportInfo]:
    """Do it: the engine begins within a second."""
    return shown(request, await drafts.start(system, id))


@post("/api/imports/{id:int}/undo", scope="users:write", channels="all", status_code=200)
async def undo_import(system: System, request: Call, id: FromPath[int]) -> Response[ImportInfo]:
    """Take it back, in the next 30 days: what nobody changed since is as it was before."""
    await undo.request(system, id)
    async with system.database.read() as tx:
        return shown(request, await drafts.show(tx, id, language_of(request)))


@get(
    "/api/imports/{id:int}/rejects", scope="users:read", channels="all", gives=XLSX, media_type=XLSX
)
async def download_rejects(system: System, request: Call, id: FromPath[int]) -> Stream:
    """The rows that were rejected as a workbook (.xlsx), each with its reason in the language of
    Accept-Language: en or zh."""
    language = language_of(request)

    async def write(path: Path) -> None:
        await rejects.rejected_workbook(system, id, path, language)

    file = await temporary_file(system.settings.data_dir, ".xlsx", write)
    headers = {"Content-Disposition": f'attachment; filename="import-{id}-rejected.xlsx"'}
    return Stream(pieces_of(file), media_type=XLSX, headers=headers)


handlers = [
    list_imports,
    upload_import,
    show_import,
    change_import,
    delete_import,
    preview_import,
    dry_run_import,
    start_import,
    undo_import,
    download_rejects,
]
