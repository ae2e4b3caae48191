"""Who is signed in to the console.

The browser has a cookie of 256 random bits, the database its SHA-256. A session ends after 12
hours without a request, 14 days after it began, and when its operator signs out, is disabled or
gets another password. It begins, and is renewed, by a proof that holds in the same transaction.
"""

import secrets
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.encryption import token_digest
from ums.core.context.app_context import AppContext
from ums.core.identity import proofs
from ums.core.identity.proofs import Proof
from ums.core.identity.user_agents import name_of
from ums.core.tables import operators, sessions
from ums.db import Tx
from ums.errors import NotAuthenticated

IDLE = 12 * clock.HOUR
LONGEST = 14 * clock.DAY
SEEN_EVERY = clock.MINUTE  # how exact `last_seen_at` is


class SignedIn(Struct, frozen=True):
    """An operator with a session that is good."""

    session_id: int
    operator_id: int
    name: str
    role: str
    channels: frozenset[int] | None  # ids of those it may work for; None: every channel
    must_change_password: bool  # its password
    two_factor: bool
    authenticated_at: int  # when password and factor were last asked for
    zone: str = ""  # in which pages show times; "": the browser's

    @property
    def rights(self) -> tuple[object, ...]:
        """What a page that is already open rests on."""
        return self.role, self.channels, self.must_change_password


class SessionInfo(Struct, frozen=True):
    """A session as its operator sees it."""

    id: int
    address: str
    device: str  # such as "Chrome 131 · Windows"; "" where it is not known
    user_agent: str  # what the browser says of itself
    created_at: str
    last_seen_at: str


async def begin(tx: Tx, proof: Proof, address: str, agent: str, *, replaces: str = "") -> str:
    """Sign an operator in; gives the cookie. The session whose cookie the browser had until now,
    `replaces`, ends. Raises NotAuthenticated for a proof that is over."""
    await proofs.hold(tx, proof)
    token, now = secrets.token_urlsafe(32), clock.now()
    row = {
        "digest": token_digest(token),
        "operator_id": proof.operator_id,
        "address": address[:45],
        "user_agent": "".join(char for char in agent if char.isprintable())[:200],
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + LONGEST,
        "authenticated_at": now,
    }
    await tx.run(insert(sessions), row)
    await tx.run(delete(sessions).where(_over(now) | (sessions.c.digest == token_digest(replaces))))
    return token


async def find(system: AppContext, token: str) -> SignedIn | None:
    """The session of a cookie, if it is good."""
    now = clock.now()
    row = await _good(system, sessions.c.digest == token_digest(token))
    if row is None:
        return None
    if row.last_seen_at < now - SEEN_EVERY:
        async with system.database.write() as tx:
            await tx.run(update(sessions).where(sessions.c.id == row.id).values(last_seen_at=now))
    return _signed_in(row)


async def again(system: AppContext, signed_in: SignedIn) -> bool:
    """Whether a session that was found before is still good, with the same rights."""
    row = await _good(system, sessions.c.id == signed_in.session_id)
    return row is not None and _signed_in(row).rights == signed_in.rights


async def _good(system: AppContext, mine: Any) -> Any:
    query = select(sessions, operators.c.name, operators.c.role, operators.c.channels)
    query = query.add_columns(operators.c.must_change_password, operators.c.totp, operators.c.zone)
    query = query.join(operators, operators.c.id == sessions.c.operator_id)
    good = mine & ~operators.c.disabled & ~_over(clock.now())
    async with system.database.read() as tx:
        return await tx.first(query.where(good))


async def renew(tx: Tx, proof: Proof, session_id: int) -> str:
    """The operator has authenticated again: gives the session's new cookie, which alone is good
    from now on. Raises NotAuthenticated for a proof that is over, and a session that has ended."""
    await proofs.hold(tx, proof)
    token = secrets.token_urlsafe(32)
    values = {"digest": token_digest(token), "authenticated_at": clock.now()}
    done = await tx.run(update(sessions).where(sessions.c.id == session_id).values(values))
    if not done.count:
        raise NotAuthenticated("proof_over")
    return token


async def need(tx: Tx, session_id: int) -> None:
    """Raises NotAuthenticated for a session that has ended since its request was let in. To be
    asked after the operator's row was written: then whoever ends the sessions of that operator
    with a change of the row has either done so, or waits."""
    if not await tx.first(select(sessions.c.id).where(sessions.c.id == session_id)):
        raise NotAuthenticated("proof_over")


async def end(system: AppContext, session_id: int) -> None:
    """Sign out."""
    async with system.database.write() as tx:
        await tx.run(delete(sessions).where(sessions.c.id == session_id))


async def end_all(system: AppContext, operator_id: int, *, but: int | None = None) -> None:
    """Sign an operator out everywhere, or everywhere else."""
    async with system.database.write() as tx:
        await end_others(tx, operator_id, await _name(tx, operator_id), but=but)


async def end_others(tx: Tx, operator_id: int, name: str, *, but: int | None = None) -> None:
    """The same within a transaction, for the operator of this name."""
    ended = await forget(tx, operator_id, but=but)
    kept = 0 if but is None else 1
    before, after = {"sessions": kept + ended}, {"sessions": kept}
    await audit_log.note(tx, "operator.sign_out_everywhere", name, before=before, after=after)


async def forget(tx: Tx, operator_id: int, *, but: int | None = None) -> int:
    """End the sessions of an operator whose password or right to sign in changed; how many."""
    mine = sessions.c.operator_id == operator_id
    return (await tx.run(delete(sessions).where(mine & (sessions.c.id != (but or 0))))).count


async def _name(tx: Tx, operator_id: int) -> str:
    return str(await tx.value(select(operators.c.name).where(operators.c.id == operator_id)))


async def set_zone(system: AppContext, operator_id: int, zone: str) -> None:
    """In which time zone the operator's pages show times; "" for the browser's."""
    mine = operators.c.id == operator_id
    async with system.database.write() as tx:
        row = await tx.first(select(operators.c.name, operators.c.zone).where(mine))
        await tx.run(update(operators).where(mine).values(zone=zone or None))
        if row is not None:
            before, after = {"zone": row.zone or ""}, {"zone": zone}
            await audit_log.note(tx, "operator.zone", row.name, before=before, after=after)


async def list_sessions(system: AppContext, operator_id: int) -> list[SessionInfo]:
    """An operator's sessions, the last seen first."""
    mine = (sessions.c.operator_id == operator_id) & ~_over(clock.now())
    query = select(sessions).where(mine).order_by(sessions.c.last_seen_at.desc())
    async with system.database.read() as tx:
        rows = await tx.rows(query)
    return [_info(row) for row in rows]


def _over(now: int) -> Any:
    return (sessions.c.last_seen_at < now - IDLE) | (sessions.c.expires_at <= now)


def _signed_in(row: Any) -> SignedIn:
    channels = None if row.channels is None else msgspec.json.decode(row.channels, type=list[int])
    return SignedIn(
        session_id=row.id,
        operator_id=row.operator_id,
        name=row.name,
        role=row.role,
        channels=None if channels is None else frozenset(channels),
        must_change_password=bool(row.must_change_password),
        two_factor=row.totp is not None,
        authenticated_at=row.authenticated_at,
        zone=row.zone or "",
    )


def _info(row: Any) -> SessionInfo:
    return SessionInfo(
        id=row.id,
        address=row.address,
        device=name_of(row.user_agent),
        user_agent=row.user_agent,
        created_at=clock.iso(row.created_at),
        last_seen_at=clock.iso(row.last_seen_at),
    )
