"""Search of users by part: any part, any case, and nothing of what others stored."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from ums import clock
from ums.core import channels, user_pages, user_search, users
from ums.core.callers import Caller
from ums.core.models import user_search as table
from ums.core.models import users as user_rows
from ums.core.system import System
from ums.core.user_entries import Rights
from ums.core.user_pages import Found

PEOPLE: list[dict[str, Any]] = [
    {"userid": "Zhang-0001", "email": {"all": "San.Zhang@Example.CN"}},
    {"userid": "li", "attributes": {"name": "李四光", "age": 40}, "tag": {"all": ["VIP客户"]}},
    {"userid": "wang", "email": {"all": "w@mail.example"}, "attributes": {"name": "王五"}},
    {"userid": "haupt", "attributes": {"street": "Hauptstraße", "city": "Ｗｕｈａｎ 100%_done"}},
]


async def caller(system: System, *keys: str) -> Caller:
    snapshot = await system.directory.now()
    ids = frozenset(snapshot.channels[key].id for key in keys) if keys else None
    return Caller("test", frozenset({"admin"}), ids, snapshot)


async def put(system: System, entries: Sequence[dict[str, Any]]) -> None:
    rights = Rights(await system.directory.now(), None, replaces_shared=True)
    report = await users.opt_with(system, rights, list(entries))
    assert report.fail == []


async def found(system: System, sought: str, *keys: str, **more: Any) -> list[str]:
    async with system.database.read() as tx:
        page = await user_pages.search(
            tx, await caller(system, *keys), Found(search=sought), **more
        )
    return [user.userid for user in page.items]


@pytest.mark.parametrize(
    ("sought", "userids"),
    [
        ("zhang", ["Zhang-0001"]),
        ("ANG-00", ["Zhang-0001"]),
        ("n.zhang@EXAMPLE", ["Zhang-0001"]),
        ("example", ["Zhang-0001", "wang"]),
        ("李四", ["li"]),
        ("四光", ["li"]),
        ("李四光", ["li"]),
        ("李光", []),
        ("五", ["wang"]),
        ("王五", ["wang"]),
        ("vip", ["li"]),
        ("客户", ["li"]),
        ("STRASSE", ["haupt"]),
        ("wuhan", ["haupt"]),
        ("0%_d", ["haupt"]),
        ("0%d", []),
        ("w", ["haupt", "wang"]),
        ("  wuhan   100% ", ["haupt"]),
        ('"', []),
        ("' OR 1=1", []),
        ("NEAR(", []),
        ("\\", []),
        ("nobody", []),
        ("x" * 5_000, []),
    ],
)
async def test_any_part_is_found(
    system: System, sought: str, userids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(system, PEOPLE)
    assert await found(system, sought) == userids
    monkeypatch.setattr(user_search, "FEW", -1)  # as where a million match
    assert await found(system, sought) == userids


async def test_a_change_is_searched_at_once(system: System) -> None:
    await put(system, PEOPLE)
    await put(system, [{"userid": "wang", "set": {"email": {"all": "new@other.example"}}}])
    assert await found(system, "mail.example") == []
    assert await found(system, "other.ex") == ["wang"]
    await put(system, [{"userid": "wang", "attributes": {"name": "王六"}}])
    assert (await found(system, "王五"), await found(system, "王六")) == ([], ["wang"])
    await put(system, [{"userid": "li", "del": {"tag": {"all": ["VIP客户"]}}}])
    assert await found(system, "vip") == []
    async with system.database.write() as tx:
        await users.remove(tx, {"wang"})
    assert await found(system, "王六") == []
    await put(system, [{"userid": "wang"}])
    assert (await found(system, "王六"), await found(system, "wang")) == ([], ["wang"])


async def test_what_another_channel_stored_is_not_found(system: System) -> None:
    for key in ("mine", "theirs"):
        await channels.create(system, key, key)
    given = {"mine": "a@visible.example", "theirs": "b@hidden.example"}
    await put(system, [{"userid": "both", "email": given, "tag": {"theirs": ["secret"]}}])
    assert await found(system, "visible", "mine") == ["both"]
    assert await found(system, "hidden", "mine") == []
    assert await found(system, "secret", "mine") == []
    assert await found(system, "both", "mine") == ["both"]
    assert await found(system, "hidden", "theirs") == await found(system, "hidden") == ["both"]


async def test_pages_go_both_ways(system: System) -> None:
    await put(system, [{"userid": f"user{number:03d}"} for number in range(25)])
    async with system.database.read() as tx:
        who, more = await caller(system), {"found": Found(search="USER"), "limit": 10}
        first = await user_pages.search(tx, who, **more)
        second = await user_pages.search(tx, who, after=first.next, **more)
        third = await user_pages.search(tx, who, after=second.next, **more)
        assert (first.previous, third.next) == (None, None)
        back = await user_pages.search(tx, who, before=third.previous, **more)
        assert back == second
        start = await user_pages.search(tx, who, before=second.previous, **more)
        assert start.items == first.items
        assert (start.previous, start.next) == (None, first.next)


async def test_the_index_is_used(system: System) -> None:
    """At any number of users, a search that few match looks at few rows."""
    now = clock.now()
    async with system.database.write() as tx:
        row = {"attributes": {}, "created_at": now, "updated_at": now}
        many = [{**row, "userid": f"u{number}"} for number in range(3_000)]
        for one in many:
            await tx.run(insert(user_rows), one)
        fill = select(user_rows.c.id, text("'all'"), text("' ' || userid || ' '"))
        await tx.run(insert(table).from_select(["user_id", "bind_id", "text"], fill))
    if system.database.dialect == "postgresql":
        async with system.database.write() as tx:
            # So few rows are read faster from beginning to end.
            await tx.run(text("SET LOCAL enable_seqscan = off"))
            like = "EXPLAIN SELECT user_id FROM user_search WHERE text LIKE '%u2999%'"
            plan = "\n".join(row[0] for row in await tx.rows(text(like)))
        assert "ix_user_search_text" in plan
    else:
        async with system.database.read() as tx:
            query = "SELECT count(*) FROM user_search_index WHERE user_search_index MATCH '\"299\"'"
            assert await tx.value(text(query)) == 13
    assert await found(system, "u2999") == ["u2999"]
    async with system.database.read() as tx:
        assert await tx.value(select(func.count()).select_from(table)) == 3_000
