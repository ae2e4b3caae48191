"""Heads that two readers could read in two ways are refused, and what they hide is never run."""

import json

import pytest

from server.wires import HELLO, serving

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(head: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body


REFUSED = {
    "length and chunks": post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunks and length": post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: 34\r\n", HIDDEN),
    "one length twice": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"12345" + HIDDEN),
    "a list of lengths": post(b"Content-Length: 5, 5\r\n", b"12345" + HIDDEN),
    "a signed length": post(b"Content-Length: +5\r\n", b"12345" + HIDDEN),
    "a length that is none": post(b"Content-Length: 0x5\r\n", b"12345" + HIDDEN),
    "a negative length": post(b"Content-Length: -1\r\n", HIDDEN),
    "a huge length": post(b"Content-Length: 99999999999999999999999\r\n", HIDDEN),
    "an unknown coding": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunks not last": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + HIDDEN),
    "a space before the colon": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a chunk of no size": post(CHUNKED, b"zz\r\n" + HIDDEN),
    "a chunk that is longer": post(CHUNKED, b"2\r\nabcd\r\n0\r\n\r\n" + HIDDEN),
    "a huge chunk": post(CHUNKED, b"fffffffffffffffff\r\n" + HIDDEN),
    "a folded field": post(b"X: a\r\n Content-Length: 5\r\n", b"12345" + HIDDEN),
    "bare line feeds": post(b"X: a\nContent-Length: 34\r\n", HIDDEN),
    "a bare return": post(b"X: a\rContent-Length: 34\r\n", HIDDEN),
    "a NUL": post(b"X: a\x00b\r\n", b"") + HIDDEN,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + HIDDEN,
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + HIDDEN,
    "a host that is a URL": b"GET / HTTP/1.1\r\nHost: http://a/\r\n\r\n" + HIDDEN,
    "a host with a name before it": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n" + HIDDEN,
    "a host of two": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" + HIDDEN,
    "an empty host": b"GET / HTTP/1.1\r\nHost: \r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=list(REFUSED))
async def test_what_can_be_read_in_two_ways_is_refused(request_: bytes) -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(request_)
        assert (await wire.answer())[0] == 400
        assert await wire.ended()
        assert "GET /hidden" not in server.app.asked


@pytest.mark.parametrize(
    "request_",
    [
        post(b"Content-Length: 5\r\n", b"12345"),
        post(CHUNKED, b"5\r\n12345\r\n0\r\n\r\n"),
        post(CHUNKED, b"3;name=value\r\n123\r\n2\r\n45\r\n0\r\nHost: y\r\n\r\n"),
    ],
)
async def test_what_is_plain_is_read(request_: bytes) -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(request_ + HELLO)
        status, body = await wire.answer()
        assert (status, b'"size": 5' in body) == (200, True)
        assert b'"y"' not in body  # a trailer is no header
        assert (await wire.answer())[0] == 200


LARGE = {
    "many fields": b"".join(b"X%d: a\r\n" % n for n in range(200)),
    "large fields": b"".join(b"X%d: %s\r\n" % (n, b"a" * 1000) for n in range(50)),
    "one field": b"X: " + b"a" * 40_000 + b"\r\n",
}


@pytest.mark.parametrize("fields", LARGE.values(), ids=list(LARGE))
@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["whole", "without end"])
async def test_a_large_head_is_refused(fields: bytes, end: bytes) -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + end)
        status, body = await wire.answer()
        assert (status, b"head_too_large" in body) == (431, True)
        assert await wire.ended()
        assert not server.app.asked


async def test_a_long_address_is_refused() -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(b"GET /" + b"a" * 9000)
        assert (await wire.answer())[0] == 431


FORMATS = {
    b"/v1/user/opt": {"code", "message", "reason", "data"},
    b"/v1/user/delete?x=1": {"code", "message", "reason", "data"},
    b"http://x/v1/user/opt": {"code", "message", "reason", "data"},
    b"/v1/sent": {"code", "message", "reason"},
    b"/api/channels": {"type", "title", "status", "detail", "code", "message", "reason"},
}


@pytest.mark.parametrize("url", FORMATS)
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (LARGE["many fields"] + b"\r\n", 431),
        (b"Content-Length: x\r\n\r\n", 400),
        (b"Host: y\r\n\r\n", 400),
    ],
    ids=["large", "no HTTP", "two hosts"],
)
async def test_a_refusal_before_the_handler_has_the_format_of_its_door(
    url: bytes, head: bytes, status: int
) -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(b"POST " + url + b" HTTP/1.1\r\nHost: x\r\n" + head)
        answer = await wire.answer()
        told = json.loads(answer[1])
        assert (answer[0], set(told)) == (status, FORMATS[url])
        assert told.get("data", "") == ""
        assert told.get("status", status) == status


async def test_trailers_without_end_are_refused() -> None:
    async with serving() as server:
        wire = await server.wire()
        wire.say(post(CHUNKED, b"5\r\n12345\r\n0\r\n"))
        await server.until(lambda: bool(server.app.asked))
        wire.say(b"X: " + b"a" * 70_000)
        assert (await wire.answer())[0] == 431
        one_by_one = await server.wire()  # as strange as it is, it is a body
        one_by_one.say(post(CHUNKED, b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"))
        assert b'"size": 20000' in (await one_by_one.answer())[1]
