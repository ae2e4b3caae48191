"""Inviting operators by a link: whoever has it chooses a name and a password of its own.

The database has the SHA-256 of what the link holds. An invitation is good once, for three days.
"""

import hashlib
import secrets
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, update

from ums import clock
from ums.core import audit, operators
from ums.core.models import invitations
from ums.core.models import operators as rows
from ums.core.operators import Role
from ums.core.system import System
from ums.db import Tx
from ums.errors import NotFound

GOOD_FOR = 3 * clock.DAY


class Invitation(Struct, frozen=True):
    """What whoever accepts it becomes."""

    role: Role
    channels: list[int] | None  # ids; None: every channel


async def create(
    system: System, role: Role, channels: list[int] | None = None, *, actor: str
) -> str:
    """Make an invitation; what its link holds, which nobody can be shown again."""
    operators.check_role(role)
    token, now = secrets.token_urlsafe(32), clock.now()
    row = {
        "digest": _digest(token),
        "role": role,
        "channels": None if channels is None else msgspec.json.encode(channels).decode(),
        "created_by": actor[:60],
        "created_at": now,
        "expires_at": now + GOOD_FOR,
    }
    async with system.database.write() as tx:
        await tx.run(insert(invitations), row)
        await audit.note(tx, "operator.invite", role, "", actor=actor)
    return token


async def find(system: System, token: str) -> Invitation:
    """Raises NotFound for one that is not there, used, or over."""
    async with system.database.read() as tx:
        row = await _row(tx, token)
    channels = row.channels
    ids = None if channels is None else msgspec.json.decode(channels, type=list[int])
    return Invitation(row.role, ids)


async def accept(system: System, token: str, name: str, password: str) -> None:
    """Become an operator. Raises NotFound, Conflict for a name that is taken, Invalid."""
    found = await find(system, token)
    await operators.add(system, name, password, found.role)
    channels = None if found.channels is None else msgspec.json.encode(found.channels).decode()
    async with system.database.write() as tx:
        await _row(tx, token)
        used = {"used_by": name, "used_at": clock.now()}
        mine = invitations.c.digest == _digest(token)
        await tx.run(update(invitations).where(mine).values(used))
        await tx.run(update(rows).where(rows.c.name == name).values(channels=channels))


async def _row(tx: Tx, token: str) -> Any:
    mine = (invitations.c.digest == _digest(token)) & invitations.c.used_at.is_(None)
    good = mine & (invitations.c.expires_at > clock.now())
    row = await tx.first(select(invitations).where(good).with_for_update())
    if row is None:
        raise NotFound("invitation_gone")
    return row


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
