"""The management API's door: what every request to it goes through, before and after its route.

A route is a plain Litestar handler that says what a caller needs for it:

    @get("/api/lists/{id:int}", scope="lists:read", channels="own")
    async def show_list(system: System, caller: Caller, request: Call, id: int) -> Shown[ListInfo]:
        return shown(request, await lists.show(system, caller.channel(), id))

`channels` says who may call it of those that are bound to channels: with "all" nobody, as the route
is about the installation or all channels; with "own" everybody, as the route keeps to what is the
caller's. There is no default: a route without it does not start.

The door authenticates, checks the scope, refuses query parameters that the route does not have
and bodies that are too large, too slow or of another type, notes the caller as the actor of the
audit log, and answers a repeated POST with the answer it had (Idempotency-Key). The route reads,
calls `core` and answers; `caller.channel(key)` gives a channel that is the caller's or raises
NotFound.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Litestar, Request
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from ums.api.authentication import count, refuse_foreign
from ums.api.management.idempotency import once
from ums.api.management.strict_request import fault, is_of
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.identity import grants
from ums.core.identity.principals import caller_of
from ums.core.identity.scopes import ALL, OWN, SCOPES
from ums.core.messages.intake import check_key
from ums.errors import Detail, Invalid, WrongMedia
from ums.web.bodies import STATE, Body
from ums.web.edge import address_of

OPEN = "open"
"""The scope of what anybody may see: the schema."""

_JSON = "application/json"
_PAGING: Final[dict[str, Any]] = {"limit": int, "after": str}  # which routes have by a dependency
Call = Request[Any, Any, Any]


class Door:
    """The middleware of every route of the management API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: Any = scope["route_handler"]
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or _is_open(handler):
            await self._app(scope, receive, send)
            return
        request: Call = Request(scope)
        refuse_foreign(request)
        system: AppContext = request.app.state.system
        caller = await caller_of(
            system, request.headers.get("authorization"), address_of(request.scope)
        )
        scope["auth"] = caller
        if caller.account is not None:  # a token is an administrator's own
            count(request, caller.account)
        audit_log.acts(caller.name)
        caller.need(handler.opt["scope"])
        if handler.opt["channels"] == ALL:
            caller.unbound()
        _check(request, handler)
        with grants.asking(caller.grantor):
            await self._answer(request, receive, send)

    async def _answer(self, request: Call, receive: Receive, send: Send) -> None:
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or key is None:
            await self._app(request.scope, receive, send)
            return
        check_key(key)
        body: Body = request.scope["state"][STATE]
        await once(self._app, request, body, send, key)


def _is_open(handler: Any) -> bool:
    return handler.opt["scope"] == OPEN


def _check(request: Call, handler: Any) -> None:
    """Raises Invalid for what no value of the route can be, WrongMedia for a body of another
    type."""
    _check_query(request, handler.opt["query"])
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    takes: str = handler.opt["takes"]
    if takes and media != takes and not (takes == _JSON and _is_json(media)):
        raise WrongMedia("wrong_media", wanted=takes)


def _is_json(media: str) -> bool:
    return media.startswith("application/") and media.endswith("+json")


def _check_query(request: Call, known: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise Invalid("unknown_field", field=name[:40])
        if name in seen:
            raise Invalid("bad_filter", field=name, detail=Detail("given_twice"))
        if not is_of(known[name], str) and value.strip().lower() in ("", "null"):
            # msgspec would read it as if it was not there.
            raise Invalid("bad_filter", field=name, detail=Detail("no_value"))
        detail = fault(known[name], value)
        if detail is not None:
            raise Invalid("bad_filter", field=name, detail=detail)
        seen.add(name)


# -- when the application is built --------------------------------------------------------------


def settle(app: Litestar) -> None:
    """Note with each route what the door has to know of it.

    Raises RuntimeError for a route of the management API that does not say who may call it.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/"):
            for method, (handler, model) in route.route_handler_map.items():
                if method != "OPTIONS":
                    _settle(handler, model.expected_query_params)


def _settle(handler: HTTPRouteHandler, query: Iterable[Any]) -> None:
    if handler.opt.get("scope") not in {*SCOPES, OPEN}:
        raise RuntimeError(f"{handler} does not say which scope it needs")
    if not _is_open(handler) and handler.opt.get("channels") not in (ALL, OWN):
        raise RuntimeError(f"{handler} does not say whether bound callers may call it")
    own = handler.parsed_fn_signature.parameters
    types = _PAGING | {name: field.annotation for name, field in own.items()}
    handler.opt["query"] = {one.field_alias: types[one.field_name] for one in query}
    handler.opt["takes"] = _takes(handler)


def _takes(handler: HTTPRouteHandler) -> str:
    """The media type of its body; "" where it takes none."""
    field = handler.parsed_data_field
    if field is None:
        return ""
    media: Any = getattr(field.kwarg_definition, "media_type", _JSON)
    return str(media.value if isinstance(media, RequestEncodingType) else media)
