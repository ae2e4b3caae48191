"""Is it alive, is it ready; and what it answers while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.databases import end_connections, execute
from support.doors import Answer, Door, OneChannel, open_door
from ums.config import Settings

BODY = {"aud_email": [{"data": ["a@example.org"]}], "msg_email": [{"subject": "s", "text": "t"}]}


async def test_it_is_alive_and_ready(shared: Door) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await shared.get(path)
        assert (answer.status, answer.body) == (200, {"status": "ok"})


async def test_it_is_not_ready_any_more_when_it_stops(door: Door) -> None:
    door.app.state.stopping = True
    answer = await door.get("/readyz")
    assert answer.told == (503, 5000, "stopping")
    assert answer.headers["retry-after"].isdigit()
    assert (await door.get("/healthz")).status == 200


def is_away(answer: Answer) -> bool:
    retry = answer.headers.get("retry-after", "")
    return answer.told == (503, 5000, "unavailable") and retry.isdigit()


@asynccontextmanager
async def locked_out(url: str, database: str) -> AsyncIterator[None]:
    """The server takes no connection to `database`, and ends those there are."""
    await execute(url, f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false")
    await end_connections(url, database)
    try:
        yield
    finally:
        await execute(url, f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true")


async def all_doors_are_away(door: Door, channel: OneChannel) -> None:
    door.system.directory.forget()
    for answer in (
        await door.get("/readyz"),
        await door.post("/v1/sent", BODY, channel),
        await door.post("/v1/broadcast", {"msg_email": BODY["msg_email"]}, channel),
        await door.post("/v1/user/opt", [{"userid": "u"}], channel),
        await door.get("/api/messages", channel),
        await door.get("/api/messages/x", channel),
    ):
        assert is_away(answer), answer
    assert (await door.get("/healthz")).status == 200


async def ready(door: Door) -> None:
    async with asyncio.timeout(30):
        while (await door.get("/readyz")).status != 200:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_the_database_is_away_and_comes_back(
    settings: Settings, postgres_server: str
) -> None:
    name = settings.database_url.rpartition("/")[2]
    async with open_door(settings) as door:
        channel = await door.channel()
        async with locked_out(postgres_server, name):
            await all_doors_are_away(door, channel)
            # Also where the directory was fresh, so that the request came as far as storing.
            answers = [await door.post("/v1/sent", BODY, channel) for _ in range(3)]
            assert all(is_away(answer) for answer in answers)
        await ready(door)
        sent = await door.post("/v1/sent", BODY, channel)
        assert sent.status == 200
        assert (await door.done(sent.body["msgid"], channel))["counts"] == {"sent": 1}
        listed = await door.get("/api/messages", channel)
        assert [item["msgid"] for item in listed.body["items"]] == [sent.body["msgid"]]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_the_database_goes_while_requests_come(
    settings: Settings, postgres_server: str
) -> None:
    name = settings.database_url.rpartition("/")[2]
    async with open_door(settings) as door:
        channel = await door.channel()
        keys = [f"k{n}" for n in range(60)]

        async def send(key: str) -> Answer:
            return await door.post("/v1/sent", BODY, channel, Idempotency_Key=key)

        flowing = asyncio.gather(*(send(key) for key in keys))
        async with locked_out(postgres_server, name):
            answers = await flowing
        assert all(answer.status == 200 or is_away(answer) for answer in answers)
        await ready(door)
        again = await asyncio.gather(*(send(key) for key in keys))
        assert {answer.status for answer in again} == {200}
        for first, second in zip(answers, again, strict=True):
            if first.status == 200:
                assert first.body["msgid"] == second.body["msgid"]
        listed = await door.get("/api/messages?limit=500", channel)
        assert len(listed.body["items"]) == len(keys)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_the_database_is_dropped(settings: Settings, postgres_server: str) -> None:
    name = settings.database_url.rpartition("/")[2]
    async with open_door(settings) as door:
        channel = await door.channel()
        await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
        await all_doors_are_away(door, channel)
