"""An operator as administrators see it: its sessions, its second factor, and whose role needs
one."""

from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System
from ums.console.forms import chosen, lists
from ums.console.rendering import AnyRequest, go, page
from ums.core.identity import operator_access, operators
from ums.core.settings import runtime_settings


@get("/operators/{name:str}", scope="operators:read", channels="all", recent=True)
async def show_operator(request: AnyRequest, system: System, name: FromPath[str]) -> Response[str]:
    return page(
        request,
        "administration/operator.html",
        one=await operators.show(system, name),
        sessions=await operator_access.sessions_of(system, name),
    )


@post(
    "/operators/{name:str}/sessions/{id:int}/end",
    scope="operators:write",
    channels="all",
    recent="/operators",
)
async def end_session(
    request: AnyRequest, system: System, name: FromPath[str], id: FromPath[int]
) -> Response[str]:
    await operator_access.end_session(system, name, id)
    return go(_page_of(request), "administration.did_end_session")


@post(
    "/operators/{name:str}/sessions/end",
    scope="operators:write",
    channels="all",
    recent="/operators",
)
async def end_sessions(request: AnyRequest, system: System, name: FromPath[str]) -> Response[str]:
    await operator_access.end_sessions(system, name)
    return go(_page_of(request), "administration.did_end_sessions")


@post(
    "/operators/{name:str}/reset-second-factor",
    scope="operators:write",
    channels="all",
    recent="/operators",
)
async def reset_second_factor(
    request: AnyRequest, system: System, name: FromPath[str]
) -> Response[str]:
    await operator_access.reset_second_factor(system, name)
    return go(_page_of(request), "administration.did_reset_factor")


@post("/settings/second-factor", scope="admin", channels="all", recent="/operators")
async def require_second_factor(request: AnyRequest, system: System) -> Response[str]:
    """For which roles; who has none is led to set one up, also where it is signed in already."""
    roles = chosen((await lists(request)).get("roles", []))
    await runtime_settings.change(system, {"two_factor_roles": ", ".join(roles)})
    return go("/operators", "administration.did_require")


def _page_of(request: AnyRequest) -> str:
    """The page of the operator that the request is about, as the browser wrote its name."""
    raw: bytes = request.scope["raw_path"]
    return "/operators/" + raw.decode("ascii", "ignore").split("/")[2]


handlers = [show_operator, end_session, end_sessions, reset_second_factor, require_second_factor]
