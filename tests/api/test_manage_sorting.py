"""Lists in the order that is asked for, part by part."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from httpx import QueryParams

from support.doors import Door, Token

NAMES = ("b:1", "a", "中文", "a2", "Z", "b")  # a colon stands in the place as well


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lists(shared: Door, admin: Token) -> AsyncIterator[dict[str, str]]:
    """Of each list its path, with some things on it."""
    channel = (await shared.channel()).key
    await shared.channel()  # each with a sender of its own
    mine = f"/api/channels/{channel}"
    for number, name in enumerate(NAMES):
        await shared.post("/api/channels", {"name": name, "key": f"sorted{number}"}, admin)
        await shared.post("/api/segments", {"name": name}, admin)
        template = {"name": name, "subject": "s", "text": "t"}
        await shared.post(f"{mine}/templates", template, admin)
        await shared.post("/api/tokens", {"name": name, "scopes": ["stats:read"]}, admin)
        operator = {"name": f"sorted{number}", "password": "seven grey herons", "role": "viewer"}
        await shared.post("/api/operators", operator, admin)
        address = {"addresses": [f"{number * 7 % 5}{number}@example.org"]}
        await shared.post(f"{mine}/suppressions", address, admin)
        await shared.post("/api/words", {"word": f"sorted {name}"}, admin)
        await shared.post(f"{mine}/strategies", {"name": name}, admin)
    entries = {"kind": "block", "name": "sorted"}
    id = (await shared.post(f"{mine}/lists", entries, admin)).body["id"]
    both = [{"kind": "userid", "value": value} for value in "bca"]
    both += [{"kind": "address", "value": f"{value}@example.org"} for value in "zam"]
    await shared.post(f"{mine}/lists/{id}/entries", {"entries": both}, admin)
    yield {
        "channels": "/api/channels",
        "segments": "/api/segments",
        "templates": f"{mine}/templates",
        "tokens": "/api/tokens",
        "operators": "/api/operators",
        "suppressions": f"{mine}/suppressions",
        "senders": "/api/senders",
        "audit": "/api/audit",
        "imports": "/api/imports",
        "materials": "/api/materials",
        "words": "/api/words",
        "strategies": f"{mine}/strategies",
        "entries": f"{mine}/lists/{id}/entries",
        "batches": f"{mine}/batches",
    }


async def every(door: Door, path: str, sort: str, who: Token, limit: int) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        query: dict[str, Any] = {"sort": sort, "limit": limit}
        query |= {} if after is None else {"after": after}
        answer = await door.get(f"{path}?{QueryParams(query)}", who)
        assert answer.status == 200, answer.raw
        found += answer.body["items"]
        after = answer.body["next"]
        if after is None:
            return found


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("channels", "name"),
        ("segments", "name"),
        ("templates", "name"),
        ("tokens", "name"),
        ("operators", "name"),
        ("senders", "name"),
        ("senders", "code"),
        ("suppressions", "address"),
        ("words", "word"),
        ("strategies", "name"),
        ("entries", "value"),
        *((name, "created_at") for name in ("channels", "tokens", "audit", "suppressions")),
    ],
)
async def test_a_list_is_sorted_either_way_and_none_is_skipped(
    shared: Door, admin: Token, lists: dict[str, str], name: str, key: str
) -> None:
    path = lists[name]
    await shared.get(path, admin)  # the first look of an hour is noted, in the audit log too
    whole = await every(shared, path, key, admin, 500)
    assert len(whole) >= 2 if name == "senders" else len(whole) >= len(NAMES)
    down = await every(shared, path, f"-{key}", admin, 500)
    assert down == whole[::-1]
    assert await every(shared, path, key, admin, 2) == whole
    assert await every(shared, path, f"-{key}", admin, 3) == down
    if key != "created_at" and name != "entries" and shared.system.settings.is_sqlite:
        values = [one[key] for one in whole]
        assert values == sorted(values)


@pytest.mark.parametrize(
    "name",
    [
        *("channels", "segments", "templates", "operators", "audit", "imports", "materials"),
        *("words", "strategies", "entries", "batches"),
    ],
)
async def test_an_order_that_is_none_is_refused(
    shared: Door, admin: Token, lists: dict[str, str], name: str
) -> None:
    for query in ("sort=size_of_it", "sort=", "sort=-name&after=none"):
        answer = await shared.get(f"{lists[name]}?{query}", admin)
        assert answer.status == 400, (query, answer.raw)


async def test_materials_and_deliveries(shared: Door, admin: Token, lists: dict[str, str]) -> None:
    who = await shared.channel()
    body = {"recipients": [{"address": f"{n}@example.org"} for n in range(5)]}
    sent = await shared.post("/api/messages", {**body, "subject": "s", "text": "t"}, who)
    msgid = sent.body["msgid"]
    await shared.done(msgid, who)
    path = f"/api/messages/{msgid}/deliveries"
    up = await every(shared, path, "created_at", admin, 2)
    assert [one["address"][0] for one in up] == ["0", "1", "2", "3", "4"]
    assert await every(shared, path, "-created_at", admin, 2) == up[::-1]
    for sort in ("size", "-name", "created_at"):
        await every(shared, lists["materials"], sort, admin, 1)
        if sort != "size":
            await every(shared, lists["imports"], sort, admin, 1)
