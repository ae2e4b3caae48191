"""Verbs of users: imports."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ums import clock
from ums.core import imports, rejects
from ums.core.messages import Intake
from ums.core.system import System
from ums.core.verbs.base import Id, Verb
from ums.errors import Invalid


class ImportOpen(Struct):
    path: str
    bind_id: str
    name: str


class ImportId(Struct):
    id: Id


class ImportRejects(Struct):
    id: Id
    target: str


async def _import_open(system: System, _: Intake, p: ImportOpen) -> object:
    return await imports.open_import(system, Path(p.path), bind_id=p.bind_id, name=p.name)


async def _import_show(system: System, _: Intake, p: ImportId) -> object:
    async with system.database.read() as tx:
        found = await imports.show(tx, p.id)
    if found is None:
        raise Invalid("import_unknown", id=p.id)
    shown: dict[str, Any] = msgspec.to_builtins(found)
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
