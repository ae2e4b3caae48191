"""Pages for what went wrong: never a dead end, never an internal."""

from typing import Any

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from ums.console.forms import wait
from ums.console.pages import AnyRequest, problem
from ums.console.words import Words, language_of
from ums.core.scopes import OF_ROLE, holds
from ums.errors import UmsError

log = structlog.get_logger()
_KNOWN = {404: "gone", 403: "forbidden", 405: "gone", 413: "large"}


def wants_page(request: AnyRequest) -> bool:
    """Whether a person asks, and not a program of an API."""
    path = f"{request.scope['path']}/"
    program = path.startswith(("/api/", "/v1/", "/local/", "/healthz/", "/readyz/", "/static/"))
    return not program and "text/html" in request.headers.get("accept", "")


def told(request: AnyRequest, error: UmsError) -> Response[str]:
    language = language_of(request)
    words, key = Words(language), _KNOWN.get(error.status, "trouble")
    if error.reason == "foreign_form":
        key = "foreign"  # which is no matter of roles
    if error.reason == "sandbox_link":
        key = "link"
    title, headers = words(f"{key}_title"), wait(error)
    text = _roles(error, words) if error.reason == "scope_missing" else error.words(language)
    return problem(request, error.status, title, text, headers=headers)


def _roles(error: UmsError, words: Words) -> str:
    """Which roles open the page, in the words of people rather than of programs."""
    scope = str(error.values["scope"])
    roles = [role for role, held in OF_ROLE.items() if holds(held, scope)]
    joined = words("list_or").join(words(f"role_{role}") for role in roles)
    return words("forbidden_role", roles=joined)


def told_http(request: AnyRequest, error: HTTPException) -> Response[str]:
    if error.status_code >= 500:
        return unexpected(request, error)
    words, key = Words(language_of(request)), _KNOWN.get(error.status_code)
    text = words(f"{key}_text") if key else error.detail
    return problem(request, error.status_code, words(f"{key or 'trouble'}_title"), text)


def unexpected(request: AnyRequest, error: Exception) -> Response[str]:
    log.error("page failed", path=request.scope["path"], exc_info=error)
    words = Words(language_of(request))
    return problem(request, 500, words("broken_title"), words("broken_text"))


handlers: ExceptionHandlersMap = {
    UmsError: told,
    HTTPException: told_http,
    Exception: unexpected,
}


def for_all(others: Any) -> Any:
    """The handlers of the whole application: a page for people, `others` for programs."""

    def choose(kind: Any) -> Any:
        def handle(request: AnyRequest, error: Any) -> Any:
            chosen: Any = handlers if wants_page(request) else others
            return chosen[kind](request, error)

        return handle

    return {kind: choose(kind) for kind in handlers}
