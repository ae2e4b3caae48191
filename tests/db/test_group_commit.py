"""Group commit: order, durability for callers that left, and one bad item among good ones."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ums.config import Settings
from ums.db import Database, GroupCommit, Tx, open_database
from ums.errors import Unavailable


class Recorder:
    """An `apply` that remembers its groups; a negative item is bad."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, tx: Tx, items: Sequence[int]) -> list[int | Exception]:
        await self.gate.wait()
        if any(item < -1 for item in items):
            raise ValueError("poison")
        self.groups.append(list(items))
        return [LookupError("no") if item == -1 else item * 10 for item in items]


class Fake(Database):
    """A database whose transactions do nothing, or cannot be had."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.away = False
        self.begun = 0

    @asynccontextmanager
    async def _transaction(self) -> Any:
        self.begun += 1
        if self.away:
            raise Unavailable("unavailable")
        yield None

    def write(self) -> Any:
        return self._transaction()

    def read(self) -> Any:
        return self._transaction()

    async def exclusively(self, function: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None: ...


async def test_callers_of_one_moment_share_a_commit_in_their_order() -> None:
    apply, database = Recorder(), Fake()
    group: GroupCommit[int, int] = GroupCommit(database, apply)
    assert await asyncio.gather(*(group.submit(i) for i in range(20))) == list(range(0, 200, 10))
    assert apply.groups == [list(range(20))]


async def test_those_who_come_during_a_commit_are_the_next_group() -> None:
    apply = Recorder()
    apply.gate.clear()
    group: GroupCommit[int, int] = GroupCommit(Fake(), apply, limit=4)
    first = asyncio.create_task(group.submit(0))
    for _ in range(3):
        await asyncio.sleep(0)
    rest = [asyncio.create_task(group.submit(i)) for i in range(1, 8)]
    await asyncio.sleep(0)
    apply.gate.set()
    await asyncio.gather(first, *rest)
    assert apply.groups == [[0], [1, 2, 3, 4], [5, 6, 7]]


async def test_an_item_whose_caller_left_is_written_all_the_same() -> None:
    apply = Recorder()
    apply.gate.clear()
    group: GroupCommit[int, int] = GroupCommit(Fake(), apply)
    tasks = [asyncio.create_task(group.submit(i)) for i in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    apply.gate.set()
    assert [await tasks[0], await tasks[2]] == [0, 20]
    await group.drain()
    assert apply.groups == [[0, 1, 2]]


async def test_a_refused_item_is_told_to_its_caller_alone() -> None:
    group: GroupCommit[int, int] = GroupCommit(Fake(), Recorder())
    answers = await asyncio.gather(*map(group.submit, (1, -1, 2)), return_exceptions=True)
    assert isinstance(answers[1], LookupError)
    assert [answers[0], answers[2]] == [10, 20]


async def test_an_item_that_breaks_the_transaction_takes_no_other_along() -> None:
    apply = Recorder()
    group: GroupCommit[int, int] = GroupCommit(Fake(), apply)
    answers = await asyncio.gather(*map(group.submit, (1, -5, 2)), return_exceptions=True)
    assert isinstance(answers[1], ValueError)
    assert [answers[0], answers[2]] == [10, 20]
    assert apply.groups == [[1], [2]]
    assert await group.submit(3) == 30  # and it goes on


async def test_when_the_database_is_away_all_learn_it_at_once() -> None:
    """One by one they would each wait for the same dead server."""
    database = Fake()
    database.away = True
    group: GroupCommit[int, int] = GroupCommit(database, Recorder())
    answers = await asyncio.gather(*map(group.submit, range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert database.begun == 1
    database.away = False
    assert await group.submit(4) == 40


async def test_an_apply_that_forgets_an_answer_leaves_nobody_waiting() -> None:
    async def short(tx: Tx, items: Sequence[int]) -> list[int | Exception]:
        return []

    group: GroupCommit[int, int] = GroupCommit(Fake(), short)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert {type(answer) for answer in answers} == {ValueError}


async def test_drain_waits_for_what_comes_while_it_waits() -> None:
    apply = Recorder()
    apply.gate.clear()
    group: GroupCommit[int, int] = GroupCommit(Fake(), apply)
    first = asyncio.create_task(group.submit(1))
    await asyncio.sleep(0)
    draining = asyncio.create_task(group.drain())
    await asyncio.sleep(0)
    second = asyncio.create_task(group.submit(2))
    await asyncio.sleep(0)
    apply.gate.set()
    await draining
    assert first.done()
    assert second.done() or apply.groups[-1] == [2]


async def test_what_was_answered_survives_the_process(settings: Settings) -> None:
    from sqlalchemy import text

    async def apply(tx: Tx, items: Sequence[int]) -> list[int | Exception]:
        for item in items:
            row = {"n": f"item{item}", "v": str(item)}
            await tx.run(text("INSERT INTO meta (name, value) VALUES (:n, :v)"), row)
        return list(items)

    database = open_database(settings.database_url, settings.data_dir)
    group: GroupCommit[int, int] = GroupCommit(database, apply)
    await asyncio.gather(*map(group.submit, range(5)))
    await database.close()
    again = open_database(settings.database_url, settings.data_dir)
    async with again.read() as tx:
        query = text("SELECT count(*) FROM meta WHERE name LIKE 'item%'")
        assert await tx.value(query) == 5
    await again.close()
