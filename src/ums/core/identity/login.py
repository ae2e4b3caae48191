"""Signing in to the console: name, password and second factor, behind the throttle.

Who may try how often, before waits begin that grow (core.identity.throttle):

- one account from one address, and one code of one account from one address: 5
- one account from everywhere: 20, and its waits stay under a minute, so that nobody can keep an
  operator out by guessing. An account with a second factor is not even held up: its right
  password leads on to the code
- one address on all accounts: 100
- a browser in which the operator has signed in before: 10, whatever others do elsewhere
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import Struct

from ums.core.audit import audit_log
from ums.core.common import operator_names
from ums.core.context.app_context import AppContext
from ums.core.identity import (
    known_devices,
    password_hashing,
    proofs,
    sessions,
    throttle,
    two_factor,
)
from ums.core.identity.proofs import Proof
from ums.core.identity.throttle import Key, Limit
from ums.core.tables import operators as rows
from ums.errors import Busy, NotAuthenticated
from ums.networks import client_network

FREE: Final = 5
_PAIR: Final = Limit("pair", FREE, 900, own=True)
_ACCOUNT: Final = Limit("account", 20, 60)
_ADDRESS: Final = Limit("address", 100, 60, leak=30_000)
_DEVICE: Final = Limit("device", 10, 900, own=True)
_CODE: Final = Limit("code", FREE, 900, own=True)
_CODES: Final = Limit("codes", 20, 900)
_CODE_OF_DEVICE: Final = Limit("devcode", FREE, 900, own=True)
_PROOF: Final = Limit("proof", FREE, 900, own=True)
_INVITATION: Final = Limit("invitation", 20, 300)


class Client(Struct, frozen=True):
    """From where somebody signs in."""

    address: str
    agent: str = ""
    device: str = ""  # the cookie of core.identity.known_devices
    session: str = ""  # the cookie of the session that it has until now

    @property
    def network(self) -> str:
        return client_network(self.address)


class Operator(Struct, frozen=True):
    """Somebody who knows an operator's password, and in the end also has the second factor."""

    name: str
    two_factor: bool  # it has one
    proof: Proof

    @property
    def id(self) -> int:
        return self.proof.operator_id


class SignIn(Struct, frozen=True):
    """What the browser keeps of a sign-in: the session's cookie, and the one by which it is known
    again."""

    session: str
    device: str


async def check_password(system: AppContext, name: str, password: str, client: Client) -> Operator:
    """The operator of this password and of this name, in whatever case it is typed. Raises
    NotAuthenticated, and Busy for whoever has to wait after failures."""
    row = await _row(system, name)
    hard, soft = _keys(system, row, name, client)
    late = await _reserve(system, hard, soft)
    good = await password_hashing.verify(row.password_hash if row else None, password)
    if late is not None and not (good and row is not None and row.totp is not None):
        raise late
    if not good or row is None:
        raise NotAuthenticated("wrong_password")
    async with system.database.write() as tx:
        await throttle.give_back(tx, *hard, *([] if late else soft))
    return _operator(row)


def _operator(row: Any) -> Operator:
    return Operator(row.name, row.totp is not None, proofs.of_password(row))


async def _row(system: AppContext, name: str) -> Any:
    async with system.database.read() as tx:
        return await tx.first(operator_names.meant(name).where(~rows.c.disabled).limit(1))


def _keys(system: AppContext, row: Any, name: str, client: Client) -> tuple[list[Key], list[Key]]:
    """What a try of a password is counted at; the second ones hold nobody up who has a second
    factor."""
    device = known_devices.read(system.seal, client.device, row.id) if row else None
    if device is not None:
        return [_DEVICE.key(row.id, device)], []
    account = row.name_key if row else operator_names.key(name)
    pair = _PAIR.key(client.network, account)
    wide = [_ACCOUNT.key(account), _ADDRESS.key(client.network)]
    return ([pair], wide) if row and row.totp is not None else ([pair, *wide], [])


async def _reserve(system: AppContext, hard: list[Key], soft: list[Key]) -> Busy | None:
    """Reserve the try; what is to be told at its end where `soft` ones have to wait."""
    async with system.database.write() as tx:
        late = [busy for key in soft if (busy := await throttle.waits(tx, key))]
        await throttle.reserve(tx, *hard, *([] if late else soft))
    return late[0] if late else None


async def check_code(system: AppContext, operator: Operator, code: str, client: Client) -> Operator:
    """Take the second factor of an operator whose password was right. Raises NotAuthenticated,
    Busy."""
    device = known_devices.read(system.seal, client.device, operator.id)
    if device is not None:
        keys = [_CODE_OF_DEVICE.key(operator.id, device)]
    else:
        keys = [_CODE.key(client.network, operator.id), _CODES.key(operator.id)]
    async with throttle.attempt(system.database, *keys):
        proof = await two_factor.check(system, operator.proof, code)
    return Operator(operator.name, operator.two_factor, proof)


async def sign_in(system: AppContext, operator: Operator, client: Client) -> SignIn:
    """Begin a session. Raises NotAuthenticated where what was proved is over, or the second factor
    was not asked for."""
    async with system.database.write() as tx:
        token = await sessions.begin(
            tx, operator.proof, client.address, client.agent, replaces=client.session
        )
        await audit_log.note(
            tx,
            "operator.sign_in",
            operator.name,
            client.address,
            actor=f"operator:{operator.name}",
        )
    return SignIn(token, known_devices.issue(system.seal, operator.id))


async def prove(system: AppContext, session: sessions.SignedIn, password: str, code: str) -> str:
    """Authenticate again in an open session, with the second factor where there is one; the
    session's new cookie. Raises NotAuthenticated, Busy."""
    async with throttle.attempt(system.database, _PROOF.key(session.session_id)):
        own = await _check_own(system, session, password)
        proof = await two_factor.check(system, own.proof, code) if own.two_factor else own.proof
    async with system.database.write() as tx:
        token = await sessions.renew(tx, proof, session.session_id)
        await audit_log.note(tx, "operator.confirm", session.name)
    return token


async def check_current(system: AppContext, session: sessions.SignedIn, password: str) -> Proof:
    """The password that is about to be changed. Raises NotAuthenticated, Busy."""
    async with throttle.attempt(system.database, _PROOF.key(session.session_id)):
        return (await _check_own(system, session, password, field="old")).proof


async def _check_own(
    system: AppContext, session: sessions.SignedIn, password: str, field: str = "password"
) -> Operator:
    row = await _row(system, session.name)
    good = await password_hashing.verify(row.password_hash if row else None, password)
    if not good or row is None:
        raise NotAuthenticated("not_your_password", field=field)
    return _operator(row)


@asynccontextmanager
async def invited(system: AppContext, client: Client) -> AsyncGenerator[None]:
    """Look an invitation up in this block: what raises counts as a guess. Raises Busy."""
    async with throttle.attempt(system.database, _INVITATION.key(client.network)):
        yield
