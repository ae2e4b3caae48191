"""The same thing asked for many times at the same moment: by a double click, by two operators, by
a client that is out of patience. Each gets an answer of ours, and it is done once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from support.doors import Door, Token
from support.worlds import OPERATIONS, Operation, World, make

AT_ONCE = 6
CHANGES = [one for one in OPERATIONS if one[0] != "GET"]
# What takes a thing away comes last, so that the others find it.
CHANGES.sort(key=lambda one: (one[0] == "DELETE", one[1].endswith(("/revoke", "/cancel"))))
NAMES = [f"{method} {path}" for method, path, _ in CHANGES]
SENDER = {
    "code": "twice",
    "name": "twice",
    "host": "smtp.example.org",
    "port": 465,
    "encryption": "ssl",
    "from_address": "a@example.org",
}
MAILBOX = {"host": "imap.example.org", "account": "a", "password": "b"}
ENTRIES = [{"kind": "address", "value": "a@example.org"}]
MADE: list[tuple[str, str, Any]] = [
    ("POST", "/api/channels", {"name": "twice"}),
    ("POST", "/api/senders", SENDER),
    ("PUT", "/api/senders/{code}/mailbox", MAILBOX),
    ("PUT", "/api/senders/{code}/warm-up", {"start": 50, "growth": 50, "target": 100}),
    (
        "POST",
        "/api/operators",
        {"name": "twice", "password": "seven grey herons", "role": "viewer"},
    ),
    ("POST", "/api/segments", {"name": "twice"}),
    ("POST", "/api/reply-rules", {"text": "twice", "reason": "rate"}),
    ("POST", "/api/tokens", {"name": "twice", "scopes": ["messages:read"]}),
    ("POST", "/api/words", {"word": "twice"}),
    ("POST", "/api/channels/{key}/words", {"word": "twice"}),
    ("POST", "/api/channels/{key}/lists", {"kind": "block", "name": "twice"}),
    ("POST", "/api/channels/{key}/lists/{list_id}/entries", {"entries": ENTRIES}),
    ("POST", "/api/channels/{key}/strategies", {"name": "twice"}),
    ("POST", "/api/channels/{key}/suppressions", {"addresses": ["a@example.org"]}),
    (
        "POST",
        "/api/channels/{key}/templates",
        {"name": "twice", "subject": "s", "text": "t"},
    ),
    ("PUT", "/api/users/twice", {"tags": {"all": ["new"]}}),
    ("POST", "/api/users", [{"userid": "thrice", "email": {"all": "thrice@example.org"}}]),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared: Door) -> AsyncIterator[World]:
    yield await make(shared)


@pytest.mark.parametrize(("method", "path", "body"), MADE, ids=[f"{m} {p}" for m, p, _ in MADE])
async def test_what_is_made_at_once(shared: Door, method: str, path: str, body: object) -> None:
    admin, world = await shared.api_token(), await make(shared)
    await all_are_answered(shared, method, world.path(path), admin, body)


async def test_a_sender_that_many_let_a_channel_use(shared: Door) -> None:
    admin, caller = await shared.api_token(), await shared.channel()
    await shared.post("/api/senders", {**SENDER, "code": "unused", "name": "unused"}, admin)
    path = f"/api/senders/unused/channels/{caller.key}"
    await all_are_answered(shared, "PUT", path, admin, {})


async def all_are_answered(
    shared: Door, method: str, path: str, admin: Token, body: object
) -> None:
    """At least one of those who ask at once is told that it is done, and nobody of a 500."""
    asked = (shared.ask(method, path, admin, json=body) for _ in range(AT_ONCE))
    answers = await asyncio.gather(*asked)
    assert min(answer.status for answer in answers) < 300, answers
    assert max(answer.status for answer in answers) < 500, answers


@pytest.mark.parametrize("operation", CHANGES, ids=NAMES)
async def test_every_change_at_once(shared: Door, world: World, operation: Operation) -> None:
    admin = await shared.api_token()
    answers = await asyncio.gather(*(world.ask(operation, admin) for _ in range(AT_ONCE)))
    assert max(answer.status for answer in answers) < 500, answers


async def test_a_user_that_many_make_at_once(shared: Door) -> None:
    """Each of them is told that it is done, and it is: what a client need not try again."""
    caller = await shared.channel()
    everyone = [[{"userid": "many", "add": {"tag": {"all": [f"t{n}"]}}}] for n in range(AT_ONCE)]
    answers = await asyncio.gather(
        *(shared.post("/v1/user/opt", entry, caller) for entry in everyone)
    )
    assert {(answer.status, answer.code) for answer in answers} == {(200, 0)}, answers
    admin = await shared.api_token()
    found = (await shared.get("/api/users/many", admin)).body
    assert found["tags"] == {"all": sorted(f"t{n}" for n in range(AT_ONCE))}
