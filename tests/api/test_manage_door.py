"""The management API's door: who may come in, and that what is another channel's stays so.

The tests go by the list of routes, so that a route that is added later is tested as well.
"""

import re
from typing import Any

import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute
from sqlalchemy import select

from support import openapi
from support.doors import Door, idle_application
from support.worlds import OPERATIONS, Operation, World, make
from ums.core.identity.scopes import SCOPES, holds
from ums.core.tables import metadata

NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)

# Users belong to the installation: a channel changes what is bound to it and to `all` (3.10).
SHARED = "/api/users"
# So do these, which channels may use and not change.
READABLE = "/api/segments"
# Says of what is not the caller's that it is none of theirs, and does nothing.
TAKES_NOTHING = "/api/provider-events"
# Change by the mere asking, or when the engine comes to it.
UNTOLD = {"tokens", "workers", "meta", "idempotent_responses", "audit", "sender_outcomes"}


async def everything(door: Door) -> dict[str, list[Any]]:
    async with door.system.database.read() as tx:
        return {
            name: sorted(map(repr, await tx.rows(select(table))))
            for name, table in metadata.tables.items()
            if name not in UNTOLD
        }


async def test_every_route_says_its_scope_and_is_in_the_document() -> None:
    routes = [one for one in idle_application().routes if isinstance(one, HTTPRoute)]
    found = {
        (method, route.path_format, handler.opt["scope"])
        for route in routes
        for method, (handler, _) in route.route_handler_map.items()
        if route.path.startswith("/api/")
        and method != "OPTIONS"
        and not route.path.startswith(("/api/schema", "/api/docs"))
    }
    told = {(method, path, openapi.scope_of(one)) for method, path, one in OPERATIONS}
    assert found == told
    assert {scope for _, _, scope in told} <= SCOPES


@pytest.mark.slow
async def test_nobody_comes_in_without_credentials(shared: Door) -> None:
    wrong = ("ums_" + "x" * 43, "nonsense", ("nobody", "secret"))
    for method, path, _ in OPERATIONS:
        for who in (None, *wrong):
            answer = await shared.ask(method, sample(path), who)
            assert answer.status == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.body["reason"] in {"no_credentials", "bad_token", "bad_credentials"}


async def test_all_scopes_but_the_one_are_not_enough(shared: Door) -> None:
    for method, path, told in OPERATIONS:
        needed = openapi.scope_of(told)
        token = await shared.api_token(*[one for one in SCOPES if not holds([one], needed)])
        answer = await shared.ask(method, sample(path), token)
        assert answer.told == (403, 4005, "scope_missing"), (method, path)
        assert needed in answer.body["detail"]


def sample(path: str) -> str:
    return re.sub(r"\{\w*id\}", "1", path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared: Door) -> World:
    return await make(shared)


@every_operation
async def test_another_channel_reads_and_changes_nothing(
    shared: Door, world: World, operation: Operation
) -> None:
    method, path, _ = operation
    other = await shared.channel()
    bound = await shared.api_token("admin", channels=[other.key])
    before = await everything(shared)
    for who in (other, bound):
        answer = await world.ask(operation, who)
        # A list is shown, without what is not the caller's.
        common = path.startswith(READABLE) or "{" not in path
        listed = answer.status == 200 and method == "GET" and common
        if not path.startswith(SHARED):
            refused = answer.status in {403, 404} or path == TAKES_NOTHING
            assert listed or refused, answer.raw
        assert world.hides(answer, operation), answer.raw
    if not path.startswith(SHARED):
        assert await everything(shared) == before


async def test_a_channel_sees_and_changes_its_own_part_of_a_user(
    shared: Door, world: World
) -> None:
    other = await shared.channel()
    path = world.path("/api/users/{userid}")
    seen = await shared.get(path, other)
    assert (seen.status, seen.body["addresses"]) == (200, {})
    mine = {"addresses": {"email": {other.key: ["b@other.example"]}}}
    answer = await shared.send("PUT", path, mine, other)
    assert answer.body["addresses"] == mine["addresses"]
    foreign = {"addresses": {"email": {world.owner.key: ["b@other.example"]}}}
    refused = await shared.send("PUT", path, foreign, other)
    assert refused.told == (400, 4004, "bind_id_denied")
    whole = await shared.get(path, await shared.api_token())
    assert set(whole.body["addresses"]["email"]) == {world.owner.key, other.key}
    for who in (other, await shared.api_token("admin", channels=[other.key])):
        assert (await shared.ask("DELETE", path, who)).told == (403, 4005, "caller_bound")
    found = await shared.get("/api/users?address=b@other.example", world.owner)
    assert found.body["items"] == []


async def test_the_access_key_manages_users_alone(shared: Door) -> None:
    master = await shared.access_key()
    entry = {"addresses": {"email": {"all": ["a@all.example"]}}}
    made = await shared.send("PUT", "/api/users/bymaster", entry, master)
    assert made.status == 201
    assert (await shared.ask("DELETE", "/api/users/bymaster", master)).status == 204
    assert (await shared.get("/api/users/bymaster", master)).status == 404
    for path in ("/api/messages", "/api/channels", "/api/users/bymaster/deliveries"):
        assert (await shared.get(path, master)).told == (403, 4005, "channel_only")


async def test_the_scope_of_writing_holds_that_of_reading(shared: Door) -> None:
    token = await shared.api_token("channels:write")
    assert (await shared.get("/api/channels", token)).status == 200
    assert (await shared.get("/api/senders", token)).status == 403


async def test_another_channels_sender_is_unknown(shared: Door) -> None:
    code, channel = await shared.sender(), await shared.channel()
    answer = await shared.get(f"/api/stats?sender={code}", channel)
    assert answer.told == (404, 4004, "sender_unknown")
    assert (await shared.get(f"/api/stats?sender={channel.sender}", channel)).status == 200
