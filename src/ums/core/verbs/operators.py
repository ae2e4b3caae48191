"""Verbs of operators."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ums.core import operators
from ums.core.channels import find
from ums.core.messages import Intake
from ums.core.operators import ADMINISTRATOR, Role
from ums.core.system import System
from ums.core.verbs.base import Verb
from ums.core.verbs.management import Part


class OperatorCreate(Struct):
    name: str
    password: str
    role: Role = ADMINISTRATOR
    channels: list[str] | None = None  # keys; None: all


class OperatorPassword(Struct):
    name: str
    password: str


class OperatorChange(Struct):
    name: str
    role: Role | None = None
    disabled: bool | None = None
    channels: list[str] | UnsetType | None = UNSET  # keys; None: all


async def _create(system: System, _: Intake, p: OperatorCreate) -> object:
    channels = await _ids(system, p.channels)
    return await operators.create(system, p.name, p.password, p.role, channels=channels)


async def _password(system: System, _: Intake, p: OperatorPassword) -> object:
    return await operators.set_password(system, p.name, p.password)


async def _list(system: System, _: Intake, p: Part) -> object:
    return await operators.list_operators(system, after=p.after, limit=p.limit)


async def _change(system: System, _: Intake, p: OperatorChange) -> object:
    given: dict[str, Any] = msgspec.structs.asdict(p)
    if p.channels is not UNSET:
        given["channels"] = await _ids(system, p.channels)
    return await operators.change(system, given.pop("name"), **given)


async def _ids(system: System, keys: list[str] | None) -> list[int] | None:
    """Raises NotFound for a key that no channel has."""
    system.directory.forget()
    now = await system.directory.now()
    return None if keys is None else [find(now, key).id for key in keys]


VERBS = {
    "operator.create": Verb(OperatorCreate, _create),
    "operator.password": Verb(OperatorPassword, _password),
    "operator.list": Verb(Part, _list),
    "operator.change": Verb(OperatorChange, _change),
}
