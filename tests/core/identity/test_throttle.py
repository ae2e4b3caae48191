"""Guessing is held back: counted before anything is verified, by all processes together."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from support.clocks import Time
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.identity import (
    known_devices,
    login,
    operators,
    password_hashing,
    sessions,
    throttle,
    two_factor,
)
from ums.core.identity.login import Client, Operator
from ums.core.identity.password_turns import PasswordTurns
from ums.core.identity.proofs import Proof
from ums.core.identity.throttle import Key, Limit
from ums.core.tables import throttle as tries
from ums.db import open_database
from ums.errors import Busy, NotAuthenticated, UmsError
from ums.networks import client_network

PASSWORD = "correct horse battery"
HERE = Client("192.0.2.1")
LIMIT = Limit("test", 3, 60, own=True)
WIDE = Limit("wide", 3, 60)


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were really looked at."""
    found: list[str] = []
    verify = password_hashing.verify

    async def counted(stored: str | None, password: str, **more: Any) -> bool:
        found.append(password)
        return await verify(stored, password, **more)

    monkeypatch.setattr(password_hashing, "verify", counted)
    return found


@pytest.fixture
async def other(system: AppContext) -> AsyncIterator[AppContext]:
    """A second process on the same database; SQLite has one alone."""
    if system.settings.is_sqlite:
        yield system
        return
    database = open_database(system.settings.database_url, system.settings.data_dir)
    yield AppContext(system.settings, database, system.seal)
    await database.close()


async def fails(system: AppContext, *keys: Key) -> float:
    """Fail once; the seconds to wait where it was not even tried."""
    try:
        async with throttle.attempt(system.database, *keys):
            raise NotAuthenticated("wrong_password")  # noqa: TRY301
    except Busy as error:
        return float(error.retry_after or 0)
    except NotAuthenticated:
        return 0.0


async def outcome(system: AppContext, name: str, password: str, client: Client = HERE) -> str:
    try:
        await login.check_password(system, name, password, client)
    except UmsError as error:
        return error.reason
    return "good"


async def test_a_hundred_log_ins_at_once_are_not_all_looked_at(
    system: AppContext, other: AppContext, evaluated: list[str], time: Time
) -> None:
    await operators.create(system, "li", PASSWORD)
    tries = [outcome((system, other)[n % 2], "li", f"guess {n}") for n in range(100)]
    told = await asyncio.gather(*tries)
    assert len(evaluated) == login.FREE
    assert sorted(told) == ["too_many_tries"] * 95 + ["wrong_password"] * 5


async def test_three_hundred_codes_at_once_are_not_all_looked_at(
    system: AppContext, other: AppContext, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    seen: list[str] = []

    async def counted(_system: AppContext, _proof: Proof, code: str) -> None:
        seen.append(code)
        raise NotAuthenticated("wrong_code")

    monkeypatch.setattr(two_factor, "check", counted)

    async def guess(n: int) -> None:
        operator = Operator("li", two_factor=True, proof=Proof(1, ""))
        with pytest.raises((NotAuthenticated, Busy)):
            await login.check_code((system, other)[n % 2], operator, f"{n:06}", HERE)

    await asyncio.gather(*map(guess, range(300)))
    assert len(seen) == login.FREE


async def test_the_wait_grows_ends_and_is_forgotten(system: AppContext, time: Time) -> None:
    key = LIMIT.key("li")
    waits: list[float] = []
    assert await fails(system, key) == 0
    for _ in range(11):
        assert await fails(system, key) == 0
        async with system.database.read() as tx:
            busy = await throttle.waits(tx, key)
        waits.append(float(busy.retry_after or 0) if busy else 0.0)
        time.at += int(waits[-1] * 1000)
    assert waits == [0, 5, 10, 20, 40, *[60] * 6]
    time.at += throttle.KEPT + 1
    assert [await fails(system, key) for _ in range(4)] == [0, 0, 0, 5]


async def test_a_good_try_is_given_back(system: AppContext, time: Time) -> None:
    wide = WIDE.key("address")
    for _ in range(10):
        async with throttle.attempt(system.database, wide):
            pass
    assert [await fails(system, wide) for _ in range(4)] == [0, 0, 0, 5]
    own = LIMIT.key("li")
    for _ in range(2):
        await fails(system, own)
    async with throttle.attempt(system.database, own):
        pass
    assert [await fails(system, own) for _ in range(4)] == [0, 0, 0, 5]


async def test_a_try_that_one_key_holds_back_counts_at_no_other(
    system: AppContext, time: Time
) -> None:
    blocked, free = LIMIT.key("li"), WIDE.key("office")
    for _ in range(3):
        await fails(system, blocked)
    for _ in range(10):
        assert await fails(system, blocked, free) > 0
    assert await fails(system, free) == 0


async def test_tries_leak_where_the_limit_says_so(system: AppContext, time: Time) -> None:
    key = Limit("leaking", 3, 60, leak=clock.MINUTE).key("x")
    for _ in range(2):
        await fails(system, key)
    time.at += 2 * clock.MINUTE
    assert [await fails(system, key) for _ in range(4)] == [0, 0, 0, 5]


async def test_nobody_can_be_kept_out_from_elsewhere(system: AppContext, time: Time) -> None:
    await operators.create(system, "li", PASSWORD)
    id = (await login.check_password(system, "li", PASSWORD, HERE)).id
    for n in range(40):  # every guess from another address
        await outcome(system, "li", "guess", Client(f"198.51.100.{n}"))
    assert await outcome(system, "li", PASSWORD, Client("203.0.113.1")) == "too_many_tries"
    device = known_devices.issue(system.seal, id)
    assert await outcome(system, "li", PASSWORD, Client("203.0.113.1", "", device)) == "good"
    for wrong in (device[:-1], device + "0", known_devices.issue(system.seal, id + 1), "é", "."):
        client = Client("203.0.113.1", "", wrong)
        assert await outcome(system, "li", PASSWORD, client) == "too_many_tries", wrong


async def test_a_known_device_is_no_way_to_guess(system: AppContext, time: Time) -> None:
    await operators.create(system, "li", PASSWORD)
    id = (await login.check_password(system, "li", PASSWORD, HERE)).id
    client = Client("192.0.2.1", "", known_devices.issue(system.seal, id))
    told = [await outcome(system, "li", "guess", client) for _ in range(11)]
    assert told == ["wrong_password"] * 10 + ["too_many_tries"]


async def test_a_right_password_with_a_second_factor_gets_through(
    system: AppContext, time: Time
) -> None:
    await operators.create(system, "li", PASSWORD)
    await operators.create(system, "wang", PASSWORD)
    id = (await login.check_password(system, "li", PASSWORD, HERE)).id
    await _second_factor(system, id)
    for n in range(40):
        for name in ("li", "wang"):
            await outcome(system, name, "guess", Client(f"198.51.100.{n}"))
    fresh = Client("203.0.113.1")
    assert await outcome(system, "wang", PASSWORD, fresh) == "too_many_tries"
    assert await outcome(system, "li", "guess", fresh) == "too_many_tries"
    assert await outcome(system, "li", PASSWORD, fresh) == "good"


async def _second_factor(system: AppContext, id: int) -> None:
    from sqlalchemy import update

    from ums.core.tables import operators as rows

    async with system.database.write() as tx:
        await tx.run(update(rows).where(rows.c.id == id).values(totp="sealed"))


async def test_an_office_is_not_shut_out_by_one_guesser(system: AppContext, time: Time) -> None:
    for name in ("li", "wang"):
        await operators.create(system, name, PASSWORD)
    for _ in range(30):
        await outcome(system, "li", "guess")
    assert await outcome(system, "li", PASSWORD) == "too_many_tries"
    assert await outcome(system, "wang", PASSWORD) == "good"


async def test_one_address_has_an_end_too(
    system: AppContext, evaluated: list[str], time: Time
) -> None:
    for n in range(130):
        await outcome(system, f"nobody {n}", "guess", Client(f"2001:db8:1:2::{n:x}"))
    assert len(evaluated) == login.ADDRESS.free  # one network of IPv6 is one client
    assert await outcome(system, "x", "guess", Client("2001:db8:1:3::1")) == "wrong_password"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_what_one_client_has(address: str, network: str) -> None:
    assert client_network(address) == network


async def test_to_authenticate_again_is_held_back_in_one_session_alone(
    system: AppContext, time: Time
) -> None:
    await operators.create(system, "li", PASSWORD)
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    here, there = [(await login.sign_in(system, operator, HERE)).session for _ in range(2)]
    session, second = await sessions.find(system, here), await sessions.find(system, there)
    assert session is not None
    assert second is not None

    async def proves(who: sessions.SignedIn, password: str) -> str:
        try:
            await login.prove(system, who, password, "")
        except UmsError as error:
            return error.reason
        return "good"

    told = await asyncio.gather(*(proves(session, f"guess {n}") for n in range(50)))
    assert told.count("not_your_password") == login.FREE
    assert await proves(session, PASSWORD) == "too_many_tries"
    assert await proves(second, PASSWORD) == "good"
    assert await sessions.find(system, there) is None  # it has another cookie now
    assert await sessions.find(system, here) is not None


async def test_what_is_over_is_removed(system: AppContext, time: Time) -> None:
    from sqlalchemy import func, select

    from ums.core.tables import throttle as rows
    from ums.engine.maintenance import tidy

    await fails(system, LIMIT.key("li"))
    time.at += throttle.KEPT - 1000
    await fails(system, LIMIT.key("wang"))
    time.at += 2000
    await tidy(system, clock.now())
    async with system.database.read() as tx:
        assert await tx.value(select(func.count()).select_from(rows)) == 1


async def test_a_flood_of_passwords_takes_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    async def one() -> None:
        await password_hashing.verify(None, "guess")

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return super().verify(hash, password)
            finally:
                running -= 1

    monkeypatch.setattr(password_hashing, "_hasher", Counting(1, 8, 1))
    monkeypatch.setattr(password_hashing.STRANGERS, "longest", 12)
    told = await asyncio.gather(*(one() for _ in range(40)), return_exceptions=True)
    assert most <= password_hashing.STRANGERS.at_once
    assert sum(isinstance(one, Busy) for one in told) == 28
    assert await password_hashing.verify(None, "afterwards") is False


async def test_a_queue_of_strangers_that_is_full_keeps_nobody_who_is_known_waiting(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await operators.create(system, "li", PASSWORD, role="operator")
    first = await login.check_password(system, "li", PASSWORD, Client("192.0.2.1"))
    device = (await login.sign_in(system, first, Client("192.0.2.1"))).device
    goes_on = threading.Event()
    real = password_hashing._hasher

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            if password == "guess":
                goes_on.wait(30)
            return real.verify(hash, password)

    monkeypatch.setattr(password_hashing, "_hasher", Slow(1, 8, 1))
    monkeypatch.setattr(password_hashing.STRANGERS, "longest", 5)
    flood = [asyncio.create_task(password_hashing.verify(None, "guess")) for _ in range(5)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await login.check_password(system, "li", PASSWORD, Client("203.0.113.7"))
        async with system.database.read() as tx:
            counted = await tx.value(
                select(func.count()).select_from(tries).where(tries.c.count > 0)
            )
        assert counted == 0  # who was not looked at has not failed
        turns = system.shared(PasswordTurns)
        stored = await password_hashing.hashed(PASSWORD)
        assert await turns.is_right_all_the_same("pair", stored, PASSWORD)
        known = Client("192.0.2.1", device=device)
        assert (await login.check_password(system, "li", PASSWORD, known)).name == "li"
        signed_in = await login.sign_in(system, first, known)
        session = await sessions.find(system, signed_in.session)
        assert session is not None
        assert await login.prove(system, session, PASSWORD, "")
    finally:
        goes_on.set()
        await asyncio.gather(*flood)
