"""The sessions of operators, and second factors that were lost."""

from litestar import Response, delete, get, post
from litestar.params import FromPath
from msgspec import Struct

from ums.api.management.dependencies import System, shown
from ums.core.identity import operator_access
from ums.core.identity.operators import OperatorInfo
from ums.core.identity.sessions import SessionInfo
from ums.web.bodies import BoundedRequest as Call


class Sessions(Struct, frozen=True):
    """Where an operator is signed in."""

    sessions: list[SessionInfo]


@get("/api/operators/{name:str}/sessions", scope="operators:read", channels="all")
async def list_sessions(system: System, name: FromPath[str]) -> Sessions:
    """Where an operator is signed in to the console, the last seen first."""
    return Sessions(await operator_access.sessions_of(system, name))


@delete(
    "/api/operators/{name:str}/sessions/{session_id:int}", scope="operators:write", channels="all"
)
async def end_session(system: System, name: FromPath[str], session_id: FromPath[int]) -> None:
    """Sign an operator who has no more rights than the caller out in one browser."""
    await operator_access.end_session(system, name, session_id)


@delete("/api/operators/{name:str}/sessions", scope="operators:write", channels="all")
async def end_sessions(system: System, name: FromPath[str]) -> None:
    """The same in every browser."""
    await operator_access.end_sessions(system, name)


@post(
    "/api/operators/{name:str}/reset-second-factor",
    scope="operators:write",
    channels="all",
    status_code=200,
)
async def reset_second_factor(
    system: System, request: Call, name: FromPath[str]
) -> Response[OperatorInfo]:
    """Take away a second factor that was lost, and sign the operator out everywhere."""
    return shown(request, await operator_access.reset_second_factor(system, name))


handlers = [list_sessions, end_session, end_sessions, reset_second_factor]
