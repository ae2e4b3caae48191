"""Verbs of operators."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ums.core.channels.channels import find
from ums.core.context.app_context import AppContext
from ums.core.identity import operator_access, operators
from ums.core.identity.operators import ADMINISTRATOR, Role
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Id, Verb
from ums.core.verbs.management import Part


class OperatorCreate(Struct):
    name: str
    password: str
    role: Role = ADMINISTRATOR
    channels: list[str] | None = None  # keys; None: all


class OperatorPassword(Struct):
    name: str
    password: str


class OperatorName(Struct):
    name: str


class OperatorSession(Struct):
    name: str
    id: Id | None = None  # None: all of them


class OperatorChange(Struct):
    name: str
    role: Role | None = None
    disabled: bool | None = None
    channels: list[str] | UnsetType | None = UNSET  # keys; None: all


async def _create(system: AppContext, _: Intake, p: OperatorCreate) -> object:
    channels = await _ids(system, p.channels)
    return await operators.create(system, p.name, p.password, p.role, channels=channels)


async def _password(system: AppContext, _: Intake, p: OperatorPassword) -> object:
    return await operators.set_password(system, p.name, p.password)


async def _list(system: AppContext, _: Intake, p: Part) -> object:
    return await operators.list_operators(system, after=p.after, limit=p.limit)


async def _change(system: AppContext, _: Intake, p: OperatorChange) -> object:
    given: dict[str, Any] = msgspec.structs.asdict(p)
    if p.channels is not UNSET:
        given["channels"] = await _ids(system, p.channels)
    return await operators.change(system, given.pop("name"), **given)


async def _sessions(system: AppContext, _: Intake, p: OperatorName) -> object:
    return await operator_access.sessions_of(system, p.name)


async def _end_session(system: AppContext, _: Intake, p: OperatorSession) -> object:
    if p.id is None:
        await operator_access.end_sessions(system, p.name)
    else:
        await operator_access.end_session(system, p.name, p.id)
    return await operator_access.sessions_of(system, p.name)


async def _reset_second_factor(system: AppContext, _: Intake, p: OperatorName) -> object:
    return await operator_access.reset_second_factor(system, p.name)


async def _ids(system: AppContext, keys: list[str] | None) -> list[int] | None:
    """Raises NotFound for a key that no channel has."""
    now = await system.directory.fresh()
    return None if keys is None else [find(now, key).id for key in keys]


VERBS = {
    "operator.create": Verb(OperatorCreate, _create),
    "operator.password": Verb(OperatorPassword, _password),
    "operator.list": Verb(Part, _list),
    "operator.change": Verb(OperatorChange, _change),
    "operator.sessions": Verb(OperatorName, _sessions),
    "operator.end_session": Verb(OperatorSession, _end_session),
    "operator.reset_second_factor": Verb(OperatorName, _reset_second_factor),
}
