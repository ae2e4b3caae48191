"""What every answer says of itself, whichever door gave it."""

from collections.abc import AsyncIterator

import pytest
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


async def test_answers_are_hardened(secure: Door) -> None:
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            headers = (await secure.ask(method, path)).headers
            said = {name: headers.get(name) for name in headers}
            assert said["x-content-type-options"] == "nosniff", (method, path)
            assert said["cache-control"] == "no-store", (method, path)
            assert said["strict-transport-security"] == "max-age=31536000", (method, path)
            assert said["cross-origin-opener-policy"] == "same-origin", (method, path)
            assert said["cross-origin-resource-policy"] == "same-origin", (method, path)
            assert "server" not in said
            assert "access-control-allow-origin" not in said, (method, path)
            policy = said["content-security-policy"] or ""
            for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
                assert part in policy, (method, path)


async def test_what_says_so_itself_is_kept(secure: Door) -> None:
    page = (await secure.get("/login")).raw.decode()
    style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    bundle = await secure.get(style)
    assert (bundle.status, bundle.headers.get_list("x-content-type-options")) == (200, ["nosniff"])
    assert "immutable" in bundle.headers["cache-control"]


async def test_no_hsts_without_https(settings: Settings) -> None:
    async with open_door(settings) as door:
        assert "strict-transport-security" not in (await door.get("/login")).headers


async def test_what_the_server_itself_answers_is_no_page_either(secure: Door) -> None:
    answer = await secure.wire(b"nonsense\r\n\r\n")
    assert (answer.status, answer.headers["x-content-type-options"]) == (400, "nosniff")
    assert answer.headers["cache-control"] == "no-store"
