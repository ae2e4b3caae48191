"""Answers that take long are kept; what is quick never is."""

import asyncio

import pytest

from ums.core.common.ttl_cache import LONGEST, MOST, TtlCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """Gives 1, 2, 3...; each takes `seconds`, and waits until it may go on."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.made = clock, seconds, 0
        self.going = asyncio.Event()
        self.going.set()

    async def __call__(self) -> int:
        await self.going.wait()
        self.clock.now += self.seconds
        self.made += 1
        return self.made


async def behind() -> None:
    """Let what is made behind come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_took_long_is_kept_ten_times_as_long() -> None:
    clock = Clock()
    recent, slow = TtlCache(clock), Counting(clock, 0.2)
    assert [await recent.get("key", slow) for _ in range(3)] == [1, 1, 1]
    assert await recent.get("other", slow) == 2
    clock.now += 1.7
    assert await recent.get("key", slow) == 1
    await behind()
    assert slow.made == 2
    recent.forget("key")
    assert await recent.get("key", slow) == 3


async def test_what_is_quick_is_made_for_everybody() -> None:
    clock = Clock()
    recent, quick = TtlCache(clock), Counting(clock, 0.04)
    assert [await recent.get("key", quick) for _ in range(3)] == [1, 2, 3]


async def test_nobody_waits_for_what_is_asked_for_often() -> None:
    clock = Clock()
    recent, slow = TtlCache(clock), Counting(clock, 1)
    assert await recent.get("key", slow) == 1
    clock.now += 11
    slow.going.clear()
    assert [await recent.get("key", slow) for _ in range(3)] == [1, 1, 1]
    slow.going.set()
    await behind()
    assert slow.made == 2  # once for the three of them
    assert await recent.get("key", slow) == 2


async def test_nothing_is_kept_for_long() -> None:
    clock = Clock()
    recent, endless = TtlCache(clock), Counting(clock, 60)
    assert await recent.get("key", endless) == 1
    clock.now += 2 * LONGEST + 0.1
    assert await recent.get("key", endless) == 2


async def test_what_was_forgotten_while_it_was_made_is_not_kept() -> None:
    clock = Clock()
    recent, slow = TtlCache(clock), Counting(clock, 1)
    await recent.get("key", slow)
    clock.now += 11
    slow.going.clear()
    assert await recent.get("key", slow) == 1
    recent.forget("key")
    slow.going.set()
    await behind()
    assert slow.made == 2
    assert await recent.get("key", slow) == 3


async def test_a_failure_is_not_kept_and_not_for_ever_in_the_way() -> None:
    clock = Clock()
    recent, slow = TtlCache(clock), Counting(clock, 1)
    await recent.get("key", slow)
    clock.now += 11

    async def failing() -> int:
        raise RuntimeError

    assert await recent.get("key", failing) == 1
    await behind()
    with pytest.raises(RuntimeError):
        await recent.get("key", failing)
    assert await recent.get("key", slow) == 2
    for number in range(2 * MOST):
        await recent.get(number, slow)
    assert await recent.get(2 * MOST - 1, slow) == 2 * MOST + 2


async def test_what_is_being_made_is_let_go_at_the_end() -> None:
    clock = Clock()
    recent, slow = TtlCache(clock), Counting(clock, 1)
    await recent.get("key", slow)
    clock.now += 11
    slow.going.clear()
    await recent.get("key", slow)
    await behind()
    await recent.close()
    slow.going.set()
    await behind()
    assert slow.made == 1
