"""Taking imports back: batch by batch, whoever dies in between."""

from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from support.spreadsheets import table
from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.identity.principals import Principal
from ums.core.imports import drafts, runner, undo
from ums.core.imports.undo import Lost
from ums.core.spreadsheets import reader
from ums.core.tables import import_batches
from ums.core.tables import imports as rows
from ums.core.tables import users as users_table
from ums.core.users import administration, users
from ums.core.users.administration import UserDraft
from ums.errors import Conflict, NotFound

ME = "me"


async def administrator(system: AppContext) -> Principal:
    return Principal("test", frozenset({"admin"}), None, await system.directory.now())


async def imported(system: AppContext, path: Path) -> int:
    opened = await runner.open_import(system, path, name="people")
    await runner.run(system, opened.id, ME)
    assert (await shown(system, opened.id)).state == "done"
    return opened.id


async def shown(system: AppContext, id: int) -> drafts.ImportInfo:
    async with system.database.read() as tx:
        return await drafts.show(tx, id)


async def held(system: AppContext, userid: str) -> users.User | None:
    async with system.database.read() as tx:
        return await users.find(tx, userid)


async def put(system: AppContext, userid: str, **tags: list[str]) -> None:
    await administration.put(system, await administrator(system), userid, UserDraft(tags=tags))


async def batches(system: AppContext) -> int:
    async with system.database.read() as tx:
        return int(await tx.value(select(func.count()).select_from(import_batches)))


async def undone(system: AppContext, id: int) -> drafts.ImportInfo:
    await undo.request(system, id)
    await runner.run(system, id, ME)
    return await shown(system, id)


async def test_a_user_of_several_batches_is_as_before(
    system: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BATCH", 2)
    await put(system, "old", all=["first"])
    lines = [["old", "a"], ["new", "a"], ["new", "b"], ["old", "b"], ["new", "b"], ["old", "a,b"]]
    id = await imported(system, table(tmp_path / "a.xlsx", ["userid", "tag"], *lines))
    assert await batches(system) == 3
    old = await held(system, "old")
    assert old is not None
    assert old.tags == {"all": ["a", "b"]}
    after = await undone(system, id)
    assert (after.state, after.undone, after.kept) == ("undone", 5, 0)
    assert await held(system, "new") is None
    old = await held(system, "old")
    assert old is not None
    assert old.tags == {"all": ["first"]}
    assert await batches(system) == 0


async def test_what_was_changed_since_stays(system: AppContext, tmp_path: Path) -> None:
    lines = [[name, f"{name}@a.org", "t"] for name in ("kept", "again", "grown", "gone")]
    id = await imported(system, table(tmp_path / "a.xlsx", ["userid", "email", "tag"], *lines))
    await put(system, "kept", all=["mine"])  # and no address any more
    async with system.database.write() as tx:
        await users.remove(tx, {"gone", "again"})
    await put(system, "again", all=["t"])  # another user of the same name
    await administration.patch(
        system,
        await administrator(system),
        "grown",
        {"set": {"phone": {"all": "13800138000"}}},
    )
    after = await undone(system, id)
    assert after.undone + after.kept == 4
    assert after.undone == 0
    again, grown, kept = [await held(system, name) for name in ("again", "grown", "kept")]
    assert again is not None
    assert again.tags == {"all": ["t"]}
    assert grown is not None
    assert grown.addresses == {"phone": {"all": ["13800138000"]}}
    assert kept is not None
    assert kept.tags == {"all": ["mine"]}


async def test_another_worker_goes_on_where_one_died(
    system: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BATCH", 2)
    lines = [[f"u{n}", f"u{n}@a.org"] for n in range(10)]
    id = await imported(system, table(tmp_path / "a.xlsx", ["userid", "email"], *lines))
    await undo.request(system, id)

    async def claim(owner: str) -> int | None:
        async with system.database.write() as tx:
            return await runner.claim(tx, owner)

    async with system.database.write() as tx:
        await queue.beat(tx, "first", 60_000)
    assert await claim("first") == id
    assert await claim("second") is None
    assert await undo.step(system, id, "first")
    assert await undo.step(system, id, "first")
    assert (await shown(system, id)).undone == 4
    async with system.database.write() as tx:
        await queue.beat(tx, "first", -1)  # it died
    assert await claim("second") == id
    with pytest.raises(Lost):
        await undo.step(system, id, "first")
    await runner.run(system, id, "second")
    after = await shown(system, id)
    assert (after.state, after.undone, after.kept) == ("undone", 10, 0)
    async with system.database.read() as tx:
        assert await tx.value(select(func.count()).select_from(users_table)) == 0
    assert await claim("third") is None
    await runner.run(system, id, "third")  # nothing more happens
    assert await shown(system, id) == after


async def test_what_cannot_be_taken_back(system: AppContext, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await undo.request(system, 77)
    path = table(tmp_path / "a.xlsx", ["userid"], ["u1"])
    waiting = await runner.open_import(system, path, name="a")
    with pytest.raises(Conflict, match="waiting"):
        await undo.request(system, waiting.id)
    await runner.run(system, waiting.id, ME)
    old = clock.now() - undo.KEPT_FOR - 1
    async with system.database.write() as tx:
        await tx.run(update(rows).values(finished_at=old))
    await undo.forget(system)
    with pytest.raises(Conflict, match="too old"):
        await undo.request(system, waiting.id)


async def test_old_drafts_are_forgotten(system: AppContext, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("userid\nu\n")
    with path.open("rb") as file:
        made = await drafts.upload(system, file, "a.csv")
    await drafts.forget(system)
    assert (await shown(system, made.id)).state == "draft"
    async with system.database.write() as tx:
        old = clock.now() - drafts.KEPT_FOR - 1
        await tx.run(update(rows).values(created_at=old))
    await drafts.forget(system)
    with pytest.raises(NotFound):
        await shown(system, made.id)
    async with system.database.write() as tx:
        await tx.run(delete(rows))


async def test_shared_addresses_are_in_the_audit_log_once_for_each_batch(
    system: AppContext, tmp_path: Path
) -> None:
    draft = UserDraft(addresses={"email": {"all": ["one@example.org"]}})
    await administration.put(system, await administrator(system), "zhangsan", draft)
    rows = [["zhangsan", "two@example.org"], ["lisi", "lisi@example.org"]]
    id = await imported(system, table(tmp_path / "a.xlsx", ["userid", "email"], *rows))
    await undone(system, id)
    async with system.database.read() as tx:
        log = (await audit_log.list_audit(tx, action="user.shared", sort="created_at")).items
    assert [entry.detail for entry in log[1:]] == [
        f"import {id}, 2 changed",
        f"undo of import {id}, 2 changed",
    ]
    was = ["zhangsan email: one@example.org", "lisi email: "]
    now = ["zhangsan email: two@example.org", "lisi email: lisi@example.org"]
    assert (log[1].before, log[1].after) == ({"from 1": was}, {"from 1": now})
    assert set((log[2].after or {})["from 1"]) == set(was)
