"""Attachments by URL: redirects, the guard, TLS."""

import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from support.web import Resolver, Server, one, refusal, serving
from ums import trust
from ums.mail.mime.builder import File

# -- redirects --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_three_redirects_are_followed(server: Server, status: int) -> None:
    server.add("/d/报告.txt".replace("报告", "%E6%8A%A5%E5%91%8A"), b"data")
    server.redirect("/3", "d/报告.txt", f"{status} X")
    server.redirect("/2", "/3", f"{status} X")
    url = server.redirect("/1", f"//127.0.0.1:{server.port}/2", f"{status} X")
    assert (await one(url)).name == "报告.txt"
    assert await refusal(server.redirect("/0", "/1", f"{status} X")) == "too many redirects"


@pytest.mark.parametrize(
    "to",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.2/",
        "ftp://127.0.0.2/",
        "http://user:pass@127.0.0.1/",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "/" + "a" * 2100,
    ],
)
async def test_a_redirect_leads_to_urls_of_the_same_shape_only(server: Server, to: str) -> None:
    assert await refusal(server.redirect("/a", to)) == "redirects to what is not a URL"
    assert server.connects == 1


async def test_a_redirect_without_a_place(server: Server) -> None:
    url = server.add("/a", status="302 Found")
    assert await refusal(url) == "redirects to what is not a URL"


@pytest.mark.parametrize("host", ["127.0.0.2", "inside.example", "0x7f.2", "[::ffff:127.0.0.2]"])
async def test_a_redirect_inside_is_not_followed(
    server: Server, sentinel: Server, resolver: Resolver, host: str
) -> None:
    resolver["public.example"] = [["127.0.0.1"]]
    resolver["inside.example"] = [["127.0.0.2"]] * 2
    server.redirect("/a", f"http://{host}/secret")
    url = server.url("/a", "public.example")
    assert await refusal(url) == "address not allowed"
    assert await refusal(server.redirect("/b", sentinel.url("/", host))) == "port not allowed"
    assert server.connects == 2


async def test_every_redirect_is_looked_up_anew(
    server: Server, sentinel: Server, resolver: Resolver
) -> None:
    resolver["flips.example"] = [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]]
    server.redirect("/a", "http://flips.example/b")
    assert await refusal(server.url("/a", "flips.example")) == "address not allowed"
    assert server.connects == 1


# -- the guard --------------------------------------------------------------------------------


async def test_a_name_server_that_changes_its_mind_changes_nothing(
    server: Server, sentinel: Server, resolver: Resolver
) -> None:
    resolver["flips.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    server.add("/a", b"judged")
    assert (await one(server.url("/a", "flips.example"))).data == b"judged"
    assert resolver["flips.example"] == [["127.0.0.2"]]  # asked once
    assert f"Host: flips.example:{server.port}" in server.requests[0]


@pytest.mark.parametrize("host", ["93.184.216.34", "10.0.0.1", "public.example"])
async def test_other_ports_need_an_allowed_network(host: str, resolver: Resolver) -> None:
    resolver["public.example"] = [["93.184.216.34"]]
    assert await refusal(f"http://{host}:8080/") == "port not allowed"


@pytest.mark.parametrize(
    "host", ["none.example", "..a", ".a", "a" * 300, "%31%32%37.0.0.2", "1.2.3.4.5"]
)
async def test_a_host_without_an_address(host: str, resolver: Resolver) -> None:
    for scheme in ("http", "https"):
        assert await refusal(f"{scheme}://{host}/") == "cannot be reached"


# -- TLS --------------------------------------------------------------------------------------


@pytest.fixture
async def secure(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("files.example").configure_cert(context)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    monkeypatch.setattr(trust, "context", lambda: trusted)
    async with serving(tls=context) as server:
        yield server


async def test_tls_is_for_the_name_and_goes_to_the_judged_address(
    secure: Server, resolver: Resolver
) -> None:
    resolver["files.example"] = [["127.0.0.1"]]
    secure.add("/a.txt", b"safe")
    file = await one(f"https://files.example:{secure.port}/a.txt")
    assert file == File("a.txt", "text/plain", b"safe")
    assert f"Host: files.example:{secure.port}" in secure.requests[0]


async def test_tls_for_another_name_is_refused(secure: Server, resolver: Resolver) -> None:
    resolver["other.example"] = [["127.0.0.1"]]
    secure.add("/a.txt", b"safe")
    assert await refusal(f"https://other.example:{secure.port}/a.txt") == "cannot be reached"
    assert secure.requests == []


def test_the_system_is_trusted() -> None:
    context = trust.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
