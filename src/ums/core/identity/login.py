"""Signing in to the console: name, password and second factor, behind the throttle.

How often may be tried before waits begin that grow (core.identity.throttle):

- one account from one address, and one code of one account from one address: 5
- one account from everywhere: 20, and its waits stay under a minute
- one address on all accounts: 50, and its waits stay under a minute
- a browser in which the operator has signed in before: 10, whatever others do elsewhere

**A wait is no lock.** Whoever guesses must not be able to keep others out:

- The right password of an account with a second factor leads on to the code whatever has to wait,
  from any address, also the guesser's own. Whoever guesses such a password has gained nothing
  without the factor, codes have limits of their own that nobody reaches without the password, and
  that it was right is noted. Who may be meant by a try is known only after it was looked at, so
  nothing but what looking costs can bound them: tries that are held back go through one narrow
  lane, in which only a flood of the same account from the same address can make one miss its turn
  (core.identity.password_turns).
- The wait of an address holds no account up that has had no more than `SPARE` failures from there:
  a guesser of many names shuts no office out. Such a try counts for its account, and only a right
  password is told.

What that leaves to a guesser, in an hour and of accounts without a second factor: 24 passwords of
one account from one address; 83 of one account from everywhere; 170 of all accounts from one
address, and 6 more of each account. A password that UMS takes stands 3 * 10**10. With a second
factor: what one thread can hash; and who knows the password has 24 codes from one address and 54
from everywhere (`tests/core/identity/test_guessing.py`).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import Struct

from ums.core.audit import audit_log
from ums.core.audit.audit_gate import HalfSignIns
from ums.core.common import operator_names
from ums.core.context.app_context import AppContext
from ums.core.identity import (
    known_devices,
    password_hashing,
    password_turns,
    proofs,
    sessions,
    throttle,
    two_factor,
)
from ums.core.identity.password_hashing import KNOWN, STRANGERS
from ums.core.identity.password_turns import PasswordTurns
from ums.core.identity.proofs import Proof
from ums.core.identity.throttle import Key, Limit
from ums.core.tables import operators as rows
from ums.errors import Busy, NotAuthenticated, NotFound
from ums.networks import client_network

FREE: Final = 5
SPARE: Final = 3
PAIR: Final = Limit("pair", FREE, 900, own=True)
ACCOUNT: Final = Limit("account", 20, 60)
ADDRESS: Final = Limit("address", 50, 60, leak=30_000)
DEVICE: Final = Limit("device", 10, 900, own=True)
CODE: Final = Limit("code", FREE, 900, own=True)
CODES: Final = Limit("codes", 20, 900)
CODE_OF_DEVICE: Final = Limit("devcode", FREE, 900, own=True)
PROOF: Final = Limit("proof", FREE, 900, own=True)
INVITATION: Final = Limit("invitation", 20, 300)


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
    keys = _keys(system, row, name, client)
    known = keys[0].limit is DEVICE
    who = keys[0].key if known else client.network
    try:
        async with _counting(system, who), system.database.write() as tx:
            await throttle.reserve(tx, *keys)
    except Busy:
        counted = await _spare(system, who, keys)
        if not await _is_right_held(system, row, password, keys, client, looked_at=bool(counted)):
            raise
        await _give_back(system, counted)
    else:
        turns, stored = system.shared(PasswordTurns), row.password_hash if row else None
        lane = KNOWN if known else STRANGERS
        try:
            good = await turns.is_right(who, stored, password, lane=lane)
        except Busy:  # it was not looked at
            await _give_back(system, keys)
            raise
        if not good or row is None:
            raise NotAuthenticated("wrong_password")
        await _give_back(system, keys)
    return await _accepted(system, row, client)


async def _row(system: AppContext, name: str) -> Any:
    async with system.database.read() as tx:
        return await tx.first(operator_names.meant(name).where(~rows.c.disabled).limit(1))


def _keys(system: AppContext, row: Any, name: str, client: Client) -> list[Key]:
    """What a try of a password is counted at: first what is closest to who tries."""
    device = known_devices.read(system.seal, client.device, row.id) if row else None
    if device is not None:
        return [DEVICE.key(row.id, device)]
    account = row.name_key if row else operator_names.key(name)
    pair = PAIR.key(client.network, account)
    return [pair, ACCOUNT.key(account), ADDRESS.key(client.network)]


async def _is_right_held(
    system: AppContext,
    row: Any,
    password: str,
    keys: list[Key],
    client: Client,
    *,
    looked_at: bool,
) -> bool:
    """Whether a try that has to wait is right and may get through: one of an account with a second
    factor, or one that is `looked_at` anyway. Any other is held."""
    turns, since = system.shared(PasswordTurns), time.monotonic()
    try:
        async with turns.held.place(client.network):
            if row is not None and (looked_at or row.totp is not None):
                who, stored = keys[0].key, row.password_hash
                if await turns.is_right_all_the_same(who, stored, password):
                    return True
            await password_turns.hold(since)
    except TimeoutError:  # displaced
        pass
    return False


def _counting(system: AppContext, who: str) -> asyncio.Lock:
    """Of one address, or of one browser that is known, one try is counted at a time: those of a
    flood wait for each other in the database, and would take all of its connections."""
    return system.shared(PasswordTurns).counting.of(who)


async def _spare(system: AppContext, who: str, keys: list[Key]) -> list[Key]:
    """Where the try counts which nothing but the wait of the address holds up, if the account has
    one to spare; nowhere otherwise."""
    own = [key for key in keys if key.limit is not ADDRESS]
    try:
        async with _counting(system, who), system.database.write() as tx:
            counts = await throttle.reserve(tx, *own)
            if counts[own[0]] > SPARE:
                raise await throttle.waits(tx, *keys) or Busy("too_many_tries", seconds=1)
    except Busy:
        return []
    return own


async def _give_back(system: AppContext, keys: list[Key]) -> None:
    async with system.database.write() as tx:
        await throttle.give_back(tx, *keys)


async def _accepted(system: AppContext, row: Any, client: Client) -> Operator:
    operator = Operator(row.name, row.totp is not None, proofs.of_password(row))
    if operator.two_factor:  # what ends here would leave no trace
        noted = system.shared(HalfSignIns)
        await noted.count("operator.password_accepted", operator.name, client.address)
    return operator


async def check_code(system: AppContext, operator: Operator, code: str, client: Client) -> Operator:
    """Take the second factor of an operator whose password was right. Raises NotAuthenticated,
    Busy."""
    device = known_devices.read(system.seal, client.device, operator.id)
    if device is not None:
        keys = [CODE_OF_DEVICE.key(operator.id, device)]
    else:
        keys = [CODE.key(client.network, operator.id), CODES.key(operator.id)]
    turn = _counting(system, client.network if device is None else keys[0].key)
    async with throttle.attempt(system.database, *keys, turn=turn):
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
    async with throttle.attempt(system.database, PROOF.key(session.session_id)):
        own = await _check_own(system, session, password)
        proof = await two_factor.check(system, own.proof, code) if own.two_factor else own.proof
    async with system.database.write() as tx:
        token = await sessions.renew(tx, proof, session.session_id)
        await audit_log.note(tx, "operator.confirm", session.name)
    return token


async def check_current(system: AppContext, session: sessions.SignedIn, password: str) -> Proof:
    """The password that is about to be changed. Raises NotAuthenticated, Busy."""
    async with throttle.attempt(system.database, PROOF.key(session.session_id)):
        return (await _check_own(system, session, password, field="old")).proof


async def _check_own(
    system: AppContext, session: sessions.SignedIn, password: str, field: str = "password"
) -> Operator:
    row = await _row(system, session.name)
    stored = row.password_hash if row else None
    good = await password_hashing.verify(stored, password, lane=KNOWN)
    if not good or row is None:
        raise NotAuthenticated("not_your_password", field=field)
    return Operator(row.name, row.totp is not None, proofs.of_password(row))


@asynccontextmanager
async def invited(system: AppContext, client: Client) -> AsyncGenerator[None]:
    """Look an invitation up in this block: one that is not there counts as a guess, and raises Busy
    after too many. What its link holds cannot be guessed, so a good one never waits."""
    try:
        yield
    except NotFound:
        async with system.database.write() as tx:
            await throttle.reserve(tx, INVITATION.key(client.network))
        raise
