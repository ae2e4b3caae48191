"""Forwarded headers count from trusted proxies alone."""

from typing import Any

import pytest
from msgspec import structs

from server.wires import serving
from ums.config import Settings, SettingsError
from ums.web.proxies import Proxies

NEAR = Settings(trusted_proxies="127.0.0.0/8, ::1")
FAR = structs.replace(NEAR, trusted_proxies="127.0.0.1, 10.0.0.0/8", proxy_hops=2)
STANDARD = structs.replace(NEAR, proxy_headers="forwarded")


def resolved(settings: Settings, peer: str = "127.0.0.1", **headers: str) -> tuple[str, str, str]:
    """(client, scheme, host) of a request from `peer` with these headers."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "client": (peer, 1),
        "scheme": "http",
        "headers": [(b"host", b"ums.example"), *named],
    }
    Proxies(settings).resolve(scope)
    [host] = [value.decode() for name, value in scope["headers"] if name == b"host"]
    assert [name for name, _ in scope["headers"] if b"forward" in name] == []
    return scope["client"][0], scope["scheme"], host


async def test_nobody_is_believed_by_default() -> None:
    told = {"X_Forwarded_For": "192.0.2.7", "X_Forwarded_Proto": "https"}
    async with serving() as server:
        seen = await server.get(**told, X_Forwarded_Host="evil.example", Forwarded="for=192.0.2.7")
        assert (seen["client"], seen["scheme"], seen["proxied"]) == ("127.0.0.1", "http", True)
        assert ["host", f"127.0.0.1:{server.port}"] in seen["headers"]
        assert not [name for name, _ in seen["headers"] if "forwarded" in name]
        assert (await server.get())["proxied"] is False
        assert (await server.get(Via="1.1 a"))["proxied"] is True


async def test_a_trusted_proxy_is_believed() -> None:
    async with serving(NEAR) as server:
        seen = await server.get(
            X_Forwarded_For="192.0.2.7", X_Forwarded_Proto="https", X_Forwarded_Host="ums.example"
        )
        assert (seen["client"], seen["scheme"], seen["proxied"]) == ("192.0.2.7", "https", True)
        assert ["host", "ums.example"] in seen["headers"]


async def test_a_program_of_the_proxys_machine_is_no_proxy() -> None:
    """The `ums` command comes from the same address as the proxy, and adds no header."""
    async with serving(NEAR) as server:
        assert (await server.get())["proxied"] is False
        for name in ("X_Forwarded_Proto", "X_Real_IP", "Forwarded", "Via"):
            assert (await server.get(**{name: "-"}))["proxied"] is True, name


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.9, 192.0.2.7", "192.0.2.7"),  # what the client itself sent stands first
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("192.0.2.7, _hidden", "127.0.0.1"),
        ("192.0.2.7\x00", "127.0.0.1"),
    ],
)
def test_the_last_address_is_the_clients(told: str, client: str) -> None:
    assert resolved(NEAR, x_forwarded_for=told)[0] == client


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("127.0.0.1", "192.0.2.7, 10.0.0.5", "192.0.2.7"),
        ("127.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.5", "192.0.2.7"),
        ("127.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"),  # that one is no proxy of ours
        ("127.0.0.1", "1.1.1.1, 10.0.0.6, 10.0.0.5", "10.0.0.6"),  # and two is all we count
        ("::ffff:127.0.0.1", "192.0.2.7, 10.0.0.5", "192.0.2.7"),
        ("192.0.2.99", "192.0.2.7, 10.0.0.5", "192.0.2.99"),
    ],
)
def test_hops_are_counted_from_our_side(peer: str, told: str, client: str) -> None:
    assert resolved(FAR, peer, x_forwarded_for=told)[0] == client


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, "ums.example"),
        ({"x_forwarded_host": "a.example:8443"}, "a.example:8443"),
        ({"x_forwarded_port": "8443"}, "ums.example:8443"),
        ({"x_forwarded_port": "443", "x_forwarded_proto": "https"}, "ums.example"),
        ({"x_forwarded_port": "443", "x_forwarded_proto": "http"}, "ums.example:443"),
        ({"x_forwarded_host": "a.example:1", "x_forwarded_port": "8443"}, "a.example:1"),
        ({"x_forwarded_host": "[2001:db8::1]", "x_forwarded_port": "8443"}, "[2001:db8::1]:8443"),
        ({"x_forwarded_host": "evil.example/x"}, "ums.example"),
        ({"x_forwarded_host": "b.example\r\nX: y"}, "ums.example"),
        ({"x_forwarded_host": ""}, "ums.example"),
        ({"x_forwarded_port": "eighty"}, "ums.example"),
    ],
)
def test_the_host_that_people_asked_for(headers: dict[str, str], host: str) -> None:
    assert resolved(NEAR, **headers)[2] == host


@pytest.mark.parametrize("scheme", ["ftp", "", "javascript", "https "])
def test_a_scheme_is_http_or_https(scheme: str) -> None:
    assert resolved(NEAR, x_forwarded_proto=scheme)[1] in ("http", "https")


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("for=192.0.2.7;proto=https;host=a.example", ("192.0.2.7", "https", "a.example")),
        ('For="[2001:db8::7]:4711"', ("2001:db8::7", "http", "ums.example")),
        ("for=1.1.1.1;proto=https, for=192.0.2.7", ("192.0.2.7", "http", "ums.example")),
        ("for=_hidden;proto=https", ("127.0.0.1", "https", "ums.example")),
        ("nonsense", ("127.0.0.1", "http", "ums.example")),
    ],
)
def test_the_standard_header(told: str, seen: tuple[str, str, str]) -> None:
    assert resolved(STANDARD, forwarded=told) == seen


def test_the_other_kind_of_header_is_the_clients_own() -> None:
    """nginx passes on a Forwarded that it knows nothing of."""
    both = {"forwarded": "for=203.0.113.9;proto=https", "x_forwarded_for": "192.0.2.7"}
    assert resolved(NEAR, **both) == ("192.0.2.7", "http", "ums.example")
    assert resolved(STANDARD, **both) == ("203.0.113.9", "https", "ums.example")


@pytest.mark.parametrize("wrong", ["localhost", "10.0.0.0/33", "10.0.0.1 10.0.0.2", "1.2.3"])
def test_a_list_that_cannot_be_read_is_said(wrong: str) -> None:
    with pytest.raises(SettingsError, match="UMS_TRUSTED_PROXIES"):
        Proxies(Settings(trusted_proxies=wrong))
