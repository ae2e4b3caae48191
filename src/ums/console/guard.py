"""Whether somebody at this very machine asks."""

from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from litestar.connection import ASGIConnection

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROXY_HEADERS: Final = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip"})

Connection = ASGIConnection[Any, Any, Any, Any]


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
