"""Failed authentication of programs is held back, and what is good is not."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from support.clocks import Time
from support.doors import Door, OneChannel
from ums.core.channels import channels
from ums.core.identity import api_tokens, credentials
from ums.core.identity.api_throttle import ADDRESS, AT_ONCE, PAIR, ApiThrottle

EVENTS: dict[str, Any] = {"events": [{"message_id": "<x@y>", "event": "delivered"}]}


@pytest_asyncio.fixture(loop_scope="module")
async def strict(door: Door, time: Time) -> Door:
    """A door with the limits that programs meet."""
    door.system.shared(ApiThrottle).pair, door.system.shared(ApiThrottle).address = PAIR, ADDRESS
    return door


@pytest_asyncio.fixture(loop_scope="module")
async def channel(strict: Door) -> OneChannel:
    return await strict.channel(sender=False)


async def test_secrets_cannot_be_guessed_one_after_the_other(
    strict: Door, channel: OneChannel
) -> None:
    for path in ("/v1/sent", "/api/provider-events"):
        key = (await strict.channel(sender=False)).key
        told = [await strict.post(path, EVENTS, (key, f"no{n}")) for n in range(PAIR.free + 1)]
        assert [one.status for one in told] == [401] * PAIR.free + [429], path
        assert told[-1].headers["retry-after"] == "5"
        assert told[-1].body["reason"] == "too_many_tries"
    # Another account of the same office, and one that works already, go on.
    assert (await strict.get("/api/messages", channel)).status == 200


async def test_a_burst_gets_hardly_further(
    strict: Door, channel: OneChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    find = credentials._find

    async def counted(system: Any, key: str, secret: str) -> Any:
        seen.append(secret)
        return await find(system, key, secret)

    monkeypatch.setattr(credentials, "_find", counted)
    tries = [strict.post("/v1/sent", {}, (channel.key, f"no{n}")) for n in range(150)]
    told = await asyncio.gather(*tries)
    assert len(set(seen)) < PAIR.free + AT_ONCE
    assert {one.status for one in told} == {401, 429}


async def test_tokens_cannot_be_guessed_either(
    strict: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    find = api_tokens.authenticate

    async def counted(system: Any, given: str) -> Any:
        seen.append(given)
        return await find(system, given)

    monkeypatch.setattr(api_tokens, "authenticate", counted)
    tries = [strict.get("/api/users", f"ums_{n}") for n in range(ADDRESS.free + 60)]
    statuses = [one.status for one in await asyncio.gather(*tries)]
    assert ADDRESS.free <= len(seen) < ADDRESS.free + AT_ONCE
    assert statuses.count(429) == len(statuses) - len(seen)


async def test_what_works_is_not_shut_out_and_writes_nothing(
    strict: Door, channel: OneChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await strict.api_token()
    for who in (channel, token):
        assert (await strict.get("/api/messages", who)).status == 200
    for n in range(ADDRESS.free):
        await strict.get("/api/messages", f"ums_{n}")
    for n in range(PAIR.free):
        await strict.post("/v1/sent", {}, (channel.key, f"no{n}"))
    fresh = await strict.channel(sender=False)
    assert (await strict.get("/api/messages", fresh)).status == 429

    async def never(*_: Any) -> None:
        raise AssertionError("a good call counts something")

    monkeypatch.setattr("ums.core.identity.throttle.count", never)
    for who in (channel, token):
        assert (await strict.get("/api/messages", who)).status == 200


async def test_what_worked_before_and_is_revoked_ends_at_once(
    strict: Door, channel: OneChannel
) -> None:
    assert (await strict.get("/api/messages", channel)).status == 200
    await channels.rotate(strict.system, channel.key, 0)
    told = [(await strict.get("/api/messages", channel)).status for _ in range(PAIR.free + 1)]
    assert told == [401] * PAIR.free + [429]


async def test_the_wait_ends(strict: Door, channel: OneChannel, time: Time) -> None:
    for n in range(PAIR.free + 1):
        await strict.post("/v1/sent", {}, (channel.key, f"no{n}"))
    assert (await strict.get("/api/messages", channel)).status == 429
    time.at += 5000
    assert (await strict.get("/api/messages", channel)).status == 200


async def test_without_credentials_nothing_is_counted(strict: Door, channel: OneChannel) -> None:
    for _ in range(PAIR.free + 5):
        assert (await strict.get("/api/messages")).status == 401
    assert (await strict.get("/api/messages", channel)).status == 200
