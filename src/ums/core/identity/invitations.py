"""Inviting operators by a link: whoever has it chooses a name and a password of its own.

The database has the SHA-256 of what the link holds. An invitation is good once, for three days.
"""

import secrets
from typing import Any

from msgspec import Struct
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.encryption import token_digest
from ums.core.context.app_context import AppContext
from ums.core.identity import authority, grants, operators
from ums.core.identity.operators import Role
from ums.core.tables import invitations
from ums.db import Tx, to_json
from ums.errors import NotFound

GOOD_FOR = 3 * clock.DAY


class Invitation(Struct, frozen=True):
    """What whoever accepts it becomes."""

    role: Role
    channels: list[int] | None  # ids; None: every channel


async def create(
    system: AppContext, role: Role, channels: list[int] | None = None, *, actor: str
) -> str:
    """Make an invitation; what its link holds, which nobody can be shown again.

    Raises Forbidden for a role or channels that the caller has not itself.
    """
    operators.check_role(role)
    grants.need(operators.rights(role, channels))
    token, now = secrets.token_urlsafe(32), clock.now()
    row = {
        "digest": token_digest(token),
        "role": role,
        "channels": None if channels is None else to_json(channels),
        "created_by": actor[:60],
        "operator_id": grants.grantor().operator_id,
        "created_at": now,
        "expires_at": now + GOOD_FOR,
    }
    async with system.database.write() as tx:
        await tx.run(insert(invitations), row)
        after = {"role": role, "channels": channels, "expires_at": clock.iso(now + GOOD_FOR)}
        await audit_log.note(tx, "operator.invite", role, after=after, actor=actor)
    return token


async def find(system: AppContext, token: str) -> Invitation:
    """Raises NotFound for one that is not there, used, or over."""
    async with system.database.read() as tx:
        row = await tx.first(select(invitations).where(_good(token)))
        return await _read(tx, row)


async def accept(system: AppContext, token: str, name: str, password: str) -> None:
    """Become an operator, in one transaction with the end of the invitation: of several who
    accept at once one becomes an operator, and the others nothing.

    Raises NotFound, Conflict for a name that is taken, Invalid.
    """
    await find(system, token)  # no password is hashed for a stranger
    hashed = await operators.hash_of(system, name, password)
    async with system.database.write() as tx:
        found = await _claim(tx, token, name)
        await operators.insert_into(tx, name, hashed, found.role, found.channels)
        after = {"role": found.role, "channels": found.channels}
        actor = f"operator:{name}"
        await audit_log.note(tx, "operator.accept", name, found.role, after=after, actor=actor)


async def _claim(tx: Tx, token: str, name: str) -> Invitation:
    used = {"used_by": name, "used_at": clock.now()}
    claim = update(invitations).where(_good(token)).values(used)
    return await _read(tx, await tx.first(claim.returning(*invitations.c)))


async def _read(tx: Tx, row: Any) -> Invitation:
    """Raises NotFound, also where whoever invited could not give as much any more."""
    if row is None:
        raise NotFound("invitation_gone")
    channels = operators.channel_ids(row.channels)
    if row.operator_id is not None:
        own = await authority.of_operator(tx, row.operator_id)
        if own is None or not own.cover(operators.rights(row.role, channels)):
            raise NotFound("invitation_gone")
    return Invitation(row.role, channels)


def _good(token: str) -> Any:
    mine = (invitations.c.digest == token_digest(token)) & invitations.c.used_at.is_(None)
    return mine & (invitations.c.expires_at > clock.now())
