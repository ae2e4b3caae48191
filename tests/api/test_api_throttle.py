"""Failed authentication of programs is held back, and what is good never is."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from support.clocks import Time
from support.doors import Basic, Door, OneChannel, Token
from ums.core.channels import channels
from ums.core.identity import api_tokens
from ums.core.identity.api_throttle import ADDRESS, PAIR, ApiThrottle

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
    assert (await strict.get("/api/messages", channel)).status == 200


async def test_a_burst_gets_no_further(strict: Door, channel: OneChannel) -> None:
    tries = [strict.post("/v1/sent", {}, (channel.key, f"no{n}")) for n in range(150)]
    statuses = [one.status for one in await asyncio.gather(*tries)]
    assert statuses.count(401) == PAIR.free
    assert statuses.count(429) == 150 - PAIR.free


@pytest.mark.slow
async def test_tokens_cannot_be_guessed_either(strict: Door) -> None:
    tries = [strict.get("/api/users", f"ums_{n}") for n in range(ADDRESS.free + 60)]
    statuses = [one.status for one in await asyncio.gather(*tries)]
    assert statuses.count(401) == ADDRESS.free
    assert statuses.count(429) == 60


async def _guess(door: Door, names: int) -> int:
    """Guess under so many names and with as many tokens; the status of the last try."""
    wrong: list[Basic | Token] = [(f"nobody{n}", f"no{n}") for n in range(names)]
    wrong += [f"ums_{n}" for n in range(names)]
    told = await asyncio.gather(*(door.get("/api/messages", who) for who in wrong))
    told += await asyncio.gather(*(door.post("/v1/sent", {}, who) for who in wrong[:names]))
    return (await door.get("/api/messages", "ums_wrong")).status if told else 0


@pytest.mark.slow
async def test_one_guesser_of_many_names_keeps_no_program_out(
    strict: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those that work, nor what was made a moment ago and is used for the first time."""
    idle = await strict.channel(sender=False)
    assert await _guess(strict, 120) == 429
    fresh = await strict.channel(sender=False)
    new = [fresh, idle, await strict.access_key(), await strict.api_token()]

    async def never(*_: Any) -> None:
        raise AssertionError("a good call counts something")

    with monkeypatch.context() as counting:
        counting.setattr("ums.core.identity.throttle.count", never)
        for who in new[:2]:
            assert (await strict.post("/v1/sent", {}, who)).status == 400  # it is good, and empty
        for who in new:
            assert (await strict.get("/api/users", who)).status in (200, 403)  # by their scopes
    assert (await strict.get("/api/messages", "ums_wrong")).status == 429


async def test_nor_does_who_guesses_at_its_own_key(strict: Door, channel: OneChannel) -> None:
    for n in range(PAIR.free + 1):
        await strict.post("/v1/sent", {}, (channel.key, f"no{n}"))
    assert (await strict.post("/v1/sent", {}, (channel.key, "no"))).status == 429
    assert (await strict.get("/api/messages", channel)).status == 200


async def test_failures_are_noted(strict: Door, channel: OneChannel) -> None:
    for n in range(PAIR.free + 1):
        await strict.post("/v1/sent", {}, (channel.key, f"no{n}"))
    token = await strict.api_token()
    for action in ("access.failed", "access.throttled"):
        noted = await strict.listed(f"/api/audit?action={action}", token)
        assert f"channel:{channel.key}" in {one["subject"] for one in noted}, action


async def test_what_worked_before_and_is_revoked_ends_at_once(
    strict: Door, channel: OneChannel
) -> None:
    assert (await strict.get("/api/messages", channel)).status == 200
    await channels.rotate(strict.system, channel.key, 0)
    told = [(await strict.get("/api/messages", channel)).status for _ in range(PAIR.free + 1)]
    assert told == [401] * PAIR.free + [429]
    token = await strict.api_token()
    id = int((await strict.listed("/api/tokens", token, 50))[0]["id"])
    await api_tokens.revoke(strict.system, id)
    assert (await strict.get("/api/messages", token)).status == 401


async def test_the_wait_ends(strict: Door, channel: OneChannel, time: Time) -> None:
    wrong = (channel.key, "no")
    told = [(await strict.post("/v1/sent", {}, wrong)).status for _ in range(PAIR.free + 1)]
    assert told[-1] == 429
    time.at += 5000
    assert (await strict.post("/v1/sent", {}, wrong)).status == 401
    assert (await strict.post("/v1/sent", {}, wrong)).headers["retry-after"] == "10"


async def test_without_credentials_nothing_is_counted(strict: Door, channel: OneChannel) -> None:
    for _ in range(PAIR.free + 5):
        assert (await strict.get("/api/messages")).status == 401
    assert (await strict.post("/v1/sent", {}, (channel.key, "no"))).status == 401
