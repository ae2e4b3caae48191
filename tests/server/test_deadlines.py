"""Clients that take their time, or come in crowds: they are ended, and others are served."""

import asyncio

import pytest

from server.wires import HELLO, Serving, Wire, serving
from ums.config import Settings
from ums.web import server as web

BRIEF = Settings(http_head_seconds=0.2)
STARTS = [
    b"",
    b"\r\n",
    b"GE",
    b"GET / HTTP/1.1\r\nHost: ums.example\r\n",
    b"GET / HTTP/1.1\r\nHost: ums.example\r\nX-Long: " + b"a" * 1000,
]


@pytest.mark.parametrize("start", STARTS)
async def test_a_head_that_is_not_finished_is_given_up(start: bytes) -> None:
    async with serving(BRIEF) as server:
        slow = await server.wire()
        slow.say(start)
        status, body = await slow.answer()
        assert (status, b"head_too_slow" in body) == ((408, True) if start else (0, False))
        assert await slow.ended()
        assert (await server.get())["size"] == 0
        assert server.app.asked == ["GET /"]


async def test_octets_that_drip_do_not_move_the_deadline() -> None:
    async with serving(Settings(http_head_seconds=0.5)) as server:
        slow = await server.wire()

        async def drip() -> None:
            slow.say(b"GET / HTTP/1.1\r\nX: ")
            while True:
                slow.say(b"a")
                await asyncio.sleep(0.01)  # the drip itself

        dripping = asyncio.create_task(drip())
        assert (await slow.answer())[0] == 408
        dripping.cancel()


async def test_the_second_request_of_a_connection_has_a_deadline_too() -> None:
    async with serving(BRIEF) as server:
        wire = await server.wire()
        wire.say(HELLO)
        assert (await wire.answer())[0] == 200
        wire.say(HELLO[:-2])
        assert (await wire.answer())[0] == 408


async def test_an_answer_that_takes_long_is_waited_for() -> None:
    async with serving(BRIEF) as server:
        server.app.hold["/slow"] = asyncio.Event()
        wire, other = await server.wire(), await server.wire()
        wire.say(HELLO.replace(b"GET /", b"GET /slow"))
        assert await other.ended()  # which had its deadline after the other's head
        server.app.hold["/slow"].set()
        assert (await wire.answer())[0] == 200


async def test_the_rest_of_a_body_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "LINGER", 0.1)
    async with serving() as server:
        wire = await server.wire()
        wire.say(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        assert (await wire.answer())[0] == 200
        assert await wire.ended()
        again = await server.wire()  # one that sends the rest in time keeps its connection
        again.say(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        assert (await again.answer())[0] == 200
        again.say(b"67890" + HELLO)
        assert (await again.answer())[0] == 200


async def test_an_answer_reaches_whoever_is_still_sending() -> None:
    """A connection that is closed with unread data is reset, and its answer is lost."""
    async with serving() as server:
        wire = await server.wire()
        length = 4 * 1024 * 1024
        head = f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}"
        wire.say(head.encode() + b"\r\n\r\n" + b"a" * (length - 1))
        assert (await wire.answer())[0] == 200
        await wire.writer.drain()
        wire.say(b"a")
        assert await wire.ended()


async def test_a_client_that_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "STALL", 0.1)
    async with serving() as server:
        wire = await server.wire()
        wire.reader._limit = 1  # type: ignore[attr-defined]
        request = HELLO.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 30_000 + b"\r\n\r\n")

        async def ask_on() -> None:
            while True:
                wire.say(request)
                await wire.writer.drain()

        with pytest.raises(ConnectionError):
            async with asyncio.timeout(30):
                await ask_on()


async def crowd(server: Serving, size: int, start: bytes = b"GET / HT") -> None:
    for _ in range(size):
        (await server.wire()).say(start)


@pytest.mark.parametrize("start", [b"", b"GET / HT"])
async def test_two_hundred_idle_connections_stop_nobody(start: bytes) -> None:
    async with serving(Settings(http_connections_per_address=50, http_head_seconds=60)) as server:
        await crowd(server, 200, start)
        assert (await server.get())["size"] == 0  # though they are of the same address
        assert len(server.config.census) <= 50
    async with serving(Settings(http_head_seconds=0.2)) as server:
        await crowd(server, 200, start)
        assert (await server.get())["size"] == 0
        await server.until(lambda: len(server.config.census) == 0)


async def test_whole_requests_are_never_given_up_for_others() -> None:
    async with serving(Settings(http_connections_per_address=2)) as server:
        gate = server.app.hold["/slow"] = asyncio.Event()
        busy = [await server.wire() for _ in range(2)]
        for wire in busy:
            wire.say(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n12")
            wire.say(HELLO[:20])  # a part of the next request changes nothing
        await server.until(lambda: len(server.app.asked) == 2)
        third = await server.wire()
        status, body = await third.answer()
        assert (status, b"too_many_connections" in body) == (503, True)
        gate.set()
        assert [(await wire.answer())[0] for wire in busy] == [200, 200]
        third = await server.wire()  # those two are idle now
        third.say(HELLO)
        assert (await third.answer())[0] == 200


async def test_the_limit_in_all_holds_for_whoever_is_not_limited_alone() -> None:
    proxied = Settings(
        http_connections=20, http_connections_per_address=2, trusted_proxies="127.0.0.1"
    )
    async with serving(proxied) as server:
        gate = server.app.hold["/slow"] = asyncio.Event()
        busy = [await server.wire() for _ in range(20)]
        for wire in busy:
            wire.say(HELLO.replace(b"GET /", b"GET /slow"))
        await server.until(lambda: len(server.app.asked) == 20)  # a proxy is not throttled
        assert (await (await server.wire()).answer())[0] == 503
        gate.set()
        assert {(await wire.answer())[0] for wire in busy} == {200}


HALF = b"POST /login HTTP/1.1\r\nHost: ums.example\r\nContent-Length: 10\r\n\r\n12345"


async def test_half_bodies_from_many_addresses_keep_nobody_out() -> None:
    async with serving(Settings(http_connections=12, http_connections_per_address=3)) as server:
        wires: list[Wire] = []
        for number in range(2, 8):
            for _ in range(2):
                wires.append(await server.wire(f"127.0.0.{number}"))
                wires[-1].say(HALF)
        await server.until(lambda: len(server.app.asked) == 12)
        assert (await server.get())["size"] == 0
        status, body = await wires[0].answer()  # that has been sending longest
        assert (status, b"too_many_connections" in body) == (503, True)
        wires[-1].say(b"67890")
        assert (await wires[-1].answer())[0] == 200


async def test_half_bodies_of_one_address_make_room_for_it() -> None:
    async with serving(Settings(http_connections_per_address=2)) as server:
        for _ in range(2):
            (await server.wire()).say(HALF)
        await server.until(lambda: len(server.app.asked) == 2)
        assert (await server.get())["size"] == 0
