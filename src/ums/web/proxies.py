"""Reverse proxies: which of them are believed, and what they say of a request.

Forwarded headers are taken from the addresses of `UMS_TRUSTED_PROXIES` alone, and never reach the
application: after this `request.client`, the scheme and `Host` are the client's own.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from ums.config import Settings, SettingsError

Header = tuple[bytes, bytes]
Address = IPv4Address | IPv6Address

PROXIED: Final = "proxied"
"""The key of a request's state that says that a proxy passed it on: that it brought a header that
proxies add. The address says nothing of it: a program of the proxy's machine has the same."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)=(?:"([^"\\]*)"|([^\s;,"]*))\s*')
_USUAL_PORT: Final = {"http": "80", "https": "443"}


def is_forwarding(name: bytes) -> bool:
    """Whether a header field, in lower case, is one that proxies add."""
    return name.startswith(b"x-forwarded") or name in (b"forwarded", b"x-real-ip", b"x-client-ip")


def is_host(text: str) -> bool:
    """Whether `text` can be the value of a Host header: a name or an address, and a port."""
    return _HOST.fullmatch(text) is not None


class Proxies:
    """The proxies of the settings. Raises SettingsError for a list that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._hops = settings.proxy_hops
        self._standard = settings.proxy_headers == "forwarded"
        words = [word.strip() for word in settings.trusted_proxies.split(",")]
        try:
            self._networks = [ip_network(word, strict=False) for word in words if word]
        except ValueError as error:
            raise SettingsError(
                f"UMS_TRUSTED_PROXIES={settings.trusted_proxies!r} cannot be used: {error}."
                " It takes addresses and networks, such as 127.0.0.1, 10.0.0.0/8"
            ) from None
        self.trusts = lru_cache(1024)(self._trusts)

    def _trusts(self, host: str) -> bool:
        """Whether the machine at `host` is a proxy that is believed."""
        address = _address(host)
        if address is None:
            return False
        return any(address in one for one in self._networks if one.version == address.version)

    def resolve(self, scope: Any) -> None:
        """Put the client's address, scheme and host into `scope`, and note that it was proxied."""
        headers: list[Header] = list(scope["headers"])
        told = [one for one in headers if is_forwarding(one[0])]
        peer: str = scope["client"][0] if scope.get("client") else ""
        proxied = bool(told) or any(name == b"via" for name, _ in headers)
        scope.setdefault("state", {})[PROXIED] = proxied
        if told:
            scope["headers"] = headers = [one for one in headers if not is_forwarding(one[0])]
        if self._networks and self.trusts(peer):
            self._believe(scope, headers, peer, _Told(told, standard=self._standard))

    def _believe(self, scope: Any, headers: list[Header], peer: str, told: "_Told") -> None:
        client, moves = self._client(peer, told.addresses)
        if moves:
            scope["client"] = (client, 0)
        scheme = told.at("proto", moves).lower()
        if scheme in _USUAL_PORT:
            scope["scheme"] = scheme
        own = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
        host = told.at("host", moves)
        host = _with_port(host if is_host(host) else own, told.at("port", moves), scope["scheme"])
        if host and host != own:
            kept = [one for one in headers if one[0] != b"host"]
            scope["headers"] = [(b"host", host.encode("latin-1")), *kept]

    def _client(self, peer: str, addresses: Sequence[str]) -> tuple[str, int]:
        """The address next to the outermost proxy that is believed, and how many those are."""
        client, moves = peer, 0
        for told in reversed(addresses):
            address = _address(told)
            if moves == self._hops or address is None or not self.trusts(client):
                break
            client, moves = str(address), moves + 1
        return client, moves


class _Told:
    """What the forwarded headers of a request say, in the order of the proxies."""

    def __init__(self, headers: Sequence[Header], *, standard: bool) -> None:
        self._lists = _standard(headers) if standard else _usual(headers)
        self.addresses = self._lists.get("for", [])

    def at(self, name: str, moves: int) -> str:
        """What the outermost proxy that is believed said; it may have said it for all."""
        found = self._lists.get(name, [])
        return found[-min(max(moves, 1), len(found))] if found else ""


def _usual(headers: Sequence[Header]) -> dict[str, list[str]]:
    """X-Forwarded-For, -Proto, -Host and -Port."""
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        if name.startswith(b"x-forwarded-"):
            words = [word.strip() for word in value.decode("latin-1").split(",")]
            lists.setdefault(name.removeprefix(b"x-forwarded-").decode("latin-1"), []).extend(words)
    return lists


def _standard(headers: Sequence[Header]) -> dict[str, list[str]]:
    """Forwarded (RFC 7239). An element that says nothing of a parameter counts as empty."""
    lists: dict[str, list[str]] = {"for": [], "proto": [], "host": []}
    for name, value in headers:
        if name == b"forwarded":
            for element in _elements(value.decode("latin-1")):
                for parameter, values in lists.items():
                    values.append(element.get(parameter, ""))
    return lists


def _elements(value: str) -> Iterator[dict[str, str]]:
    for element in value.split(","):
        pairs = (_PAIR.fullmatch(pair) for pair in element.split(";"))
        yield {pair[1].lower(): pair[2] or pair[3] or "" for pair in pairs if pair}


def _with_port(host: str, port: str, scheme: str) -> str:
    """`host` with the port that the proxy names, where it dropped the port itself."""
    named = host.rpartition("]")[2].find(":") >= 0
    good = port.isascii() and port.isdigit() and len(port) < 6
    if not host or named or not good or port == _USUAL_PORT.get(scheme):
        return host
    return f"{host}:{port}"


def _address(text: str) -> Address | None:
    """The address in `text`, which may have a port; None for names and what is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
