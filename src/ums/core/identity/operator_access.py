"""How operators get in, as administrators see it: who needs a second factor, a lost one that is
reset, and the sessions of each."""

from typing import Any, get_args

from sqlalchemy import delete, select, update

from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.identity import grants, sessions
from ums.core.identity.operators import OperatorInfo, Role, rights_of, show
from ums.core.identity.sessions import SessionInfo
from ums.core.tables import operators
from ums.core.tables import sessions as rows
from ums.db import Tx
from ums.errors import Invalid, NotFound


def required_roles(system: AppContext) -> frozenset[str]:
    """The roles that sign in with a second factor only."""
    return read_roles(system.settings.two_factor_roles)


def read_roles(text: str) -> frozenset[str]:
    """The roles that a setting names. Raises Invalid."""
    roles = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not roles <= set(get_args(Role)):
        raise Invalid("bad_value", field="two_factor_roles")
    return roles


async def sessions_of(system: AppContext, name: str) -> list[SessionInfo]:
    """The sessions of an operator, the last seen first. Raises NotFound."""
    async with system.database.read() as tx:
        row = await _row(tx, name)
    return await sessions.list_sessions(system, row.id)


async def end_session(system: AppContext, name: str, session_id: int) -> None:
    """Sign an operator out in one browser. Raises NotFound, and Forbidden for an operator above
    the caller."""
    async with system.database.write() as tx:
        row = await _row(tx, name)
        grants.need_over(rights_of(row))
        mine = (rows.c.id == session_id) & (rows.c.operator_id == row.id)
        ended = await tx.first(
            delete(rows).where(mine).returning(rows.c.address, rows.c.user_agent)
        )
        if ended is None:
            raise NotFound("session_unknown", id=session_id)
        before = {"session": session_id, "address": ended.address, "browser": ended.user_agent}
        await audit_log.note(tx, "operator.end_session", name, str(session_id), before=before)


async def end_sessions(system: AppContext, name: str) -> None:
    """Sign an operator out everywhere. Raises as `end_session`."""
    async with system.database.write() as tx:
        row = await _row(tx, name)
        grants.need_over(rights_of(row))
        await sessions.end_others(tx, row.id, name)


async def reset_second_factor(system: AppContext, name: str) -> OperatorInfo:
    """Take a lost second factor away; the operator's sessions end. Where the role needs one, the
    next sign-in asks to set one up. Raises NotFound, and Forbidden for an operator above the
    caller."""
    values = {"totp": None, "totp_step": None, "recovery": None}
    async with system.database.write() as tx:
        row = await _row(tx, name)
        grants.need_over(rights_of(row))
        await tx.run(update(operators).where(operators.c.id == row.id).values(values))
        await sessions.forget(tx, row.id)
        before, after = {"second_factor": row.totp is not None}, {"second_factor": False}
        await audit_log.note(tx, "operator.reset_second_factor", name, before=before, after=after)
    return await show(system, name)


async def _row(tx: Tx, name: str) -> Any:
    row = await tx.first(select(operators).where(operators.c.name == name))
    if row is None:
        raise NotFound("operator_unknown", name=name[:60])
    return row
