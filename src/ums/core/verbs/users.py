"""Verbs of users: imports."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ums import clock
from ums.core import imports, rejects
from ums.core.headings import letters
from ums.core.import_columns import Choice, HeaderRow, read_fields
from ums.core.messages import Intake
from ums.core.system import System
from ums.core.verbs.base import Id, Verb
from ums.errors import Invalid, recall


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


class ImportRejects(Struct):
    id: Id
    target: str


async def _import_open(system: System, _: Intake, p: ImportOpen) -> object:
    choice = Choice(p.sheet, p.header_row, read_fields(p.map), p.ignore)
    found = await imports.open_import(
        system, Path(p.path), bind_id=p.bind_id, name=p.name, choice=choice
    )
    return _shown(found)


async def _import_show(system: System, _: Intake, p: ImportId) -> object:
    async with system.database.read() as tx:
        found = await imports.show(tx, p.id)
    if found is None:
        raise Invalid("import_unknown", id=p.id)
    return _shown(found)


def _shown(found: imports.Import) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(found)
    shown["detail"] = recall(found.detail)
    header: list[str] = msgspec.json.decode(shown.pop("header") or b"[]")
    columns: list[str] = msgspec.json.decode(shown.pop("mapping") or b"[]")
    named = [(heading or letters(i), columns[i]) for i, heading in enumerate(header)]
    shown["columns"] = ", ".join(f"{heading}={column}" for heading, column in named if column)
    shown["ignored"] = ", ".join(heading for heading, column in named if not column)
    times = {name: shown[name] for name in ("created_at", "finished_at") if shown[name]}
    return shown | {name: clock.iso(moment) for name, moment in times.items()}


async def _import_rejects(system: System, _: Intake, p: ImportRejects) -> object:
    await rejects.rejected_workbook(system, p.id, Path(p.target))
    return {"file": p.target}


VERBS = {
    "import.open": Verb(ImportOpen, _import_open),
    "import.show": Verb(ImportId, _import_show),
    "import.rejects": Verb(ImportRejects, _import_rejects),
}
