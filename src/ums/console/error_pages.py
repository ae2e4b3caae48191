"""Pages for what went wrong: never a dead end, never an internal."""

from typing import Any

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from ums.console.forms import wait
from ums.console.i18n import Words, language_of
from ums.console.rendering import AnyRequest, problem
from ums.core.identity.scopes import OF_ROLE, holds
from ums.errors import UmsError

log = structlog.get_logger()
_KNOWN = {404: "gone", 403: "role", 405: "gone", 413: "large"}
# Headings of what is about something else than the rest of its status.
_OF_REASON = {
    "scope_missing": "role",
    "caller_bound": "bound",
    "foreign_form": "foreign",
    "sandbox_link": "link",
}


def wants_page(request: AnyRequest) -> bool:
    """Whether a person asks, and not a program of an API."""
    path = f"{request.scope['path']}/"
    program = path.startswith(("/api/", "/v1/", "/local/", "/healthz/", "/readyz/", "/static/"))
    return not program and "text/html" in request.headers.get("accept", "")


def told(request: AnyRequest, error: UmsError) -> Response[str]:
    words = Words(language_of(request))
    known = {**_KNOWN, 403: "forbidden"}.get(error.status, "trouble")
    title = words(f"{_OF_REASON.get(error.reason, known)}_title")
    return problem(request, error.status, title, _text(error, words), headers=wait(error))


def _text(error: UmsError, words: Words) -> str:
    """What is wrong, in the words of people rather than of programs."""
    if error.reason == "caller_bound":
        return words("bound_text")
    if error.reason != "scope_missing":
        return error.words(words.language)
    scope = str(error.values["scope"])
    roles = [role for role, held in OF_ROLE.items() if holds(held, scope)]
    joined = words("list_or").join(words(f"role_{role}") for role in roles)
    return words("role_wanted", roles=joined)


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
