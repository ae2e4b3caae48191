"""What guessing comes to: no more than the papers say, and nobody is kept out by it."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from support.clocks import Time
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.identity import login, operators, password_hashing, password_turns, throttle
from ums.core.identity.login import (
    ACCOUNT,
    ADDRESS,
    CODE,
    CODE_OF_DEVICE,
    CODES,
    DEVICE,
    FREE,
    PAIR,
    PROOF,
    SPARE,
    Client,
    Operator,
)
from ums.core.identity.password_turns import PasswordTurns
from ums.core.identity.proofs import Proof
from ums.core.identity.throttle import Key, Limit
from ums.core.tables import operators as rows
from ums.db import Tx
from ums.errors import Busy, UmsError

PASSWORD = "correct horse battery"
HERE = Client("192.0.2.1")
THERE = Client("203.0.113.1")
STAFF = 8
LIMITS = [PAIR, ACCOUNT, ADDRESS, DEVICE, CODE, CODES, CODE_OF_DEVICE, PROOF]


@pytest.fixture
def polled_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were compared with one that is stored."""
    found: list[str] = []
    verify = password_hashing.verify

    async def counted(stored: str | None, password: str, **more: Any) -> bool:
        if stored is not None:
            found.append(password)
        return await verify(stored, password, **more)

    monkeypatch.setattr(password_hashing, "verify", counted)
    return found


async def tries(system: AppContext, name: str, password: str, client: Client = HERE) -> UmsError:
    """What a wrong password is told."""
    with pytest.raises(UmsError) as told:
        await login.check_password(system, name, password, client)
    return told.value


async def enters(system: AppContext, name: str, client: Client = HERE) -> bool:
    try:
        await login.check_password(system, name, PASSWORD, client)
    except Busy:
        return False
    return True


async def give_factor(system: AppContext, name: str) -> None:
    async with system.database.write() as tx:
        await tx.run(update(rows).where(rows.c.name == name).values(totp="sealed"))


async def hold_address(system: AppContext, client: Client = HERE) -> None:
    """Fail under many names, until the address has to wait."""
    for n in range(60):
        await tries(system, f"nobody {n}", "guess", client)


@pytest.fixture
async def staff(system: AppContext) -> list[str]:
    names = [f"clerk {n:02}" for n in range(STAFF)]
    for name in names:
        await operators.create(system, name, PASSWORD)
    return names


# -- what a guesser gets ----------------------------------------------------------------------


def hardest(limit: Limit) -> int:
    """The most tries in an hour that `in_an_hour` finds."""
    return {
        "pair": 24,
        "device": 34,
        "account": 83,
        "address": 170,
        "code": 24,
        "codes": 54,
        "devcode": 24,
        "proof": 24,
    }[limit.name]


async def in_an_hour(system: AppContext, time: Time, limit: Limit, rests: int, pace: int) -> int:
    """How often something can be tried in an hour by who goes on as soon as that may be, or after
    `pace` seconds, and once, after `rests` waits, lets half an hour pass and all be forgotten."""
    found, waits, end, key = 0, 0, time.at + clock.HOUR, limit.key(rests, pace)
    while time.at < end:
        try:
            async with system.database.write() as tx:
                await throttle.reserve(tx, key)
            found += 1
        except Busy as busy:
            waits += 1
            seconds = max(float(busy.retry_after or 0), pace)
            time.at += throttle.KEPT + 1 if waits == rests else int(seconds * 1000)
    return found


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
async def test_one_limit(system: AppContext, time: Time, limit: Limit) -> None:
    found = [
        await in_an_hour(system, time, limit, rests, pace)
        for rests in (0, 5, 6, 7, 8, 9, 10)
        for pace in (0, 30, 60)
    ]
    assert limit.free < max(found) <= hardest(limit)
    assert max(found) > 0.9 * hardest(limit)  # else the papers exaggerate


@pytest.mark.slow
async def test_many_accounts_from_one_address(
    system: AppContext, time: Time, polled_at: list[str], staff: list[str]
) -> None:
    end = time.at + clock.HOUR
    while time.at < end:
        before, left = len(polled_at), [60]
        for name in staff:
            told = await tries(system, name, name)
            left.append(int(told.retry_after or 60) if isinstance(told, Busy) else 60)
        if len(polled_at) == before:
            time.at += min(left) * 1000
    assert len(polled_at) <= 170 + 6 * STAFF
    assert max(Counter(polled_at).values()) <= hardest(PAIR)


# -- who gets through -------------------------------------------------------------------------


async def test_one_guesser_of_many_names_shuts_no_office_out(
    system: AppContext, time: Time, staff: list[str]
) -> None:
    await hold_address(system)
    for name in staff:
        assert await enters(system, name), name
    assert await enters(system, staff[0])  # and again


async def test_nor_while_it_goes_on(system: AppContext, time: Time, staff: list[str]) -> None:
    await hold_address(system)
    flood = [tries(system, f"nobody {n}", "guess") for n in range(1000, 1100)]
    told = await asyncio.gather(*flood, *(enters(system, name) for name in staff))
    assert told[100:] == [True] * STAFF


async def test_who_mistypes_there_has_some_more(
    system: AppContext, time: Time, staff: list[str]
) -> None:
    await hold_address(system)
    for _ in range(SPARE - 1):
        assert isinstance(await tries(system, staff[0], "mistyped"), Busy)
    assert await enters(system, staff[0])
    for _ in range(SPARE):
        await tries(system, staff[0], "guess")
    assert not await enters(system, staff[0])  # by now it is guessed at itself
    assert await enters(system, staff[1])
    time.at += clock.MINUTE
    assert await enters(system, staff[0])


async def test_a_right_password_and_a_factor_get_through_at_the_guessers_own_address(
    system: AppContext, time: Time
) -> None:
    await operators.create(system, "li", PASSWORD)
    await operators.create(system, "wang", PASSWORD)
    await give_factor(system, "li")
    for n in range(40):
        for client in (HERE, Client(f"198.51.100.{n}")):
            for name in ("li", "wang"):
                await tries(system, name, "guess", client)
    for client in (HERE, THERE, HERE):
        assert await enters(system, "li", client)
        assert not await enters(system, "wang", client)


async def test_a_flood_at_an_account_with_a_factor(
    system: AppContext, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are looked at that have a turn, but one at a time; and the right one is among them."""
    await operators.create(system, "li", PASSWORD)
    await give_factor(system, "li")
    for _ in range(FREE):
        await tries(system, "li", "guess")
    running, most = 0, 0
    verify = password_hashing.verify

    async def counted(stored: str | None, password: str, **more: Any) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        good = await verify(stored, password, **more)
        running -= 1
        return good

    monkeypatch.setattr(password_hashing, "verify", counted)
    monkeypatch.setattr(password_turns, "TURN_SECONDS", 60)
    flood = [tries(system, "li", f"guess {n}") for n in range(100)]
    told = await asyncio.gather(*flood, enters(system, "li"))
    assert told[-1] is True
    assert {type(one) for one in told[:-1]} == {Busy}
    assert most == 1


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], asyncio.Event]:
    """The passwords that are being looked at, which takes until the event."""
    begun: list[str] = []
    go_on = asyncio.Event()

    async def verify(_stored: str | None, password: str, **_: Any) -> bool:
        begun.append(password)
        await go_on.wait()
        return password == PASSWORD

    monkeypatch.setattr(password_hashing, "verify", verify)
    return begun, go_on


async def test_a_flood_from_one_address_takes_no_turns_of_another(
    system: AppContext, slow: tuple[list[str], asyncio.Event]
) -> None:
    begun, go_on = slow
    lane = PasswordTurns(system.database)
    flood = [
        asyncio.create_task(lane.is_right_all_the_same("a", "hash", f"guess {n}"))
        for n in range(50)
    ]
    other = asyncio.create_task(lane.is_right_all_the_same("b", "hash", PASSWORD))
    await asyncio.sleep(0)
    assert begun == ["guess 0"]
    go_on.set()
    assert await other
    assert begun.index(PASSWORD) == 1
    assert not any(await asyncio.gather(*flood))


async def test_a_burst_from_one_address_keeps_no_other_waiting(
    system: AppContext, staff: list[str], slow: tuple[list[str], asyncio.Event]
) -> None:
    begun, go_on = slow
    flood = [asyncio.create_task(tries(system, f"nobody {n}", "guess")) for n in range(50)]
    async with asyncio.timeout(60):
        while not begun:
            await asyncio.sleep(0.01)
        other = asyncio.create_task(enters(system, staff[0], THERE))
        while PASSWORD not in begun:
            await asyncio.sleep(0.01)
    assert begun == ["guess", PASSWORD]  # all others of the burst wait for their turns
    go_on.set()
    assert await other
    await asyncio.gather(*flood)


async def test_who_has_no_turn_is_not_right(
    system: AppContext,
    slow: tuple[list[str], asyncio.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = slow
    lane = PasswordTurns(system.database)
    monkeypatch.setattr(password_turns, "TURN_SECONDS", 0.01)
    first = asyncio.create_task(lane.is_right_all_the_same("a", "hash", PASSWORD))
    await asyncio.sleep(0)
    for who in ("a", "b"):
        assert not await lane.is_right_all_the_same(who, "hash", PASSWORD)
    assert begun == [PASSWORD]
    go_on.set()
    assert await first  # what has begun is not given up


async def test_a_wait_tells_nothing_of_names_and_factors(
    system: AppContext, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is held is told the same at the same time, whether there is such an operator, with
    a second factor, or none."""
    await operators.create(system, "li", PASSWORD)
    await operators.create(system, "wang", PASSWORD)
    await give_factor(system, "li")
    held: list[float] = []
    hold = password_turns.hold

    async def noted(since: float) -> None:
        held.append(since)
        await hold(since)

    monkeypatch.setattr(password_turns, "hold", noted)

    async def answers(name: str, n: int) -> list[tuple[str, object]]:
        alone, crowd = Client(f"198.51.100.{n}"), Client(f"203.0.113.{n}")
        found = [await tries(system, name, "guess", alone) for _ in range(8)]
        await hold_address(system, crowd)
        found += [await tries(system, name, "guess", crowd) for _ in range(8)]
        return [(one.reason, one.values.get("seconds")) for one in found]

    told, counts = [], []
    for n, name in enumerate(("li", "wang", "nobody")):
        before = len(held)
        told.append(await answers(name, n))
        counts.append(len(held) - before)
    assert told[0] == told[1] == told[2]
    assert counts[0] == counts[1] == counts[2] > 0


async def test_a_flood_takes_no_connections_of_others(
    system: AppContext, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries of one address are counted one at a time: else those that wait for each other's rows
    would hold all connections to the database."""
    running, most = 0, 0
    reserve = throttle.reserve

    async def counted(tx: Tx, *keys: Key) -> dict[Key, int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await reserve(tx, *keys)
        finally:
            running -= 1

    monkeypatch.setattr(throttle, "reserve", counted)
    operator = Operator("li", two_factor=True, proof=Proof(1, ""))

    async def code(n: int) -> None:
        with pytest.raises(UmsError):
            await login.check_code(system, operator, f"{n:06}", HERE)

    await asyncio.gather(*(tries(system, "li", "guess") for _ in range(30)), *map(code, range(30)))
    assert most == 1
