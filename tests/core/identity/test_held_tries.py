"""How many tries of passwords are held at the same time, and which of them makes room."""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator, Callable

import pytest

from core.identity.test_guessing import HERE, PASSWORD, THERE, enters, give_factor, tries
from support.clocks import Time
from ums.core.context.app_context import AppContext
from ums.core.identity import operators, password_turns
from ums.core.identity.login import FREE, Client
from ums.core.identity.password_turns import MOST_HELD, MOST_HELD_OF_NETWORK, HeldTries
from ums.errors import Busy, UmsError

Flood = Callable[[str, str, int], list[Task[UmsError]]]


async def test_the_oldest_of_the_largest_crowd_makes_room() -> None:
    held, displaced = HeldTries(), []

    async def stay(network: str, n: int) -> None:
        try:
            async with held.place(network):
                await asyncio.Event().wait()
        except TimeoutError:
            displaced.append((network, n))

    crowds = {"a": 20, "b": 19, **{f"c{n}": 3 for n in range(20)}, "d": 1}
    tasks = [
        asyncio.create_task(stay(network, n))
        for network, count in crowds.items()
        for n in range(count)
    ]
    await asyncio.sleep(0.01)
    assert (len(tasks), displaced) == (MOST_HELD, [])
    for network, n in (("a", 20), ("e", 0), ("e", 1), ("e", 2)):
        tasks.append(asyncio.create_task(stay(network, n)))
        await asyncio.sleep(0.01)
    assert displaced == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    async with held.place("a"):  # and nobody is left who could be displaced
        pass


@pytest.fixture
async def flood(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flood]:
    """Begins so many tries of a name from an address, of which none is told within the test."""
    await operators.create(system, "li", PASSWORD)
    await operators.create(system, "wang", PASSWORD)
    await give_factor(system, "li")
    begun: list[Task[UmsError]] = []

    def begin(name: str, address: str, count: int) -> list[Task[UmsError]]:
        client = Client(address)
        found = [asyncio.create_task(tries(system, name, "guess", client)) for _ in range(count)]
        begun.extend(found)
        return found

    for n in range(20):
        await tries(system, "li", "guess", Client(f"198.51.100.{n}"))
    for name in ("li", "wang", "nobody"):
        for _ in range(FREE):
            await tries(system, name, "guess")
    monkeypatch.setattr(password_turns, "HELD_SECONDS", 3600.0)
    yield begin
    for task in begun:
        task.cancel()
    await asyncio.wait(begun)


async def ended(tasks: list[Task[UmsError]], count: int) -> list[Task[UmsError]]:
    """The tasks that have ended, as soon as so many have."""
    async with asyncio.timeout(30):
        while sum(task.done() for task in tasks) < count:
            await asyncio.sleep(0.01)
    for _ in range(5):
        await asyncio.sleep(0.01)  # no more of them
    return [task for task in tasks if task.done()]


@pytest.mark.parametrize("name", ["li", "wang", "nobody"])
async def test_a_flood_from_one_network_is_not_held_as_a_whole(
    system: AppContext, time: Time, flood: Flood, name: str
) -> None:
    """Each that is held keeps a connection. Whom it names makes no difference."""
    tasks = flood(name, HERE.address, MOST_HELD_OF_NETWORK + 10)
    done = await ended(tasks, 10)
    assert [type(task.result()) for task in done] == [Busy] * 10


async def test_a_flood_from_many_networks_displaces_itself_alone(
    system: AppContext, time: Time, flood: Flood
) -> None:
    [alone] = flood("li", "203.0.113.200", 1)
    tasks = [task for n in range(6) for task in flood("li", f"203.0.113.{n}", MOST_HELD_OF_NETWORK)]
    over = len(tasks) + 1 - MOST_HELD
    assert len(await ended(tasks, over)) == over
    assert await enters(system, "li", THERE)
    assert len(await ended(tasks, over + 1)) == over + 1
    assert not alone.done()
