"""Asking for password and second factor again, before what an open browser must not be enough for.

A route says `recent=True` (or the path of the page with its form, such as
`recent="/channels/{key}"`, where that is another one); the door asks. Who has authenticated within
the last ten minutes is not asked. A page with a form is asked for after five already, so that
there is time to fill it in. With `recent_for="channels:write"` nobody is asked who has not that
scope: to others the page is to be read.
"""

from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get, post

from ums import clock
from ums.console.current_operator import Visitor, inside, session_cookie
from ums.console.dependencies import System
from ums.console.dependencies import Visitor as Signed
from ums.console.forms import Form, given, refused, wait
from ums.console.rendering import AnyRequest, go, page
from ums.core.audit import audit_log
from ums.core.identity import login
from ums.errors import UmsError

PAGE: Final = "/account/confirm"
RECENT: Final = 10 * clock.MINUTE
BEFORE_FORM: Final = 5 * clock.MINUTE


def is_needed(request: AnyRequest, visitor: Visitor) -> bool:
    """Whether the visitor has to authenticate again before what it asks for."""
    handler: Any = request.scope["route_handler"]
    only = handler.opt.get("recent_for")
    asked = bool(handler.opt.get("recent")) and (only is None or visitor.may(only))
    return asked and not _is_recent(request, visitor)


def _is_recent(request: AnyRequest, visitor: Visitor) -> bool:
    longest = BEFORE_FORM if request.method in ("GET", "HEAD") else RECENT
    return clock.now() - visitor.signed_in.authenticated_at <= longest


def page_for(request: AnyRequest) -> str:
    """The page that asks, and then leads back: to the form, where one was sent."""
    handler: Any = request.scope["route_handler"]
    told = handler.opt["recent"]
    if isinstance(told, str):
        values = {name: quote(str(value), safe="") for name, value in request.path_params.items()}
        where = quote(told.format(**values), safe="")
    elif request.method in ("GET", "HEAD"):
        where = here(request)
    else:
        where = quote(request.scope["path"], safe="")
    lost = "&sent=1" if request.method not in ("GET", "HEAD") else ""
    return f"{PAGE}?next={where}{lost}"


def here(request: AnyRequest) -> str:
    """The address of this request, as a value of a query."""
    query = request.scope["query_string"].decode("latin-1")
    return quote(quote(request.scope["path"]) + (f"?{query}" if query else ""), safe="")


@get(PAGE, scope="any")
async def ask(request: AnyRequest) -> Response[str]:
    query = request.query_params
    form = Form({"password": "", "code": "", "next": query.get("next", "")})
    return page(request, "account/confirm.html", form=form, lost=query.get("sent") == "1")


@post(PAGE, scope="any")
async def confirm(request: AnyRequest, system: System, visitor: Signed) -> Response[str]:
    """Gives the session another cookie, too: one that was stolen before is good no more."""
    fields = await given(request)
    audit_log.about(visitor.name)
    password, code = fields.get("password", ""), fields.get("code", "")
    try:
        token = await login.prove(system, visitor.signed_in, password, code)
    except UmsError as error:
        form = refused(request, {"password": "", "code": "", "next": fields.get("next", "")}, error)
        return page(
            request,
            "account/confirm.html",
            status=error.status,
            headers=wait(error),
            form=form,
            lost=False,
        )
    return go(inside(fields.get("next", "")), cookies=[session_cookie(request, token)])


handlers = [ask, confirm]
