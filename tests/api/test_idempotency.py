"""Idempotency-Key: one message for a key, however often one asks, and however one leaves."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update

from support.doors import Answer, Door, OneChannel, open_door
from ums import clock
from ums.config import Settings
from ums.core.tables import idempotency, messages

BODY: dict[str, Any] = {
    "aud_email": [{"data": ["a@example.org"]}],
    "msg_email": [{"subject": "s", "text": "t"}],
    "option": {"sendno": "7"},
}


async def send(
    door: Door, who: OneChannel, key: str, body: object = BODY, path: str = "/v1/sent"
) -> Answer:
    return await door.post(path, body, who, Idempotency_Key=key)


async def count(door: Door, who: OneChannel) -> int:
    return len((await door.get("/api/messages?limit=500", who)).body["items"])


async def test_the_same_again_gets_the_same_answer_and_one_message(shared: Door) -> None:
    channel = await shared.channel()
    first = await send(shared, channel, "order-1")
    again = [await send(shared, channel, "order-1") for _ in range(3)]
    assert first.status == 200
    assert [answer.body for answer in again] == [first.body] * 3
    shown = await shared.done(first.body["msgid"], channel)
    assert (await count(shared, channel), shown["counts"]) == (1, {"sent": 1})


async def test_many_at_once_make_one_message_for_each_key(shared: Door) -> None:
    channel = await shared.channel()
    keys = [f"k{n}" for n in range(4)] * 45  # as many connections as one address may have
    asked = (shared.wire(request(channel, key.encode())) for key in keys)
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer in answers} == {200}
    pairs = {(key, answer.body["msgid"]) for key, answer in zip(keys, answers, strict=True)}
    assert Counter(key for key, _ in pairs) == dict.fromkeys(keys, 1)
    assert await count(shared, channel) == 4


async def test_at_once_with_two_bodies_one_of_them_wins(shared: Door) -> None:
    channel = await shared.channel()
    bodies = [BODY, {**BODY, "option": {"sendno": "8"}}] * 20
    answers = await asyncio.gather(*(send(shared, channel, "k", body) for body in bodies))
    won = {answer.body["sendno"] for answer in answers if answer.status == 200}
    lost = {answer.told for answer in answers if answer.status != 200}
    assert len(won) == 1
    assert lost == {(400, 4004, "idempotency_reused")}
    assert await count(shared, channel) == 1


@pytest.mark.parametrize("dialect", ["postgresql"])  # an SQLite file has one process only
async def test_two_processes_make_one_message(settings: Settings) -> None:
    async with open_door(settings) as one, open_door(settings) as other:
        channel = await one.channel()
        other.system.directory.forget()
        doors = [one, other] * 60
        asked = (send(door, channel, f"k{n % 5}") for n, door in enumerate(doors))
        answers = await asyncio.gather(*asked)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body["msgid"] for answer in answers}) == 5
        assert await count(one, channel) == 5


async def test_another_body_is_refused(shared: Door) -> None:
    channel = await shared.channel()
    assert (await send(shared, channel, "k")).status == 200
    spaced = json.dumps(BODY, indent=1).encode()
    for body in ({**BODY, "option": {}}, spaced):
        answer = await send(shared, channel, "k", body)
        assert answer.told == (400, 4004, "idempotency_reused")
    assert await count(shared, channel) == 1


async def test_the_other_endpoint_is_another_request(shared: Door) -> None:
    channel = await shared.channel()
    body = {"msg_email": BODY["msg_email"]}
    assert (await send(shared, channel, "k")).status == 200
    answer = await send(shared, channel, "k", body, "/v1/broadcast")
    assert answer.told == (400, 4004, "idempotency_reused")


async def test_a_key_belongs_to_its_channel(shared: Door) -> None:
    one, other = await shared.channel(), await shared.channel()
    first, second = await send(shared, one, "k"), await send(shared, other, "k")
    assert first.body["msgid"] != second.body["msgid"]
    assert (await count(shared, one), await count(shared, other)) == (1, 1)


async def test_a_refused_request_does_not_use_its_key_up(shared: Door) -> None:
    channel = await shared.channel()
    bad = {**BODY, "option": {"priority": 9}}
    assert (await send(shared, channel, "k", bad)).told == (400, 4004, "priority")
    assert (await send(shared, channel, "k")).status == 200


async def age(door: Door, key: str, by: int) -> None:
    """Make the key look `by` ms older than it is."""
    older = idempotency.c.created_at - by
    async with door.system.database.write() as tx:
        await tx.run(update(idempotency).where(idempotency.c.key == key).values(created_at=older))


@pytest.mark.parametrize("body", [BODY, {**BODY, "option": {}}], ids=["same", "other"])
async def test_a_key_ends_after_a_day(shared: Door, body: dict[str, Any]) -> None:
    channel = await shared.channel()
    key = f"day-{channel.key}"
    first = (await send(shared, channel, key)).body["msgid"]
    await age(shared, key, 24 * clock.HOUR - clock.MINUTE)
    assert (await send(shared, channel, key)).body["msgid"] == first
    await age(shared, key, clock.MINUTE)
    answers = await asyncio.gather(*(send(shared, channel, key, body) for _ in range(10)))
    second = {answer.body["msgid"] for answer in answers}
    assert len(second) == 1
    assert first not in second
    assert await count(shared, channel) == 2


GOOD_KEYS = ["x", "x" * 255, "~!@#$%^&*()_+{}|:<>?", "c0ffee-0123"]
BAD_KEYS = [b"", b"x" * 256, b"a b", b"\xe4\xbd\xa0", b"caf\xe9", b"a\tb"]


@pytest.mark.parametrize("key", GOOD_KEYS)
async def test_a_good_key(shared: Door, key: str) -> None:
    assert (await send(shared, await shared.channel(), key)).status == 200


@pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
async def test_a_bad_key(shared: Door, key: bytes) -> None:
    channel = await shared.channel()
    answer = await shared.wire(request(channel, key))
    assert answer.told == (400, 4004, "idempotency_key")
    assert await count(shared, channel) == 0


def request(who: OneChannel, key: bytes, body: bytes = json.dumps(BODY).encode()) -> bytes:
    return (
        b"POST /v1/sent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: " + who.header.encode() + b"\r\nIdempotency-Key: " + key + b"\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )


async def hang_up(door: Door, sent: bytes, after: int) -> None:
    """Send `sent` and cut the connection `after` turns of the loop."""
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(sent)
    await writer.drain()
    for _ in range(after):
        await asyncio.sleep(0)
    writer.transport.abort()


async def test_who_hangs_up_and_asks_again_gets_one_message(shared: Door) -> None:
    channel = await shared.channel()
    keys = [f"gone{n}" for n in range(40)]
    await asyncio.gather(
        *(hang_up(shared, request(channel, key.encode()), n) for n, key in enumerate(keys))
    )
    answers = await asyncio.gather(*(send(shared, channel, key) for key in keys))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["msgid"] for answer in answers}) == len(keys)
    async with shared.system.database.read() as tx:
        query = select(messages.c.msgid).where(messages.c.msgid.like("v:%"))
        stored = [row.msgid for row in await tx.rows(query)]
    for answer in answers:
        assert stored.count(answer.body["msgid"]) == 1
    assert await count(shared, channel) == len(keys)


async def test_half_a_request_stores_nothing_and_is_no_error(
    shared: Door, capfd: pytest.CaptureFixture[str]
) -> None:
    channel = await shared.channel()
    whole = request(channel, b"half")
    await asyncio.gather(*(hang_up(shared, whole[:-n], n) for n in range(1, 30)))
    assert (await send(shared, channel, "half")).status == 200
    assert await count(shared, channel) == 1
    assert "request failed" not in capfd.readouterr().out
