"""One gate for bodies: each route says what it takes, and nothing large is taken apart unasked."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from litestar import Litestar, post
from litestar._parsers import parse_url_encoded_form_data
from litestar.routes import HTTPRoute
from msgspec import structs

from console.conftest import PASSWORD, browsing, log_in
from support.doors import Door, idle_application, open_door
from ums.config import Settings
from ums.core.identity import operators
from ums.errors import TooLarge
from ums.web import bodies

OPEN_LIMIT = 16 * 1024


@pytest.fixture
def dialect() -> str:
    """Bodies know no database."""
    return "sqlite"


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    async with open_door(settings) as opened:
        yield opened


def writing() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, options) of every route that can have a body."""
    for route in idle_application().routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in ("GET", "HEAD", "OPTIONS"):
                    yield method, route.path, handler.opt


WRITING = list(writing())


def test_every_route_says_what_it_takes() -> None:
    assert len(WRITING) > 150
    for method, path, options in WRITING:
        kind = bodies.CLASSES[options["body"]]
        assert kind.seconds(Settings()) <= 600, (method, path)
        if options.get("scope") == "open":
            assert kind.limit(Settings()) <= OPEN_LIMIT, (method, path)
    kinds = {path: options["body"] for _, path, options in WRITING}
    assert {kinds["/login"], kinds["/login/second"], kinds["/invitation/{token:str}"]} == {"open"}
    assert {kinds["/v1/material"], kinds["/api/provider-events"]} == {"material", "events"}
    assert {kinds["/api/imports"], kinds["/imports"], kinds["/send"]} == {"upload"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "does not say"),
        ({"body": "huge"}, "does not say"),
        ({"scope": "open", "body": "form"}, "open to anybody"),
        ({"upload": True, "body": "form"}, "takes files"),
    ],
)
def test_a_route_that_does_not_say_so_is_not_served(options: dict[str, Any], told: str) -> None:
    @post("/new", **options)
    async def new() -> None: ...

    with pytest.raises(RuntimeError, match=told):
        bodies.settle(Litestar([new], openapi_config=None))


async def posted(door: Door, path: str, body: bytes, *headers: str, chunked: bool = False) -> Any:
    """The answer to a form, of which the server may not take all."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    base = f"http://127.0.0.1:{door.port}"
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{door.port}", f"Origin: {base}", length]
    if not any(header.startswith("Content-Type:") for header in headers):
        lines.append("Content-Type: application/x-www-form-urlencoded")
    lines += ["Accept: text/html", *headers]
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
    return await door.wire(head + sent)


@pytest.mark.parametrize("path", ["/login", "/login/second"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_what_anybody_can_send_is_small(door: Door, path: str, *, chunked: bool) -> None:
    most = await posted(door, path, b"a=" + b"1" * (OPEN_LIMIT - 2), chunked=chunked)
    assert most.status != 413
    over = await posted(door, path, b"a=" + b"1" * (OPEN_LIMIT - 1), chunked=chunked)
    assert (over.status, "16384" in over.raw.decode()) == (413, True)
    fields = await posted(door, path, b"a=1&" * 1000, chunked=chunked)
    assert fields.status == 413


@pytest.mark.parametrize(("parts", "too_many"), [(32, False), (33, True), (200, True)])
async def test_the_parts_of_a_form_are_its_fields(
    door: Door, parts: int, *, too_many: bool
) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    kind = "Content-Type: multipart/form-data; boundary=x"
    answer = await posted(door, "/login", part * parts + b"--x--\r\n", kind)
    assert (answer.status == 413) is too_many
    assert answer.status in (400, 401, 413)


async def test_ten_megabytes_of_fields_are_never_read(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> Any:
        raise AssertionError("it was taken apart")

    cookies = await _signed_in(door)
    monkeypatch.setattr(bodies, "_fields", never)
    body = b"a=1&" * (10 * 1024 * 1024 // 4)
    assert (await posted(door, "/login", body[:300_000], chunked=True)).status == 413
    base = f"http://127.0.0.1:{door.port}"
    head = f"POST /login HTTP/1.1\r\nHost: x\r\nOrigin: {base}\r\nSec-Fetch-Site: same-origin\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    # The rest never comes: it is refused for what is announced.
    told = await door.wire(head.encode() + b"Connection: close\r\n\r\n" + body[:1000])
    assert told.status == 413
    assert (await posted(door, "/words", body[:900_000], cookies)).status == 413
    assert (await posted(door, "/words", b"a=" + b"1" * 1024 * 1024, cookies)).status == 413


async def _signed_in(door: Door) -> str:
    await operators.create(door.system, "wang", PASSWORD, "administrator")
    async with browsing(door) as client:
        answer = await log_in(client, "wang")
        assert answer.status_code == 303
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in client.cookies.items())


async def test_a_form_that_does_not_come_is_given_up(settings: Settings) -> None:
    async with open_door(structs.replace(settings, body_seconds=0.2)) as door:
        base = f"http://127.0.0.1:{door.port}"
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nOrigin: {base}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
        for rest in (
            "Content-Length: 100\r\n\r\nname=w",
            "Transfer-Encoding: chunked\r\n\r\n5\r\n",
        ):
            answer = await door.wire((head + rest).encode())
            assert answer.status == 408


async def test_a_large_form_is_taken_apart_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticked, plain = threading.Event(), bodies._fields

    def waits(text: bytes) -> list[tuple[str, str]]:
        assert ticked.wait(30), "the loop did not run meanwhile"
        return plain(text)

    monkeypatch.setattr(bodies, "_fields", waits)
    reading = asyncio.create_task(bodies.fields_of(b"a=1&b=" + b"2" * 100_000, 5))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(ticked.set)
    assert await reading == [("a", "1"), ("b", "2" * 100_000)]


async def test_the_number_of_fields_is_counted_before() -> None:
    assert len(await bodies.fields_of(b"a&b&c", 3)) == 3
    with pytest.raises(TooLarge):
        await bodies.fields_of(b"a&b&c&", 3)


MANY = {
    "lists": b"[" + b"[]," * 300_000 + b"[]]",
    "objects": b"[" + b"{}," * 300_000 + b"{}]",
    "numbers": b"[" + b"0," * 300_000 + b"0]",
    "keys": json.dumps({str(number): 0 for number in range(300_000)}).encode(),
}


@pytest.mark.parametrize("body", MANY.values(), ids=list(MANY))
async def test_json_of_too_many_values_is_not_taken_apart(door: Door, body: bytes) -> None:
    channel, token = await door.channel(sender=False), await door.api_token()
    told = (413, 4004, "too_many_values")
    assert (await door.post("/v1/sent", body, channel)).told == told
    assert (await door.post("/v1/user/opt", body, channel)).told == told
    assert (await door.post("/v1/template/sent", body, channel)).told == told
    local = {"Authorization": f"Bearer {door.token}"}
    assert (await door.post("/local/channel.list", body, **local)).told == told
    management = await door.post("/api/channels", body, token)
    assert (management.status, management.body["reason"]) == (413, "too_many_values")


async def test_events_are_less_than_other_json(door: Door) -> None:
    token = await door.api_token()
    body = b'{"events": "' + b"x" * 1024 * 1024 + b'"}'
    answer = await door.post("/api/provider-events", body, token)
    assert (answer.status, answer.body["reason"]) == (413, "too_large")


async def test_no_form_stays_in_a_cache(door: Door) -> None:
    """The framework's own parser keeps the last thousand forms, passwords and all."""
    before = parse_url_encoded_form_data.cache_info()
    await _signed_in(door)
    assert parse_url_encoded_form_data.cache_info() == before
