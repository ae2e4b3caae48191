"""What was proved counts only while it is still so: no session rests on a password or second factor
that was changed between the moment it was verified and the moment the session begins."""

import asyncio
from base64 import b32decode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import func, select

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.identity import (
    login,
    operator_access,
    operators,
    password_hashing,
    sessions,
    two_factor,
)
from ums.core.identity.login import Client, Operator
from ums.core.identity.sessions import SignedIn
from ums.core.tables import operators as operator_rows
from ums.core.tables import sessions as rows
from ums.errors import Busy, NotAuthenticated, UmsError

PASSWORD = "correct horse battery"
OTHER = "seven grey herons fly"
HERE = Client("192.0.2.1")
THERE = Client("203.0.113.1")
OVER = "Meanwhile the password or the second factor was changed"
Change = Callable[[AppContext], Awaitable[object]]


async def another_password(system: AppContext) -> None:
    await operators.set_password(system, "li", OTHER)


async def disabled(system: AppContext) -> None:
    await operators.change(system, "li", disabled=True)


async def factor_set(system: AppContext) -> None:
    await set_up(system, await signed_in(system, THERE))


async def factor_reset(system: AppContext) -> None:
    await operator_access.reset_second_factor(system, "li")


async def sessions_ended(system: AppContext) -> None:
    await operator_access.end_sessions(system, "li")


PASSWORD_ONLY = [another_password, disabled, factor_set]
WITH_FACTOR = [another_password, disabled, factor_reset]


def code_of(secret: str, steps: int = 0) -> str:
    key = b32decode(secret)
    return TOTP(key, 6, SHA1(), 30).generate(clock.now() / 1000 + 30 * steps).decode()


async def signed_in(system: AppContext, client: Client = HERE) -> SignedIn:
    operator = await login.check_password(system, "li", PASSWORD, client)
    done = await login.sign_in(system, operator, client)
    found = await sessions.find(system, done.session)
    assert found is not None
    return found


async def set_up(system: AppContext, session: SignedIn) -> str:
    setup = two_factor.begin(system, session.operator_id, session.name)
    await two_factor.confirm(system, session, setup.ticket, code_of(setup.secret, -1))
    return setup.secret


async def count(system: AppContext) -> int:
    async with system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(rows)))


@pytest.fixture
async def li(system: AppContext) -> None:
    await operators.create(system, "root", PASSWORD)
    await operators.create(system, "li", PASSWORD)


@pytest.fixture
def after_verifying(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Change], None]:
    """Has something happen between the next password that is verified and what rests on it."""

    def arrange(change: Change) -> None:
        verify = password_hashing.verify

        async def paused(stored: str | None, password: str, **more: Any) -> bool:
            good = await verify(stored, password, **more)
            monkeypatch.setattr(password_hashing, "verify", verify)
            await change(system)
            return good

        monkeypatch.setattr(password_hashing, "verify", paused)

    return arrange


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", PASSWORD_ONLY)
async def test_no_session_begins_with_a_password_that_was_verified_before_a_change(
    system: AppContext, after_verifying: Callable[[Change], None], change: Change
) -> None:
    after_verifying(change)
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    before = await count(system)
    with pytest.raises(NotAuthenticated, match=OVER):
        await login.sign_in(system, operator, HERE)
    assert await count(system) == before


@pytest.mark.usefixtures("li")
async def test_a_second_factor_is_never_skipped(system: AppContext) -> None:
    await set_up(system, await signed_in(system))
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    for skipped in (operator, Operator("li", two_factor=False, proof=operator.proof)):
        with pytest.raises(NotAuthenticated, match=OVER):
            await login.sign_in(system, skipped, HERE)


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", WITH_FACTOR)
async def test_no_session_begins_with_a_code_that_was_verified_before_a_change(
    system: AppContext, change: Change
) -> None:
    secret = await set_up(system, await signed_in(system))
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    operator = await login.check_code(system, operator, code_of(secret), HERE)
    await change(system)
    before = await count(system)
    with pytest.raises(NotAuthenticated, match=OVER):
        await login.sign_in(system, operator, HERE)
    assert await count(system) == before


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", [another_password, disabled])
async def test_no_code_is_evaluated_after_a_password_that_is_over(
    system: AppContext, change: Change
) -> None:
    secret = await set_up(system, await signed_in(system))
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    await change(system)
    for code in ("000000", code_of(secret)):  # one cannot tell the right one
        with pytest.raises(NotAuthenticated, match=OVER):
            await login.check_code(system, operator, code, HERE)


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", [*PASSWORD_ONLY, sessions_ended])
async def test_no_session_is_renewed_after_a_change(
    system: AppContext, after_verifying: Callable[[Change], None], change: Change
) -> None:
    session = await signed_in(system)
    after_verifying(change)
    reason = ""
    try:
        await login.prove(system, session, PASSWORD, "")
    except UmsError as error:
        reason = error.reason
    assert reason == "proof_over"
    async with system.database.read() as tx:
        proved = await tx.value(
            select(rows.c.authenticated_at).where(rows.c.id == session.session_id)
        )
    assert proved in (None, session.authenticated_at)


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", WITH_FACTOR)
async def test_nor_after_a_code(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    session = await signed_in(system)
    secret = await set_up(system, session)
    check = two_factor.check

    async def paused(*given: object) -> object:
        proof = await check(*given)  # type: ignore[arg-type]
        await change(system)
        return proof

    monkeypatch.setattr(two_factor, "check", paused)
    with pytest.raises(NotAuthenticated, match=OVER):
        await login.prove(system, session, PASSWORD, code_of(secret))
    assert await count(system) == 0


@pytest.mark.usefixtures("li")
async def test_to_prove_asks_for_a_factor_that_was_set_meanwhile(system: AppContext) -> None:
    session = await signed_in(system)
    await set_up(system, session)
    assert not session.two_factor  # as the request had found it
    with pytest.raises(NotAuthenticated, match="This code is not good"):
        await login.prove(system, session, PASSWORD, "")


@pytest.mark.usefixtures("li")
@pytest.mark.parametrize("change", [another_password, disabled])
async def test_a_password_is_not_replaced_by_one_that_was_verified_before_a_change(
    system: AppContext, change: Change
) -> None:
    session = await signed_in(system)
    proof = await login.check_current(system, session, PASSWORD)
    await change(system)
    with pytest.raises(NotAuthenticated, match=OVER):
        await operators.change(system, "li", password="the thief's own words", proof=proof)
    await operators.change(system, "li", disabled=False)
    good = OTHER if change is another_password else PASSWORD
    assert (await login.check_password(system, "li", good, HERE)).name == "li"


@pytest.mark.usefixtures("li")
async def test_a_session_that_has_ended_changes_no_factor(system: AppContext) -> None:
    session = await signed_in(system)
    setup = two_factor.begin(system, session.operator_id, session.name)
    await another_password(system)
    with pytest.raises(NotAuthenticated, match=OVER):
        await two_factor.confirm(system, session, setup.ticket, code_of(setup.secret))
    await operators.set_password(system, "li", PASSWORD)
    session = await signed_in(system)
    await set_up(system, session)
    await sessions_ended(system)
    for change in (two_factor.renew_codes, two_factor.remove):
        with pytest.raises(NotAuthenticated, match=OVER):
            await change(system, session)
    assert (await operators.show(system, "li")).two_factor


@pytest.mark.usefixtures("li")
async def test_a_session_waits_for_a_change_that_is_on_its_way(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change has ended the sessions and is not committed: one that begins now must see it."""
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    entering: list[asyncio.Task[object]] = []
    forget = sessions.forget

    async def paused(*given: object, **more: object) -> None:
        await forget(*given, **more)  # type: ignore[arg-type]
        entering.append(asyncio.create_task(login.sign_in(system, operator, HERE)))
        await asyncio.wait(entering, timeout=0.3)  # as far as it gets

    monkeypatch.setattr(sessions, "forget", paused)
    await another_password(system)
    with pytest.raises(NotAuthenticated, match=OVER):
        await entering[0]
    async with system.database.read() as tx:
        mine = operator_rows.c.id == operator.id
        stored = await tx.value(select(operator_rows.c.password_hash).where(mine))
    assert await password_hashing.verify(stored, OTHER)
    assert await count(system) == 0


@pytest.mark.usefixtures("li")
async def test_a_hundred_sign_ins_around_a_change_leave_no_session(system: AppContext) -> None:
    async def enters(n: int) -> None:
        client = Client(f"198.51.100.{n}")
        operator = await login.check_password(system, "li", PASSWORD, client)
        await login.sign_in(system, operator, client)

    changing = asyncio.create_task(another_password(system))
    told = await asyncio.gather(*map(enters, range(100)), return_exceptions=True)
    await changing
    assert await count(system) == 0
    assert {type(one) for one in told} <= {type(None), NotAuthenticated, Busy}
