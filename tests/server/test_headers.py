"""What every answer says of itself, whichever door gave it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from httpx import Headers
from msgspec import structs

from support.doors import Door, open_door
from ums.config import Settings


@pytest.fixture
def dialect() -> str:
    return "sqlite"


@pytest.fixture
async def secure(settings: Settings) -> AsyncIterator[Door]:
    url = "https://ums.example"
    async with open_door(structs.replace(settings, public_url=url)) as door:
        yield door


PATHS = ["/", "/login", "/home", "/nothing", "/api/messages", "/api/schema", "/api/docs"]
PATHS += ["/v1/sent", "/v1/nothing", "/local/none", "/healthz", "/readyz"]


def check_hardened(headers: Headers, asked: str) -> None:
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("strict-transport-security", "max-age=31536000"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ):
        assert headers.get_list(name) == [value], asked
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers, asked
    [policy] = headers.get_list("content-security-policy")
    for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy, asked


async def test_answers_are_hardened(secure: Door) -> None:
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            check_hardened((await secure.ask(method, path)).headers, f"{method} {path}")


async def test_what_says_so_itself_is_kept(secure: Door) -> None:
    page = (await secure.get("/login")).raw.decode()
    style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    bundle = await secure.get(style)
    assert (bundle.status, bundle.headers.get_list("x-content-type-options")) == (200, ["nosniff"])
    assert "immutable" in bundle.headers["cache-control"]


async def test_no_hsts_without_https(settings: Settings) -> None:
    async with open_door(settings) as door:
        assert "strict-transport-security" not in (await door.get("/login")).headers


REFUSED = {
    400: b"nonsense\r\n\r\n",
    408: b"GET /login HTTP/1.1\r\nHost: a",  # and no more
    431: b"GET /api/messages HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 40_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("status", REFUSED)
async def test_what_the_server_itself_answers_is_hardened_too(
    settings: Settings, status: int
) -> None:
    url = "https://ums.example"
    async with open_door(structs.replace(settings, public_url=url, http_head_seconds=1)) as door:
        answer = await door.wire(REFUSED[status])
    assert answer.status == status
    check_hardened(answer.headers, str(status))


async def test_so_is_the_answer_to_one_connection_too_many(settings: Settings) -> None:
    url = "https://ums.example"
    async with open_door(structs.replace(settings, public_url=url, http_connections=1)) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        head = (
            f"POST /login HTTP/1.1\r\nHost: ums.example\r\nOrigin: {url}\r\nContent-Length: 9\r\n"
        )
        head += "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")  # and the body does not come
        other = await door.wire(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert other.status == 200
        told = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
    status, *lines = told.strip().split("\r\n")
    assert status.split()[1] == "503"
    pairs = [line.partition(": ") for line in lines]
    check_hardened(Headers([(name, value) for name, _, value in pairs]), "503")
