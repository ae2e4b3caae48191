"""What is answered when a request fails: each door in its own format."""

from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from ums.api import problem_details, responses
from ums.api.responses import Call, log
from ums.errors import Broken, Detail, Invalid, UmsError


def _own(request: Call, error: UmsError) -> Response[bytes]:
    return (
        problem_details.tell(request, error)
        if _is_management(request)
        else responses.own(request, error)
    )


def _http(request: Call, error: HTTPException) -> Response[bytes]:
    if not _is_management(request):
        return responses.http(request, error)
    if error.status_code >= 500:
        return _unexpected(request, error)
    return problem_details.tell_http(request, error)


def _unexpected(request: Call, error: Exception) -> Response[bytes]:
    if not _is_management(request):
        return responses.unexpected(request, error)
    if isinstance(error, RecursionError):
        return problem_details.tell(request, Invalid("bad_json", detail=Detail("deeply_nested")))
    if isinstance(error, UnicodeDecodeError) or type(error) is LookupError:
        # Litestar decodes the fields of a form with whatever charset they name.
        handler: Any = request.scope.get("route_handler")
        if handler is not None and handler.opt.get("takes") == "multipart/form-data":
            return problem_details.tell(
                request, Invalid("misfit", field="body", detail=Detail("not_utf8"))
            )
    # The path and the error's kind, never the body: it may hold addresses or texts.
    log.error("request failed", path=request.scope["path"], exc_info=error)
    return problem_details.tell(request, Broken("broken"))


def _is_management(request: Call) -> bool:
    return f"{request.scope['path']}/".startswith("/api/")


handlers: ExceptionHandlersMap = {
    UmsError: _own,
    HTTPException: _http,
    Exception: _unexpected,
}
