"""Operators: the people who work with the console."""

import secrets
from collections.abc import Collection, Iterable
from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.config import SettingsError
from ums.core.audit import audit_log
from ums.core.common import operator_names
from ums.core.common.field_errors import all_awaited, all_of
from ums.core.common.pagination import MOST, Page, cut
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, Order
from ums.core.context.app_context import AppContext
from ums.core.identity import grants, passwords, proofs, sessions
from ums.core.identity.grants import Rights
from ums.core.identity.proofs import Proof
from ums.core.identity.scopes import OF_ROLE
from ums.core.tables import operators
from ums.db import Tx, to_json
from ums.errors import Conflict, Invalid, NotFound, UmsError

Role = Literal["administrator", "operator", "viewer"]
ADMINISTRATOR: Role = "administrator"
# Those who may change any operator: one that is bound to channels reaches none who is not.
_ADMINISTERING = select(operators.c.id).where(
    operators.c.role == ADMINISTRATOR, ~operators.c.disabled, operators.c.channels.is_(None)
)
_ORDER = Order(operators.c.id, (operators.c.name,))


class OperatorInfo(Struct, frozen=True):
    """An operator as it is shown: everything but the password."""

    name: str
    role: str
    disabled: bool
    two_factor: bool
    created_at: str


async def create(
    system: AppContext,
    name: str,
    password: str,
    role: Role = ADMINISTRATOR,
    *,
    channels: Iterable[int] | None = None,
    must_change_password: bool = False,
) -> OperatorInfo:
    """Make an operator; `channels` are ids of those it may work for, None is all.

    With `must_change_password` the console asks for another password at once. Raises Conflict where
    there is one of this name or of one that looks like it, Forbidden for a role or channels that
    the caller has not itself, Invalid.
    """
    check_role(role)
    grants.need(rights(role, channels))
    hashed = await hash_of(system, name, password)
    async with system.database.write() as tx:
        await insert_into(
            tx, name, hashed, role, channels, must_change_password=must_change_password
        )
        row = await _row(tx, name)
        await audit_log.note(tx, "operator.create", name, role, after=_noted(row))
        return _info(row)


async def insert_into(
    tx: Tx,
    name: str,
    hashed: str,
    role: str,
    channels: Iterable[int] | None,
    *,
    must_change_password: bool = False,
) -> None:
    """The row alone, whoever may ask for it. Raises Conflict."""
    await _check_free(tx, name)
    row = {
        "name": name,
        "name_key": operator_names.key(name),
        "password_hash": hashed,
        "role": role,
        "channels": _json(channels),
        "must_change_password": must_change_password,
        "created_at": clock.now(),
    }
    await tx.run(insert(operators), row)


async def _check_free(tx: Tx, name: str) -> None:
    if await tx.first(operator_names.meant(name)):
        raise Conflict("name_taken", name=name)


async def errors_of(system: AppContext, name: str, password: str) -> list[UmsError]:
    """All that is wrong with the name and the password that somebody chooses."""
    found = all_of([lambda: operator_names.check(name)])
    if not found:
        async with system.database.read() as tx:
            found = await all_awaited([_check_free(tx, name)])
    # Outside of the transaction, as it takes its time.
    return [*found, *await all_awaited([passwords.check_new(system, password, name)])]


async def hash_of(system: AppContext, name: str, password: str) -> str:
    """The hash of what is to be the password of `name`. Raises Invalid for either."""
    operator_names.check(name)
    return await passwords.hashed(system, password, name)


async def change(
    system: AppContext,
    name: str,
    *,
    role: Role | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    channels: list[int] | UnsetType | None = UNSET,
    expect: Expect = anything,
    keep: int | None = None,
    proof: Proof | None = None,
) -> OperatorInfo:
    """Change what is given; `channels` are ids of those it may work for, None is all.

    Another password, and being disabled, end the operator's sessions in the console, but for the
    one `keep`. `proof` is what operators who change their own have proved with the current one.

    Raises NotFound, Invalid, what `expect` raises, NotAuthenticated for a proof that is over,
    Forbidden for an operator above the caller and for what the caller has not itself, and Conflict
    where no administrator would be left.
    """
    if role is not None:
        check_role(role)
    given: dict[str, Any] = {"role": role, "disabled": disabled}
    values = {field: value for field, value in given.items() if value is not None}
    if channels is not UNSET:
        values["channels"] = _json(channels)
    told = ", ".join(f"{field}: {value}" for field, value in values.items())
    if password is not None:
        hashed = await passwords.hashed(system, password, name)
        values |= {"password_hash": hashed, "must_change_password": False}
        told = f"{told}, password" if told else "password"
    async with system.database.write() as tx:
        # All of them, in one order: two who demote each other take turns.
        await tx.rows(select(operators.c.id).order_by(operators.c.id).with_for_update())
        row = await _row(tx, name)
        if proof is not None:
            proofs.check(row, proof)
        before = _info(row)
        expect(before)
        if values:
            grants.need_over(rights_of(row))
            administers = await tx.first(_ADMINISTERING.where(operators.c.id == row.id))
            await tx.run(update(operators).where(operators.c.name == name).values(values))
            grants.need(rights_of(await _row(tx, name)))
            if administers:
                await _keep_one(tx)
            if password is not None or disabled:
                await sessions.forget(tx, row.id, but=keep)
            was, now = _noted(row), _noted(await _row(tx, name))
            if password is not None:
                was["password"], now["password"] = "old", "new"
            await audit_log.note(tx, "operator.change", name, told, before=was, after=now)
        else:
            await audit_log.note(tx, "operator.change", name, before={}, after={})
        return _info(await _row(tx, name))


def _noted(row: Any) -> dict[str, object]:
    channels = channel_ids(row.channels)
    return {
        "role": row.role,
        "disabled": bool(row.disabled),
        "channels": channels,
        "must_change_password": bool(row.must_change_password),
    }


async def set_password(
    system: AppContext, name: str, password: str, *, keep: int | None = None
) -> OperatorInfo:
    """Give an operator another password: nothing else changes, and all its sessions end but for
    the one `keep`. Raises as `change`."""
    return await change(system, name, password=password, keep=keep)


def rights(role: str, channels: Iterable[int] | None) -> Rights:
    """What an operator of this role may do, with these channels."""
    return Rights(OF_ROLE[role], None if channels is None else frozenset(channels))


def rights_of(row: Any) -> Rights:
    """The same of one that is there."""
    return rights(row.role, channel_ids(row.channels))


def channel_ids(stored: str | None) -> list[int] | None:
    """The channels of a row; None: all."""
    return None if stored is None else msgspec.json.decode(stored, type=list[int])


def _json(channels: Iterable[int] | None) -> str | None:
    return None if channels is None else to_json(sorted(channels))


async def _keep_one(tx: Tx) -> None:
    if not await tx.first(_ADMINISTERING.limit(1)):
        raise Conflict("last_administrator")


async def list_operators(
    system: AppContext,
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


async def channels_of(system: AppContext, names: Collection[str]) -> dict[str, list[int] | None]:
    """The ids of the channels that each may work for; None: all."""
    query = select(operators.c.name, operators.c.channels).where(operators.c.name.in_(names))
    async with system.database.read() as tx:
        rows = await tx.rows(query)
    return {row.name: channel_ids(row.channels) for row in rows}


async def show(system: AppContext, name: str) -> OperatorInfo:
    """Raises NotFound."""
    async with system.database.read() as tx:
        return _info(await _row(tx, name))


async def create_first(system: AppContext) -> str | None:
    """Make the administrator of a new installation; its password, or None when there is one.

    "" where the installer has chosen the password. Raises SettingsError when it is no good.
    """
    async with system.database.read() as tx:
        if await tx.first(select(operators.c.id).limit(1)):
            return None
    chosen = system.settings.admin_password
    if chosen:
        try:
            await create(system, "admin", chosen)
        except UmsError as error:
            raise SettingsError(f"UMS_ADMIN_PASSWORD cannot be used: {error.words()}") from None
        return ""
    password = secrets.token_urlsafe(12)
    await create(system, "admin", password, must_change_password=True)
    return password


def check_role(role: str) -> None:
    """Raises Invalid for a role that there is not."""
    if role not in get_args(Role):
        raise Invalid("bad_value", field="role")


async def _row(tx: Tx, name: str) -> Any:
    row = await tx.first(select(operators).where(operators.c.name == name))
    if row is None:
        raise NotFound("operator_unknown", name=name[:60])
    return row


def _info(row: Any) -> OperatorInfo:
    factor, since = row.totp is not None, clock.iso(row.created_at)
    return OperatorInfo(row.name, row.role, bool(row.disabled), factor, since)
