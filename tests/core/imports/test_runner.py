"""Imports from the file to the users, through crashes (ums-spec 4; faults F13, F41)."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from support.spreadsheets import ME, counts, done, people, prepare, shown, table
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.imports import runner
from ums.core.maintenance.startup import open_system
from ums.core.spreadsheets import reader
from ums.core.spreadsheets.headings import COLUMNS
from ums.core.tables import addresses, import_rejects
from ums.core.tables import imports as imports_table
from ums.core.tables import users as users_table
from ums.core.users import users
from ums.errors import Invalid, NotFound, recall

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
"""For what has nothing to do with the database."""


@pytest.fixture
async def world(system: AppContext) -> AppContext:
    """Channels A and B, sender MINE."""
    await prepare(system)
    return system


async def held(system: AppContext, userid: str) -> users.User:
    async with system.database.read() as tx:
        user = await users.find(tx, userid)
    assert user is not None
    return user


async def reasons(system: AppContext, import_id: int) -> list[tuple[int, str]]:
    async with system.database.read() as tx:
        mine = import_rejects.c.import_id == import_id
        rows = await tx.rows(select(import_rejects).where(mine).order_by(import_rejects.c.row))
    return [(row[1], recall(row[3])) for row in rows]


def copies(system: AppContext) -> list[Path]:
    return list((system.settings.data_dir / "imports").iterdir())


async def test_guides_table(world: AppContext, tmp_path: Path) -> None:
    path = table(
        tmp_path / "users.xlsx",
        ["userid", "email"],
        [1001, "a@Example.com"],
        ["u2", "b@example.com"],
        ["u2", "b@example.com"],
        ["u2", ""],
        ["u3", "nonsense"],
        ["u2", "c@example.com"],
    )
    one = await done(world, path)
    assert (one.state, one.detail, one.cursor, one.size) == ("done", "", 6, 6)
    assert counts(one) == (2, 1, 2, 1)
    assert one.finished_at is not None
    assert (await held(world, "1001")).addresses == {"email": {"A": ["a@example.com"]}}
    assert (await held(world, "u2")).addresses == {"email": {"A": ["c@example.com"]}}
    assert await reasons(world, one.id) == [
        (6, "email: an address needs exactly one @ sign"),
    ]
    assert copies(world) == []


@on_sqlite
async def test_general_format(world: AppContext, tmp_path: Path) -> None:
    path = table(
        tmp_path / "users.xlsx",
        ["tag", "bind_id", *COLUMNS[2:-1], "userid"],
        ["a, b，c", "all", 13800138000, "a@a.org", "", "", "", "", "d1", "w1", "C/u,D/v", "u1"],
        ["", "MINE", "", "", "r1,r2", "mp", "ali", "oa", "", "", "", "u1"],
        ["x", "", "", "", "", "", "", "", "", "", "", "u1"],
        ["", "C", "", "c@a.org", "", "", "", "", "", "", "", "u2"],
        ["", "MINE", "", "c@a.org", "", "", "", "", "", "", "", "u3"],
        ["", "B", "", "c@a.org", "", "", "", "", "", "", "", ""],
    )
    one = await done(world, path, "B")
    assert counts(one) == (1, 2, 0, 3)
    user = await held(world, "u1")
    assert user.tags == {"B": ["x"], "all": ["a", "b", "c"]}
    assert user.addresses == {
        "email": {"all": ["a@a.org"]},
        "phone": {"all": ["13800138000"]},
        "app": {"MINE": ["r1", "r2"]},
        "wechatmp": {"MINE": ["mp"]},
        "alipaylife": {"MINE": ["ali"]},
        "wechatoa": {"MINE": ["oa"]},
        "dingtalkcc": {"all": ["d1"]},
        "wechatwk": {"all": ["w1"]},
        "wechatwk_linkedcorp": {"all": ["C/u", "D/v"]},
    }
    assert [row for row, _ in await reasons(world, one.id)] == [5, 6, 7]


@on_sqlite
async def test_csv_in_gb18030(world: AppContext, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes("userid;tag\nu1;北京,上海\n".encode("gb18030"))
    assert counts(await done(world, path)) == (1, 0, 0, 0)
    assert (await held(world, "u1")).tags == {"A": ["上海", "北京"]}


@on_sqlite
async def test_file_that_cannot_be_read_changes_nothing(world: AppContext, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text('userid,email\nu1,a@a.org\nu2,"b@a.org\n')  # cut off
    with pytest.raises(Invalid, match="line 3"):
        await runner.open_import(world, path, bind_id="A", name="users.csv")
    async with world.database.read() as tx:
        assert await users.find(tx, "u1") is None
    assert copies(world) == []


@on_sqlite
async def test_an_import_that_failed_does_nothing_more(world: AppContext, tmp_path: Path) -> None:
    one = await done(world, people(tmp_path / "a.xlsx", 2), "MINE")
    assert (one.state, counts(one)) == ("failed", (0, 0, 0, 0))
    assert copies(world) == []
    await runner.run(world, one.id, ME)
    assert await shown(world, one.id) == one
    assert not await runner.step(world, one.id, ME)


@on_sqlite
async def test_bind_id_that_suits_no_row_fails_the_import(
    world: AppContext, tmp_path: Path
) -> None:
    one = await done(world, people(tmp_path / "a.xlsx", 2), "MINE")
    assert (one.state, one.rejected) == ("failed", 0)
    assert recall(one.detail) == "email: bind id MINE cannot be used here."
    assert recall(one.detail, "zh") != recall(one.detail)


@on_sqlite
async def test_what_cannot_be_opened(world: AppContext, tmp_path: Path) -> None:
    good = people(tmp_path / "a.xlsx", 2)
    bad = tmp_path / "b.xlsx"
    bad.write_bytes(good.read_bytes()[:-100])
    large = tmp_path / "c.csv"
    large.write_bytes(b"userid\n" * (3 * 1024 * 1024))
    for path, bind_id, reason in (
        (good, "nobody", "bad_bind_id"),
        (bad, "A", "sheet_unreadable"),
        (large, "A", "sheet_limit"),
        (tmp_path / "gone.xlsx", "A", "file_missing"),
        (tmp_path, "A", "file_missing"),
    ):
        with pytest.raises(Invalid) as error:
            await runner.open_import(world, path, bind_id=bind_id, name="x")
        assert error.value.reason == reason
    assert copies(world) == []
    with pytest.raises(NotFound):
        await runner.run(world, 77, ME)


@on_sqlite
async def test_our_copy_has_a_name_of_its_own(world: AppContext, tmp_path: Path) -> None:
    path = people(tmp_path / "a.xlsx", 1)
    one = await runner.open_import(world, path, bind_id="A", name="../../e\x00vil\r\n.xlsx")
    assert one.name == "../../e vil  .xlsx"
    [copy] = copies(world)
    assert len(copy.stem) == 32
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_same_file_again_is_the_same_import(world: AppContext, tmp_path: Path) -> None:
    path = people(tmp_path / "a.xlsx", 3)
    first = await runner.open_import(world, path, bind_id="A", name="a")
    again = await runner.open_import(world, path, bind_id="A", name="b")
    other = await runner.open_import(world, path, bind_id="B", name="c")
    assert again == first
    assert other.id != first.id
    assert len(copies(world)) == 2
    await runner.run(world, first.id, ME)
    later = await done(world, path)
    assert later.id not in {first.id, other.id}
    assert counts(later) == (0, 0, 3, 0)


@on_sqlite
async def test_one_step_at_a_time(
    world: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BATCH", 10)
    opened = await runner.open_import(world, people(tmp_path / "a.xlsx", 25), bind_id="A", name="a")
    seen = [await cursor_after_step(world, opened.id) for _ in range(4)]
    assert seen == [(True, 10), (True, 20), (True, 25), (False, 25)]
    assert counts(await shown(world, opened.id)) == (25, 0, 0, 0)


async def cursor_after_step(system: AppContext, import_id: int) -> tuple[bool, int]:
    more = await runner.step(system, import_id, ME)
    return more, (await shown(system, import_id)).cursor


async def test_claim(world: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BATCH", 1)
    opened = await runner.open_import(world, people(tmp_path / "a.xlsx", 3), bind_id="A", name="a")

    async def claim(owner: str) -> int | None:
        async with world.database.write() as tx:
            return await runner.claim(tx, owner)

    async with world.database.write() as tx:
        await queue.beat(tx, "alive", 60_000)
    assert await claim("alive") == opened.id
    assert await claim("other") is None
    assert not await runner.step(world, opened.id, "other")
    assert await runner.step(world, opened.id, "alive")
    async with world.database.write() as tx:
        await queue.beat(tx, "alive", -1)  # it died
    assert await claim("other") == opened.id
    await runner.run(world, opened.id, "other")
    assert counts(await shown(world, opened.id)) == (3, 0, 0, 0)
    assert await claim("third") is None


@on_sqlite
async def test_claim_leaves_a_file_on_another_machine_alone(
    world: AppContext, tmp_path: Path
) -> None:
    await runner.open_import(world, people(tmp_path / "a.xlsx", 1), bind_id="A", name="a")
    copies(world)[0].unlink()
    async with world.database.write() as tx:
        assert await runner.claim(tx, ME) is None


async def test_worker_that_lost_its_import_changes_nothing(
    world: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was asleep past its lease wakes up in the middle of a batch."""
    monkeypatch.setattr(reader, "BATCH", 2)
    opened = await runner.open_import(world, people(tmp_path / "a.xlsx", 9), bind_id="A", name="a")
    original = runner.read
    stolen = False

    def steal(*given: Any) -> Any:
        nonlocal stolen
        stolen = True
        return original(*given)

    monkeypatch.setattr(runner, "read", steal)
    sleeper = asyncio.create_task(runner.run(world, opened.id, "sleeper"))
    while not stolen:
        await asyncio.sleep(0)
    await runner.run(world, opened.id, "thief")
    await sleeper
    assert counts(await shown(world, opened.id)) == (9, 0, 0, 0)
    assert (await shown(world, opened.id)).state == "done"


async def test_cancelled_run_waits_to_be_claimed(
    world: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BATCH", 5)
    opened = await runner.open_import(
        world, people(tmp_path / "a.xlsx", 500), bind_id="A", name="a"
    )
    task = asyncio.create_task(runner.run(world, opened.id, ME))
    while (await shown(world, opened.id)).cursor < 10:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await shown(world, opened.id)).state == "waiting"
    await runner.run(world, opened.id, "next")
    assert counts(await shown(world, opened.id)) == (500, 0, 0, 0)


PROGRAM = """
import asyncio, sys, time
from pathlib import Path
import msgspec
from ums.config import Settings
from ums.core.imports import runner
from ums.core.maintenance.startup import open_system
from ums.core.spreadsheets import reader

reader.BATCH = 50

async def main():
    settings = msgspec.json.decode(sys.argv[1], type=Settings, dec_hook=lambda kind, x: kind(x))
    async with open_system(settings) as system:
        batch = runner._Work._batch
        async def told(work, lines):
            await batch(work, lines)
            print(work._cursor, flush=True)
            if work._cursor - begun > 1000:
                time.sleep(600)  # whoever is to kill us has not come yet
        runner._Work._batch = told
        async with system.database.read() as tx:
            begun = (await runner.show(tx, int(sys.argv[2]))).cursor
        await runner.run(system, int(sys.argv[2]), sys.argv[3])

asyncio.run(main())
"""


@pytest.mark.slow
async def test_killed_importer_loses_and_doubles_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    """SIGKILL twice, at moments of chance; then the same file is given again (F13)."""
    rows: list[list[Any]] = [[f"user{i}", f"u{i}@a.org" if i % 10 else "bad"] for i in range(4000)]
    path = table(tmp_path / "people.xlsx", ["userid", "email"], *rows)
    async with open_system(settings) as system:
        await prepare(system)
        opened = await runner.open_import(system, path, bind_id="A", name="people")
    for attempt in range(2):
        await killed(settings, opened.id, attempt)
    async with open_system(settings) as system:
        again = await runner.open_import(system, path, bind_id="A", name="people")
        assert again.id == opened.id
        assert 0 < again.cursor < 4000
        await runner.run(system, again.id, ME)
        one = await shown(system, again.id)
        assert (one.state, *counts(one)) == ("done", 3600, 0, 0, 400)
        assert len(await reasons(system, one.id)) == 400
        async with system.database.read() as tx:
            for kept in (users_table, addresses):
                assert await tx.value(select(func.count()).select_from(kept)) == 3600


async def killed(settings: Settings, import_id: int, attempt: int) -> None:
    given = msgspec.json.encode(settings, enc_hook=str).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, given, str(import_id), f"victim{attempt}"), stdout=PIPE
    )
    assert process.stdout is not None
    for _ in range(5 + attempt):
        assert await process.stdout.readline()
    await asyncio.sleep(0.004 * attempt)  # somewhere inside a batch
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL


@on_sqlite
async def test_sweep_removes_what_no_import_wants(world: AppContext, tmp_path: Path) -> None:
    await runner.open_import(world, people(tmp_path / "a.xlsx", 1), bind_id="A", name="a")
    [wanted] = copies(world)
    orphan, young = wanted.with_name("orphan.csv"), wanted.with_name("young.csv")
    young.touch()
    for old in (wanted, orphan):
        old.touch()
        os.utime(old, (0, 0))
    assert await runner.sweep(world) == 1
    assert sorted(copies(world)) == sorted([wanted, young])


@on_sqlite
async def test_no_import(world: AppContext) -> None:
    async with world.database.read() as tx:
        assert await runner.show(tx, 1) is None
        assert await tx.value(select(func.count()).select_from(imports_table)) == 0


@on_sqlite
async def test_no_reader_outlives_its_import(world: AppContext, tmp_path: Path) -> None:
    before = children()
    await done(world, people(tmp_path / "a.xlsx", 10))
    assert children() == before


def children() -> str:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
