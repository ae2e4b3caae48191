"""Which addresses UMS may connect to when somebody else chose the URL.

`Guard` judges an address, `GuardedNetwork` opens connections for httpcore: it looks a name up
once, has every address judged and connects to the judged address itself, so that neither a
redirect nor a name server that changes its answer leads inside (threat row 2, reliability.md).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final

import httpcore

from ums.config import PREFIX, SettingsError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

FREE_PORTS: Final = frozenset({80, 443})

# The IANA special-purpose registries, written out: `is_global` differs between Python versions,
# knows no clouds, and calls the tunnels global whose far end may be inside.
_DENIED_4: Final[dict[str, str]] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "Azure's host service",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_DENIED_6: Final[dict[str, str]] = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0:0/96": "IPv4-translated",
    # RFC 8215: where in it an IPv4 address lies is each site's choice, so that none can be judged
    # but in the one form of _EMBEDDED, in which all other readings are 0.0.0.0/8.
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy",
    "2001::/32": "Teredo",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_DENIED: Final = [
    (ipaddress.ip_network(network), name) for network, name in (_DENIED_4 | _DENIED_6).items()
]
_UNICAST: Final = IPv6Network("2000::/3")  # all else is not given out
_EMBEDDED: Final = [  # the last 32 bits are where a packet really goes
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/96"),
]


_INSIDE: Final = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1",
        "fc00::/7",
    )
]


class Denied(Exception):
    """An address UMS must not connect to. `reason` is for logs: it may tell of the inside."""

    def __init__(self, reason: str, *, port: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.port = port  # the port alone is at fault, whatever the address


class Guard:
    """Lets pass public addresses at ports 80 and 443, and `allow` at any port."""

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)

    def judge(self, address: str, port: int) -> None:
        """Raise Denied unless a connection may be made to `address`, an IP address as text.

        An IPv4 address inside an IPv6 one (mapped, NAT64) is what gets judged. A site's own
        NAT64 prefix cannot be known here; its translator must refuse private addresses.
        """
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            raise Denied(f"{address!r} is not an address") from None
        inner = _embedded(given)
        if any(one in network for network in self._allow for one in (given, inner)):
            return
        # The port first: its refusal must not tell whether a name leads inside.
        if port not in FREE_PORTS:
            raise Denied(f"port {port}", port=True)
        for network, name in _DENIED:
            if inner in network:
                raise Denied(f"{address} is {name}")
        if isinstance(inner, IPv6Address) and inner not in _UNICAST:
            raise Denied(f"{address} is reserved")


def is_inside(host: str) -> bool:
    """Whether `host` is a loopback or private address itself, not a name that may lead to one."""
    try:
        inner = _embedded(ipaddress.ip_address(host))
    except ValueError:
        return False
    return any(inner in network for network in _INSIDE)


def _embedded(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in network for network in _EMBEDDED):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def parse_networks(text: str, setting: str = "FETCH_ALLOW") -> tuple[Network, ...]:
    """The networks of `setting`: CIDR, with commas between; blanks are ignored.

    Raises SettingsError for what is not a network, also when bits behind the mask are set.
    """
    items = [item.strip() for item in text.split(",")]
    return tuple(_network(item, setting) for item in items if item)


def _network(item: str, setting: str) -> Network:
    try:
        return ipaddress.ip_network(item)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{setting}: {error}") from None


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Makes the connections of httpcore, to judged addresses only."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        backend: Any = httpcore.AnyIOBackend()  # its declared type is that of a missing anyio
        self._backend: httpcore.AsyncNetworkBackend = backend
        self._streams: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to `host`; the look-up counts into `timeout` seconds.

        Raises Denied when any of its addresses is denied, and httpcore's ConnectError and
        ConnectTimeout.
        """
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        addresses = await self._look_up(host, port, timeout)
        problem: Exception = httpcore.ConnectError("no address")
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            # A fair share of the time that is left for each: one black hole is not the end.
            share = None if end is None else max(0.0, end - loop.time()) / left
            try:
                stream = await self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                self._streams.append(stream)
                return stream
        raise problem

    async def _look_up(self, host: str, port: int, seconds: float | None) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore.ConnectTimeout("name look-up") from None
        except (OSError, ValueError) as error:  # ValueError: not even the shape of a name
            raise httpcore.ConnectError("name look-up") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            self._guard.judge(address, port)
        return addresses

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def aclose(self) -> None:
        """Close every connection: one that was cancelled in its TLS handshake is nobody's else."""
        for stream in self._streams:
            await stream.aclose()
        self._streams.clear()
