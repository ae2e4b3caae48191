"""The console's door: what every page goes through.

A page is a plain Litestar handler that says what it takes to see it, in the words of the API:

    @get("/channels", scope="channels:read", channels="own")
    async def channels(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
        ...
        return page(request, "channels/list.html", ...)

`channels` says who may see it of those that are bound to channels: with "all" nobody, as the page
is about the installation or all channels; with "own" everybody, as the page keeps to what is the
visitor's. There is no default: a page without it does not start.

The door finds the operator of the session cookie, sends who has none to the log-in page, refuses
forms that come from elsewhere and pages that the operator's role does not open, and notes the
operator as the actor of the audit log. A page with `recent=True` asks for password and second
factor when that was not done a moment ago (reauthentication): so do those with secrets, rights,
settings, protective rules and exports of addresses, together with the pages that hold their forms.
One with `guests=True` opens to whom the link of `ums serve` let in as well: an address is no proof,
as a proxy on this machine asks from the same one for anybody. `visitor.caller` answers which
channels there are for the page, as it does in the API: what is another channel's is not found.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar, Request
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from ums.console import cookies, reauthentication
from ums.console.current_operator import AnyRequest, Visitor, visitor_of
from ums.console.sandbox.guests import is_guest
from ums.core.audit import audit_log
from ums.core.identity import grants, sessions
from ums.core.identity.scopes import ALL, OWN, SCOPES
from ums.errors import Forbidden

OPEN: Final = "open"
"""The scope of what anybody may see: the log-in page."""
ANY: Final = "any"
"""The scope of what every operator may see: its own account."""

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
PASSWORD_PAGE: Final = "/account/password"  # noqa: S105
FACTOR_PAGE: Final = "/account/two-factor"
_BEFORE_PASSWORD: Final = (PASSWORD_PAGE, reauthentication.PAGE, "/logout")


class Door:
    """The middleware of every page of the console."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        request: AnyRequest = Request(scope)
        if scope["method"] not in _SAFE:
            _check_origin(request)
        scope["state"]["brand"] = (await request.app.state.system.directory.now()).brand
        visitor = await _visitor(request)
        if visitor is not None:
            audit_log.acts(visitor.caller.name)
        handler: Any = scope["route_handler"]
        needed: str = handler.opt["scope"]
        if needed != OPEN:
            where = _first(request, visitor)
            if visitor is None and handler.opt.get("guests") and is_guest(request):
                await self._app(scope, receive, send)
                return
            if visitor is None or where:
                await _elsewhere(request, where, send)
                return
            if needed != ANY:
                visitor.caller.need(needed)
                if handler.opt["channels"] == ALL:
                    visitor.caller.unbound()
            if reauthentication.is_needed(request, visitor):
                await _elsewhere(request, reauthentication.page_for(request), send)
                return
        with grants.asking(visitor.caller.grantor if visitor else grants.NOBODY):
            await self._app(scope, receive, send)


async def _visitor(request: AnyRequest) -> Visitor | None:
    token = cookies.read(request, cookies.SESSION)
    signed_in = await sessions.find(request.app.state.system, token) if token else None
    if signed_in is None:
        return None
    visitor = await visitor_of(request, signed_in)
    request.scope["state"]["visitor"] = visitor
    return visitor


def _first(request: AnyRequest, visitor: Visitor | None) -> str:
    """Where whoever asks has to go before this page; "" for nowhere."""
    path = request.scope["path"]
    if visitor is not None:
        return _before(path, visitor)
    if request.method in _SAFE and path != "/home":
        return f"/login?next={reauthentication.here(request)}"
    return "/login"


def _before(path: str, visitor: Visitor) -> str:
    """What an operator has to go through before all else: first a password of its own, then the
    second factor that its role needs."""
    if visitor.signed_in.must_change_password:
        return "" if path in _BEFORE_PASSWORD else PASSWORD_PAGE
    if visitor.factor_first:
        return "" if path in (*_BEFORE_PASSWORD, FACTOR_PAGE) else FACTOR_PAGE
    return ""


async def _elsewhere(request: AnyRequest, where: str, send: Send) -> None:
    """Send the browser to another page, such as the one to log in."""
    audit_log.turn_away()
    # Into a part of a page no form fits: then the whole page goes there.
    part = request.headers.get("hx-request") == "true"
    header = (b"hx-redirect" if part else b"location", where.encode())
    headers = [header, (b"content-length", b"0"), (b"cache-control", b"no-store")]
    start: Any = {
        "type": "http.response.start",
        "status": 200 if part else 303,
        "headers": headers,
    }
    await send(start)
    end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(end)


def _check_origin(request: AnyRequest) -> None:
    """Raises Forbidden for a form that another site sends in our operator's name.

    Every browser of today says with a POST where it comes from (Fetch Metadata, or Origin).
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        # The browser knows the port, which a proxy may have dropped from Host.
        good = site == "same-origin"
    else:
        origin = request.headers.get("origin", "")
        scheme = origin.partition(":")[0]
        known = (f"{scheme}://{request.headers.get('host', '')}", _public_url(request))
        good = _place(origin) != "" and _place(origin) in map(_place, known)
    if not good:
        raise Forbidden("foreign_form")


def _place(url: str) -> str:
    """Scheme, host and port of a URL, these as browsers write them; "" for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port or usual}"


def _public_url(request: AnyRequest) -> str:
    return request.app.state.system.settings.public_url


def settle(app: Litestar) -> None:
    """Raises RuntimeError for a page that does not say who may see it."""
    known: set[Any] = {*SCOPES, OPEN, ANY}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                behind = method != "OPTIONS" and Door in handler.resolve_middleware()
                if not behind:
                    continue
                scope = handler.opt.get("scope")
                whose = scope in (OPEN, ANY) or handler.opt.get("channels") in (ALL, OWN)
                if scope not in known or not whose:
                    raise RuntimeError(f"{handler} does not say who may see it")
