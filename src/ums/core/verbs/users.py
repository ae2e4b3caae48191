"""Verbs of users: searched, shown, and brought in by imports."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.identity.principals import Principal
from ums.core.imports import rejects, runner
from ums.core.imports.columns import Choice, HeaderRow, read_fields
from ums.core.messages.intake import Intake
from ums.core.spreadsheets.headings import letters
from ums.core.users import administration
from ums.core.users.administration import UserOrder
from ums.core.users.filters import Found
from ums.core.users.search import LONGEST
from ums.core.verbs.base import Id, Limit, Verb
from ums.errors import Invalid, recall

Language = Literal["en", "zh"]


class ImportOpen(Struct):
    path: str
    bind_id: str
    name: str
    sheet: str | None = None
    header_row: HeaderRow | None = None
    map: list[str] = []  # COLUMN=FIELD
    ignore: list[str] = []


class ImportId(Struct):
    id: Id
    language: Language = "en"


class ImportRejects(Struct):
    id: Id
    target: str
    language: Language = "en"


class UserList(Struct):
    search: Annotated[str, Meta(max_length=LONGEST)] | None = None
    prefix: str | None = None
    address: str | None = None
    tag: str | None = None
    segment: Id | None = None
    sort: UserOrder = "created_at"
    after: str | None = None
    limit: Limit = 100


class UserShow(Struct):
    userid: str


async def _local(system: AppContext) -> Principal:
    """Who is on the machine sees what every channel stored."""
    return Principal("local", frozenset({"admin"}), None, await system.directory.fresh())


async def _user_list(system: AppContext, _: Intake, p: UserList) -> object:
    found = Found(search=p.search, prefix=p.prefix, address=p.address, tag=p.tag, segment=p.segment)
    caller = await _local(system)
    async with system.database.read() as tx:
        return await administration.search(
            tx, caller, found, sort=p.sort, after=p.after, limit=p.limit
        )


async def _user_show(system: AppContext, _: Intake, p: UserShow) -> object:
    caller = await _local(system)
    async with system.database.read() as tx:
        return await administration.show(tx, caller, p.userid)


async def _import_open(system: AppContext, _: Intake, p: ImportOpen) -> object:
    choice = Choice(p.sheet, p.header_row, read_fields(p.map), p.ignore)
    found = await runner.open_import(
        system, Path(p.path), bind_id=p.bind_id, name=p.name, choice=choice
    )
    return _shown(found, "en")


async def _import_show(system: AppContext, _: Intake, p: ImportId) -> object:
    async with system.database.read() as tx:
        found = await runner.show(tx, p.id)
    if found is None:
        raise Invalid("import_unknown", id=p.id)
    return _shown(found, p.language)


def _shown(found: runner.Import, language: str) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(found)
    shown["detail"] = recall(found.detail, language)
    header: list[str] = msgspec.json.decode(shown.pop("header") or b"[]")
    columns: list[str] = msgspec.json.decode(shown.pop("mapping") or b"[]")
    named = [(heading or letters(i), columns[i]) for i, heading in enumerate(header)]
    shown["columns"] = ", ".join(f"{heading}={column}" for heading, column in named if column)
    shown["ignored"] = ", ".join(heading for heading, column in named if not column)
    times = {name: shown[name] for name in ("created_at", "finished_at") if shown[name]}
    return shown | {name: clock.iso(moment) for name, moment in times.items()}


async def _import_rejects(system: AppContext, _: Intake, p: ImportRejects) -> object:
    await rejects.rejected_workbook(system, p.id, Path(p.target), p.language)
    async with system.database.write() as tx:
        await audit_log.note(tx, "import.export", str(p.id))
    return {"file": p.target}


VERBS = {
    "user.list": Verb(UserList, _user_list),
    "user.show": Verb(UserShow, _user_show),
    "import.open": Verb(ImportOpen, _import_open),
    "import.show": Verb(ImportId, _import_show),
    "import.rejects": Verb(ImportRejects, _import_rejects),
}
