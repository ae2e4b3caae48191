"""Who may look at the sandbox: operators who are signed in, and people at this very machine."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROXY_HEADERS: Final = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip"})

Connection = ASGIConnection[Any, Any, Any, Any]
CheckOperator = Callable[[str, str], Awaitable[bool]]


async def local_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Lets operators and requests of this machine pass; others need a name and a password.

    Raises NotAuthorizedException, with the challenge that makes browsers ask for them.
    """
    signed_in = connection.scope.get("state", {}).get("visitor") is not None
    if signed_in or is_local(connection) or await _is_operator(connection):
        return
    challenge = {"WWW-Authenticate": 'Basic realm="UMS", charset="UTF-8"'}
    raise NotAuthorizedException(headers=challenge)


def is_local(connection: Connection) -> bool:
    """Whether a program of this machine asks us directly, in our own name."""
    return _from_loopback(connection) and _names_loopback(connection) and not _proxied(connection)


def _from_loopback(connection: Connection) -> bool:
    if connection.client is None:
        return False
    try:
        address = ip_address(connection.client.host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _names_loopback(connection: Connection) -> bool:
    """Whether the Host header is ours.

    A foreign site whose name is made to point at 127.0.0.1 (DNS rebinding) betrays itself here.
    """
    host = connection.headers.get("host", "").lower()
    name, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        host = name
    return host in LOOPBACK_NAMES


def _proxied(connection: Connection) -> bool:
    """Whether a reverse proxy on this machine passes on somebody else's request."""
    # nginx as it comes adds no header and asks in the name of 127.0.0.1, but speaks HTTP/1.0,
    # which no browser does any more.
    if connection.scope.get("http_version") == "1.0":
        return True
    names = (name.lower() for name in connection.headers)
    return any(name in PROXY_HEADERS or name.startswith("x-forwarded") for name in names)


async def _is_operator(connection: Connection) -> bool:
    given = _credentials(connection.headers.get("authorization", ""))
    check: CheckOperator | None = connection.app.state.get("check_operator")
    return given is not None and check is not None and await check(*given)


def _credentials(header: str) -> tuple[str, str] | None:
    """Name and password of an HTTP Basic header (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        plain = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = plain.partition(":")
    return (name, password) if colon else None
