"""Guests of the sandbox: who starts `ums serve` at a terminal, and has not signed in.

The terminal shows a link that works once, within half an hour, and is exchanged for a cookie that
opens the sandbox and nothing else. Both live in this process alone.
"""

import hashlib
import secrets
import time
from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

from ums.console import cookies

COOKIE: Final = "ums_sandbox"
PATH: Final = "/sandbox/enter/"
LINK_SECONDS: Final = 1800.0
PASS_SECONDS: Final = 12 * 3600.0

AnyRequest = Request[Any, Any, Any]


class Guests:
    """The links that were shown, and the passes that were given for them."""

    def __init__(self) -> None:
        self._links: dict[bytes, float] = {}
        self._passes: dict[bytes, float] = {}

    def invite(self) -> str:
        """The token of a new link."""
        return _issue(self._links, LINK_SECONDS)

    def enter(self, token: str) -> str | None:
        """A pass for the link's token, which is used up; None for one that is no good."""
        ends = self._links.pop(_digest(token), 0.0)
        return _issue(self._passes, PASS_SECONDS) if time.monotonic() < ends else None

    def knows(self, given: str) -> bool:
        """Whether this is a pass."""
        return time.monotonic() < self._passes.get(_digest(given), 0.0)


def _issue(kept: dict[bytes, float], seconds: float) -> str:
    token = secrets.token_urlsafe(32)
    kept[_digest(token)] = time.monotonic() + seconds
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def guests_of(state: Any) -> Guests:
    """Those of the application whose state this is."""
    found: Any = state.get("guests")
    if found is None:
        found = state["guests"] = Guests()
    return found


def is_guest(request: AnyRequest) -> bool:
    """Whether somebody asks whom a link let in."""
    return guests_of(request.app.state).knows(cookies.read(request, COOKIE))


def pass_cookie(request: AnyRequest, token: str) -> Cookie:
    """The cookie of a pass."""
    return cookies.make(request, COOKIE, token, round(PASS_SECONDS))
