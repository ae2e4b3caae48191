"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes.

A code is good for its half minute and the one before and after, and once: the last step that was
used is kept. Recovery codes are good once each (recovery_codes). Who calls `check` counts the tries
(core.identity.login).
"""

import os
from base64 import b32encode
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from msgspec import Struct
from sqlalchemy import select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.identity import proofs, recovery_codes, sessions
from ums.core.identity.operator_access import required_roles
from ums.core.identity.proofs import Proof
from ums.core.identity.sessions import SignedIn
from ums.core.tables import operators
from ums.db import Tx
from ums.errors import Conflict, Forbidden, Invalid, NotAuthenticated

STEP: Final = 30  # seconds
_BYTES: Final = 20  # of a secret (RFC 4226 section 4)


class Setup(Struct, frozen=True):
    """What an operator brings to an authenticator; `ticket` comes back with the first code."""

    secret: str
    uri: str
    ticket: str


def begin(system: AppContext, operator_id: int, name: str) -> Setup:
    """A new secret. It counts from `confirm` on."""
    key = os.urandom(_BYTES)
    secret = b32encode(key).decode()
    uri = _totp(key).get_provisioning_uri(name, "UMS")
    return Setup(secret, uri, system.seal.close(key.hex(), f"totp ticket:{operator_id}"))


def resume(system: AppContext, operator_id: int, name: str, ticket: str) -> Setup:
    """The same once more, after a code that was wrong. Raises Invalid."""
    key = bytes.fromhex(system.seal.open(ticket, f"totp ticket:{operator_id}"))
    uri = _totp(key).get_provisioning_uri(name, "UMS")
    return Setup(b32encode(key).decode(), uri, ticket)


async def confirm(system: AppContext, session: SignedIn, ticket: str, code: str) -> list[str]:
    """Switch it on, once the authenticator has shown that it knows the secret; gives the
    recovery codes, which are shown this once. Raises Invalid, and NotAuthenticated where the
    session has ended meanwhile."""
    operator_id = session.operator_id
    key = bytes.fromhex(system.seal.open(ticket, f"totp ticket:{operator_id}"))
    step = _step_of(key, code, after=0)
    if step is None:
        raise Invalid("wrong_code", field="code")
    codes, kept = await recovery_codes.make()
    values = {
        "totp": system.seal.close(key.hex(), secret_context(operator_id)),
        "totp_step": step,
        "recovery": kept.stored(),
    }
    async with system.database.write() as tx:
        row = await _row(tx, operator_id)
        await tx.run(update(operators).where(operators.c.id == operator_id).values(values))
        await sessions.need(tx, session.session_id)
        await _note_factor(tx, row, "on", len(codes))
    return codes


async def renew_codes(system: AppContext, session: SignedIn) -> list[str]:
    """Other recovery codes; those of before are good no more. Raises Conflict without a second
    factor, and NotAuthenticated where the session has ended meanwhile."""
    operator_id = session.operator_id
    codes, kept = await recovery_codes.make()
    mine = (operators.c.id == operator_id) & operators.c.totp.is_not(None)
    async with system.database.write() as tx:
        row = await _row(tx, operator_id)
        done = await tx.run(update(operators).where(mine).values(recovery=kept.stored()))
        if not done.count:
            raise Conflict("no_second_factor")
        await sessions.need(tx, session.session_id)
        before: dict[str, object] = {"codes_left": _left(row), "recovery": "old"}
        after: dict[str, object] = {"codes_left": len(codes), "recovery": "new"}
        action = "operator.recovery_codes"
        await audit_log.note(tx, action, row.name, "renewed", before=before, after=after)
    return codes


async def _row(tx: Tx, operator_id: int) -> Any:
    return await tx.first(select(operators).where(operators.c.id == operator_id).with_for_update())


def _left(row: Any) -> int:
    return len(recovery_codes.read(row.recovery).digests)


async def _note_factor(tx: Tx, row: Any, told: str, codes: int) -> None:
    """`row` is the operator's as it was. That another secret took its place is a change, too."""
    before: dict[str, object] = {"second_factor": row.totp is not None, "codes_left": _left(row)}
    after: dict[str, object] = {"second_factor": told == "on", "codes_left": codes}
    if row.totp is not None and told == "on":
        before["secret"], after["secret"] = "old", "new"
    await audit_log.note(tx, "operator.second_factor", row.name, told, before=before, after=after)


async def codes_left(system: AppContext, operator_id: int) -> int:
    """How many recovery codes are still good."""
    query = select(operators.c.recovery).where(operators.c.id == operator_id)
    async with system.database.read() as tx:
        return len(recovery_codes.read(await tx.value(query)).digests)


async def remove(system: AppContext, session: SignedIn) -> None:
    """Do without it again. Raises Forbidden for a role that has to have one, and NotAuthenticated
    where the session has ended meanwhile."""
    operator_id = session.operator_id
    values = {"totp": None, "totp_step": None, "recovery": None}
    async with system.database.write() as tx:
        row = await _row(tx, operator_id)
        if row.role in required_roles(system):
            raise Forbidden("second_factor_required")
        await tx.run(update(operators).where(operators.c.id == operator_id).values(values))
        await sessions.need(tx, session.session_id)
        await _note_factor(tx, row, "off", 0)


async def check(system: AppContext, proof: Proof, code: str) -> Proof:
    """Take a code, or a recovery code, after the password; what both prove. Raises NotAuthenticated
    for one that is not good, and where the password is another one by now."""
    given = code.replace(" ", "").replace("-", "").lower()
    mine = operators.c.id == proof.operator_id
    async with system.database.read() as tx:
        stored = await tx.value(select(operators.c.recovery).where(mine))
    digest = await recovery_codes.digest(
        recovery_codes.read(stored), given
    )  # slow: outside the transaction
    async with system.database.write() as tx:
        row = await tx.first(select(operators).where(mine).with_for_update())
        proofs.check(row, proof)
        values = _used(system, row, given, digest)
        if values is None:
            raise NotAuthenticated("wrong_code", field="code")
        await tx.run(update(operators).where(mine).values(values))
        await _tell(tx, row, values)
    return proofs.with_factor(proof, row)


def _used(system: AppContext, row: Any, given: str, digest: str) -> dict[str, Any] | None:
    """What to keep of a good code; None for another."""
    if row is None or row.totp is None:
        return None
    key = bytes.fromhex(system.seal.open(row.totp, secret_context(row.id)))
    step = _step_of(key, given, after=row.totp_step or 0)
    if step is not None:
        return {"totp_step": step}
    left = recovery_codes.read(row.recovery)
    return {"recovery": left.without(digest).stored()} if digest in left.digests else None


async def _tell(tx: Tx, row: Any, values: dict[str, Any]) -> None:
    if "recovery" in values:
        left = len(recovery_codes.read(values["recovery"]).digests)
        before, after = {"codes_left": _left(row)}, {"codes_left": left}
        action = "operator.recovery_code"
        await audit_log.note(tx, action, row.name, f"{left} left", before=before, after=after)


def _step_of(key: bytes, code: str, *, after: int) -> int | None:
    """The step that `code` is of, if it is good now and comes after the last one used."""
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return None
    totp, now = _totp(key), clock.now() // 1000 // STEP
    for step in (now, now - 1, now + 1):
        try:
            totp.verify(code.encode(), step * STEP)
        except InvalidToken:
            continue
        return step if step > after else None
    return None


def _totp(key: bytes) -> TOTP:
    return TOTP(key, 6, SHA1(), STEP)  # noqa: S303  (what authenticators speak)


def secret_context(operator_id: int) -> str:
    return f"totp:{operator_id}"
