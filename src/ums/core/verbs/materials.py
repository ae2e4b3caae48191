"""Verbs of materials."""

from pathlib import Path

from msgspec import Struct

from ums.core.content import material_upload, materials
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Id, Verb


class MaterialUpload(Struct):
    path: str
    ttl: int = material_upload.HOURS


class MaterialList(Struct):
    after: str | None = None
    limit: int = 100


class MaterialId(Struct):
    id: Id


async def _material_upload(system: AppContext, _: Intake, p: MaterialUpload) -> object:
    return await material_upload.store_file(system, Path(p.path), p.ttl)


async def _material_list(system: AppContext, _: Intake, p: MaterialList) -> object:
    return await materials.list_materials(system, after=p.after, limit=p.limit)


async def _material_delete(system: AppContext, _: Intake, p: MaterialId) -> object:
    return await materials.delete_material(system, p.id)


VERBS = {
    "material.upload": Verb(MaterialUpload, _material_upload),
    "material.list": Verb(MaterialList, _material_list),
    "material.delete": Verb(MaterialId, _material_delete),
}
