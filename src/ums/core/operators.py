"""Operators: the people who may look into the console."""

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select

from ums import clock
from ums.core import audit
from ums.core.models import operators
from ums.core.system import System
from ums.errors import Invalid

ADMINISTRATOR = "administrator"
SHORTEST_PASSWORD = 12
_hasher = PasswordHasher()


async def create(system: System, name: str, password: str, role: str = ADMINISTRATOR) -> None:
    """Make an operator; one who exists gets the new password and role. Raises Invalid."""
    if not 1 <= len(name) <= 60 or not name.isprintable() or ":" in name:
        raise Invalid("bad_value", field="name")
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid("short_password", limit=SHORTEST_PASSWORD)
    hashed = await asyncio.to_thread(_hasher.hash, password)
    row = {"name": name, "password_hash": hashed, "role": role, "created_at": clock.now()}
    async with system.database.write() as tx:
        await tx.run(delete(operators).where(operators.c.name == name))
        await tx.run(insert(operators), row)
        await audit.note(tx, "operator.create", name)


async def create_first(system: System) -> str | None:
    """Make the administrator of a new installation; its password, or None when there is one."""
    async with system.database.read() as tx:
        if await tx.first(select(operators.c.id).limit(1)):
            return None
    password = secrets.token_urlsafe(12)
    await create(system, "admin", password)
    return password


async def check(system: System, name: str, password: str) -> bool:
    """Whether `password` is the operator's; takes as long for a name that does not exist."""
    query = select(operators.c.password_hash).where(operators.c.name == name)
    async with system.database.read() as tx:
        stored = await tx.value(query)
    good = await asyncio.to_thread(_verify, stored, password)
    return good and stored is not None


@cache
def _dummy() -> str:
    # Not when the module is loaded: it takes as long as it is meant to.
    return _hasher.hash(secrets.token_hex(16))


def _verify(hashed: str | None, password: str) -> bool:
    try:
        return _hasher.verify(hashed or _dummy(), password)
    except (VerificationError, InvalidHashError):
        return False
