"""Search of users by part: any part, any case, and nothing of what others stored."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite

from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.identity.principals import Principal
from ums.core.tables import user_search as table
from ums.core.tables import users as user_rows
from ums.core.users import administration, filters, search, users
from ums.core.users.entry_parser import Rights
from ums.core.users.filters import Found

DIALECTS = {"postgresql": postgresql.dialect, "sqlite": sqlite.dialect}
PEOPLE: list[dict[str, Any]] = [
    {"userid": "Zhang-0001", "email": {"all": "San.Zhang@Example.CN"}},
    {"userid": "li", "attributes": {"name": "李四光", "age": 40}, "tag": {"all": ["VIP客户"]}},
    {"userid": "wang", "email": {"all": "w@mail.example"}, "attributes": {"name": "王五"}},
    {"userid": "haupt", "attributes": {"street": "Hauptstraße", "city": "Ｗｕｈａｎ 100%_done"}},
    {"userid": "boss", "attributes": {"last": "Жуков", "mark": "\U00020bb7\U000f0001"}},
]


async def caller(system: AppContext, *keys: str) -> Principal:
    snapshot = await system.directory.now()
    ids = frozenset(snapshot.channels[key].id for key in keys) if keys else None
    return Principal("test", frozenset({"admin"}), ids, snapshot)


async def put(system: AppContext, entries: Sequence[dict[str, Any]]) -> None:
    rights = Rights(await system.directory.now(), None, replaces_shared=True)
    report = await users.opt_with(system, rights, list(entries))
    assert report.fail == []


async def found(system: AppContext, sought: str, *keys: str, **more: Any) -> list[str]:
    async with system.database.read() as tx:
        page = await administration.search(
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
        ("光", ["li"]),
        ("客", ["li"]),
        ("Ж", ["boss"]),
        ("жу", ["boss"]),
        ("li", ["li"]),
        ("g-", ["Zhang-0001"]),
        ("\U00020bb7", ["boss"]),
        ("\U000f0001", ["boss"]),
        ("\U000f0002", []),
        ("q", []),
        ("zq", []),
        ("G", ["Zhang-0001", "wang"]),
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
    system: AppContext, sought: str, userids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(system, PEOPLE)
    assert await found(system, sought) == userids
    monkeypatch.setattr(search, "FEW", 0)  # as where a million match
    assert await found(system, sought) == userids
    monkeypatch.setattr(search, "NEAR", 0)  # and all of them far from the page
    assert await found(system, sought) == userids
    monkeypatch.setattr(search, "TERMS", 0)  # and begin with what too many terms do
    assert await found(system, sought) == userids


async def test_a_change_is_searched_at_once(system: AppContext) -> None:
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


async def test_what_another_channel_stored_is_not_found(system: AppContext) -> None:
    for key in ("mine", "theirs"):
        await channels.create(system, key, key)
    given = {"mine": "a@visible.example", "theirs": "b@hidden.example"}
    await put(system, [{"userid": "both", "email": given, "tag": {"theirs": ["secret"]}}])
    assert await found(system, "visible", "mine") == ["both"]
    assert await found(system, "hidden", "mine") == []
    assert await found(system, "secret", "mine") == []
    assert await found(system, "both", "mine") == ["both"]
    assert await found(system, "hidden", "theirs") == await found(system, "hidden") == ["both"]


async def test_pages_go_both_ways(system: AppContext) -> None:
    await put(system, [{"userid": f"user{number:03d}"} for number in range(25)])
    async with system.database.read() as tx:
        who, more = await caller(system), {"found": Found(search="USER"), "limit": 10}
        first = await administration.search(tx, who, **more)
        second = await administration.search(tx, who, after=first.next, **more)
        third = await administration.search(tx, who, after=second.next, **more)
        assert (first.previous, third.next) == (None, None)
        back = await administration.search(tx, who, before=third.previous, **more)
        assert back == second
        start = await administration.search(tx, who, before=second.previous, **more)
        assert start.items == first.items
        assert (start.previous, start.next) == (None, first.next)


async def plan_of(system: AppContext, sought: str) -> str:
    """How the database looks up all that match."""
    async with system.database.write() as tx:
        match = await search.matching(tx, sought, None)
        assert match.indexed is not None
        explain = "EXPLAIN " if tx.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
        if tx.dialect == "postgresql":
            # So few rows are read faster from beginning to end.
            await tx.run(text("SET LOCAL enable_seqscan = off"))
        query = select(user_rows.c.id).where(match.indexed)
        literal = query.compile(
            dialect=DIALECTS[tx.dialect](), compile_kwargs={"literal_binds": True}
        )
        # As text once more, in which a colon would name a value.
        rows = await tx.rows(text(explain + str(literal).replace("%%", "%").replace(":", "\\:")))
        return "\n".join(str(row[-1]) for row in rows) + "\n"


@pytest.mark.slow
def test_no_spelling_is_a_part_of_others() -> None:
    letters = "a9é光龍Ж\U00020bb7\U000f0001\uffff"
    texts = [*letters, *map("".join, product(letters, repeat=2))]
    for text_, part in product(texts, texts):
        assert (search.spell(part) in search.spell(text_)) == (part in text_)
    spelled = {search.spell(chr(code)) for code in range(0x80, 0x110000)}
    assert len(spelled) == 0x110000 - 0x80


async def test_what_many_match_is_not_counted(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", 2)
    tagged = {"tag": {"all": ["vip"]}}
    await put(system, [{"userid": f"user{number}", **tagged} for number in range(5)])
    await put(system, [{"userid": "two1", "tag": {"all": ["rare"]}}, {"userid": "two2"}])
    who = await caller(system)

    async def counted(**found: str) -> tuple[bool, int]:
        async with system.database.read() as tx:
            where = await filters.where_of(tx, who, Found(**found))
            return where.many, await filters.count(tx, where, most=3)

    assert await counted(search="user") == (True, 3)
    assert await counted(tag="vip") == (True, 3)
    assert await counted(search="two") == (False, 2)
    assert await counted(search="user1", tag="vip") == (False, 1)
    assert await counted(search="user", tag="vip") == (False, 3)
    assert await counted(search="two", tag="rare") == (False, 1)
    assert await counted(search="user", tag="none") == (False, 0)


async def test_the_index_is_used(system: AppContext) -> None:
    """At any number of users, a search that few match looks at few rows."""
    now = clock.now()
    async with system.database.write() as tx:
        row = {"attributes": {}, "created_at": now, "updated_at": now}
        many = [{**row, "userid": f"u{number}"} for number in range(3_000)]
        for one in many:
            await tx.run(insert(user_rows), one)
        fill = select(user_rows.c.id, text("'all'"), text("' ' || userid || ' '"))
        await tx.run(insert(table).from_select(["user_id", "bind_id", "text"], fill))
    index = "ix_user_search_text" if system.database.dialect == "postgresql" else "VIRTUAL TABLE"
    for sought in ("u2999", "靖", "靖宇", "z7"):
        plan = await plan_of(system, sought)
        assert index in plan, plan
        assert "SCAN user_search\n" not in plan
    assert await found(system, "u2999") == ["u2999"]
    async with system.database.read() as tx:
        assert await tx.value(select(func.count()).select_from(table)) == 3_000
