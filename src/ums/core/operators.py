"""Operators: the people who work with the console."""

import asyncio
import secrets
from collections.abc import Collection
from functools import cache
from typing import Any, Literal, get_args

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import func, insert, select, update

from ums import clock
from ums.core import audit, sessions
from ums.core.editing import Expect, anything
from ums.core.models import operators
from ums.core.paging import MOST, Page, cut
from ums.core.sorting import ByName, Order
from ums.core.system import System
from ums.db import Tx
from ums.errors import Conflict, Invalid, NotFound

Role = Literal["administrator", "operator", "viewer"]
ADMINISTRATOR: Role = "administrator"
_ORDER = Order(operators.c.id, (operators.c.name,))
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1_000
_hasher = PasswordHasher()


class OperatorInfo(Struct, frozen=True):
    """An operator as it is shown: everything but the password."""

    name: str
    role: str
    disabled: bool
    created_at: str


async def create(
    system: System,
    name: str,
    password: str,
    role: Role = ADMINISTRATOR,
    *,
    must_change: bool = False,
) -> None:
    """Make an operator; one who exists gets the new password and role. Raises Invalid.

    With `must_change` the console asks for another password at once.
    """
    _check(name, role)
    values = {"password_hash": await _hashed(password), "role": role, "disabled": False}
    values["must_change"] = must_change
    async with system.database.write() as tx:
        mine = operators.c.name == name
        done = await tx.run(update(operators).where(mine).values(values))
        if done.count == 0:
            await tx.run(insert(operators), {**values, "name": name, "created_at": clock.now()})
        await audit.note(tx, "operator.create", name, role)


async def add(system: System, name: str, password: str, role: Role) -> OperatorInfo:
    """Make an operator. Raises Conflict when there is one of this name, Invalid."""
    _check(name, role)
    values = {"password_hash": await _hashed(password), "role": role, "disabled": False}
    async with system.database.write() as tx:
        if await tx.first(select(operators.c.id).where(operators.c.name == name)):
            raise Conflict("name_taken", name=name)
        await tx.run(insert(operators), {**values, "name": name, "created_at": clock.now()})
        await audit.note(tx, "operator.create", name, role)
        return _info(await _row(tx, name))


async def change(
    system: System,
    name: str,
    *,
    role: Role | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    channels: list[int] | UnsetType | None = UNSET,
    expect: Expect = anything,
    keep: int | None = None,
) -> OperatorInfo:
    """Change what is given; `channels` are ids of those it may work for, None is all.

    Another password, and being disabled, end the operator's sessions in the console, but for the
    one `keep`.

    Raises NotFound, Invalid, what `expect` raises, and Conflict where no administrator would be
    left.
    """
    if role is not None:
        _check(name, role)
    given: dict[str, Any] = {"role": role, "disabled": disabled}
    values = {field: value for field, value in given.items() if value is not None}
    if channels is not UNSET:
        values["channels"] = None if channels is None else msgspec.json.encode(channels).decode()
    told = ", ".join(f"{field}: {value}" for field, value in values.items())
    if password is not None:
        values |= {"password_hash": await _hashed(password), "must_change": False}
        told = f"{told}, password" if told else "password"
    async with system.database.write() as tx:
        # All of them, in one order: two who demote each other take turns.
        await tx.rows(select(operators.c.id).order_by(operators.c.id).with_for_update())
        before = _info(await _row(tx, name))
        expect(before)
        if values:
            await tx.run(update(operators).where(operators.c.name == name).values(values))
            if before.role == ADMINISTRATOR and not before.disabled:
                await _keep_one(tx)
            if password is not None or disabled:
                await sessions.forget(tx, (await _row(tx, name)).id, but=keep)
            await audit.note(tx, "operator.change", name, told)
        return _info(await _row(tx, name))


async def _keep_one(tx: Tx) -> None:
    good = (operators.c.role == ADMINISTRATOR) & ~operators.c.disabled
    if not await tx.value(select(func.count()).select_from(operators).where(good)):
        raise Conflict("last_administrator")


async def list_operators(
    system: System,
    *,
    sort: ByName = "created_at",
    after: str | None = None,
    limit: int = MOST,
) -> Page[OperatorInfo]:
    """All operators, in the order they were made unless `sort` says another."""
    query = _ORDER.sort(select(operators), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(limit + 1))
    return cut(rows, limit, _info, _ORDER.place(sort))


async def channels_of(system: System, names: Collection[str]) -> dict[str, list[int] | None]:
    """The ids of the channels that each may work for; None: all."""
    query = select(operators.c.name, operators.c.channels).where(operators.c.name.in_(names))
    async with system.database.read() as tx:
        rows = await tx.rows(query)
    return {
        row.name: None if row.channels is None else msgspec.json.decode(row.channels)
        for row in rows
    }


async def show(system: System, name: str) -> OperatorInfo:
    """Raises NotFound."""
    async with system.database.read() as tx:
        return _info(await _row(tx, name))


async def create_first(system: System) -> str | None:
    """Make the administrator of a new installation; its password, or None when there is one."""
    async with system.database.read() as tx:
        if await tx.first(select(operators.c.id).limit(1)):
            return None
    password = secrets.token_urlsafe(12)
    await create(system, "admin", password, must_change=True)
    return password


async def check(system: System, name: str, password: str) -> bool:
    """Whether `password` is the operator's; takes as long for a name that does not exist."""
    good = (operators.c.name == name) & ~operators.c.disabled
    async with system.database.read() as tx:
        stored = await tx.value(select(operators.c.password_hash).where(good))
    right = await asyncio.to_thread(_verify, stored, password)
    return right and stored is not None


def check_role(role: str) -> None:
    """Raises Invalid for a role that there is not."""
    if role not in get_args(Role):
        raise Invalid("bad_value", field="role")


def _check(name: str, role: str) -> None:
    if not 1 <= len(name) <= 60 or not name.isprintable() or set(name) & set(":/"):
        raise Invalid("bad_value", field="name")
    check_role(role)


async def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid("short_password", limit=SHORTEST_PASSWORD)
    if len(password) > LONGEST_PASSWORD:
        raise Invalid("bad_value", field="password")
    return await asyncio.to_thread(_hasher.hash, password)


async def _row(tx: Tx, name: str) -> Any:
    row = await tx.first(select(operators).where(operators.c.name == name))
    if row is None:
        raise NotFound("operator_unknown", name=name[:60])
    return row


def _info(row: Any) -> OperatorInfo:
    return OperatorInfo(row.name, row.role, bool(row.disabled), clock.iso(row.created_at))


@cache
def _dummy() -> str:
    # Not when the module is loaded: it takes as long as it is meant to.
    return _hasher.hash(secrets.token_hex(16))


def _verify(hashed: str | None, password: str) -> bool:
    try:
        return _hasher.verify(hashed or _dummy(), password)
    except (VerificationError, InvalidHashError):
        return False
