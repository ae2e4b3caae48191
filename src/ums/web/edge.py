"""The outermost layer of the application: proxies are resolved, and each answer is hardened."""

from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ums.config import Settings
from ums.web.proxies import Proxies

HSTS: Final = b"max-age=31536000"
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
"""What each answer says where it says nothing else of it: an answer of the API as much as a page
may hold addresses, and is of no use to another site."""


def usual_headers(settings: Settings) -> tuple[tuple[bytes, bytes], ...]:
    """`ALWAYS`, and HSTS where people come by https."""
    https = settings.public_url.startswith("https:")
    return (*ALWAYS, (b"strict-transport-security", HSTS)) if https else ALWAYS


def address_of(scope: Any) -> str:
    """Where a request comes from; behind a trusted proxy, the address that this one tells. "" for
    what comes by no network."""
    client = scope.get("client")
    return client[0] if client else ""


class Edge:
    """The ASGI application that the server runs, around the one that answers."""

    def __init__(self, app: ASGIApp, settings: Settings, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies
        self._usual = usual_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._proxies.resolve(scope)

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._harden(message)
            await send(message)

        await self._app(scope, receive, hardened)

    def _harden(self, message: Any) -> None:
        headers = list(message.get("headers", ()))
        said = {name.lower() for name, _ in headers}
        message["headers"] = [*headers, *(one for one in self._usual if one[0] not in said)]
