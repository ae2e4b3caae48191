"""An operator as administrators see it: its sessions, its second factor, and whose role needs
one."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import chosen, lists
from ums.console.rendering import AnyRequest, go, page
from ums.core.identity import operator_access, operators
from ums.core.settings import runtime_settings

_PATHS: Final = (
    "/operators/{name:str}/sessions/{id:int}/end",
    "/operators/{name:str}/sessions/end",
    "/operators/{name:str}/reset-second-factor",
)
_ACTS: Final[dict[str, tuple[Callable[..., Awaitable[object]], str]]] = {
    "/operators/{name}/sessions/{id}/end": (
        operator_access.end_session,
        "administration.did_end_session",
    ),
    "/operators/{name}/sessions/end": (
        operator_access.end_sessions,
        "administration.did_end_sessions",
    ),
    "/operators/{name}/reset-second-factor": (
        operator_access.reset_second_factor,
        "administration.did_reset_factor",
    ),
}


@get("/operators/{name:str}", scope="operators:read", recent=True)
async def show_operator(
    request: AnyRequest, system: System, visitor: Visitor, name: FromPath[str]
) -> Response[str]:
    visitor.caller.unbound()
    return page(
        request,
        "administration/operator.html",
        one=await operators.show(system, name),
        sessions=await operator_access.sessions_of(system, name),
    )


@post(list(_PATHS), scope="operators:write", recent="/operators")
async def change_access(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    """End one of its sessions or all, or take a lost second factor away."""
    visitor.caller.unbound()
    act, done = _ACTS[request.scope["path_template"]]
    await act(system, *request.path_params.values())
    return go(_page_of(request), done)


@post("/settings/second-factor", scope="admin", recent="/operators")
async def require_second_factor(
    request: AnyRequest, system: System, visitor: Visitor
) -> Response[str]:
    """For which roles; who has none is led to set one up, also where it is signed in already."""
    visitor.caller.unbound()
    roles = chosen((await lists(request)).get("roles", []))
    await runtime_settings.change(system, {"two_factor_roles": ", ".join(roles)})
    return go("/operators", "administration.did_require")


def _page_of(request: AnyRequest) -> str:
    """The page of the operator that the request is about, as the browser wrote its name."""
    raw: bytes = request.scope["raw_path"]
    return "/operators/" + raw.decode("ascii", "ignore").split("/")[2]


handlers = [show_operator, change_access, require_second_factor]
