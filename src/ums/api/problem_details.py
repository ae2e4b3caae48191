"""Errors of the management API: problem details (RFC 9457), whatever the status.

Old callers find `code`, `reason` and `message` in them, as in every other answer.
"""

import re
from http import HTTPStatus
from typing import Annotated, Any

from litestar import Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from msgspec import UNSET, Meta, Struct, UnsetType

from ums.api.responses import Call, answer, language_of
from ums.errors import Invalid, NotFound, UmsError, WrongMethod
from ums.parser_words import retell

MEDIA_TYPE = "application/problem+json"
_CHALLENGE = 'Basic realm="UMS", charset="UTF-8", Bearer realm="UMS"'
_FIELD = re.compile(r"field `([^`]*)`")


class Flaw(Struct, frozen=True):
    """One of several things that are wrong."""

    field: str
    reason: str
    detail: str


class Problem(Struct, frozen=True):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Meta(description="`urn:ums:problem:` and the reason.")]
    title: Annotated[str, Meta(description="The HTTP status in words.")]
    status: int
    detail: Annotated[str, Meta(description="In the language of Accept-Language: en or zh.")]
    code: Annotated[int, Meta(description="The code of /v1 that it goes by.")]
    reason: Annotated[str, Meta(description="A stable word for programs.")]
    message: Annotated[str, Meta(description="The same as detail.")]
    field: Annotated[str | UnsetType, Meta(description="What is wrong in the request.")] = UNSET
    errors: list[Flaw] | UnsetType = UNSET


def tell(request: Call, error: UmsError, flaws: list[Flaw] | UnsetType = UNSET) -> Response[bytes]:
    """The answer that tells `error` in the caller's language."""
    words = error.words(language_of(request))
    field = error.values.get("field")
    problem = Problem(
        type=f"urn:ums:problem:{error.reason}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=words,
        code=error.code,
        reason=error.reason,
        message=words,
        field=field if isinstance(field, str) else UNSET,
        errors=flaws,
    )
    response = answer(problem, error.status)
    response.media_type = MEDIA_TYPE
    if error.status == 401:
        response.headers["WWW-Authenticate"] = _CHALLENGE
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def tell_http(request: Call, error: HTTPException) -> Response[bytes]:
    """The same for what Litestar found: no such route, or values that do not fit."""
    if isinstance(error, MethodNotAllowedException):
        response = tell(request, WrongMethod("wrong_method", method=request.method))
        response.headers["Allow"] = (error.headers or {}).get("allow", "")
        return response
    if isinstance(error, NotFoundException):
        return tell(request, NotFound("not_found"))
    found: object = error.extra
    entries = [_misfit(entry) for entry in found] if isinstance(found, list) else []
    if not entries:
        return tell(request, _unread(request, str(error.detail)))
    language = language_of(request)
    flaws = [Flaw(str(one.values["field"]), one.reason, one.words(language)) for one in entries]
    return tell(request, entries[0], flaws)


def _unread(request: Call, detail: str) -> Invalid:
    handler: Any = request.scope.get("route_handler")
    if handler is not None and handler.opt.get("takes") == "application/json":
        return Invalid("bad_json", detail=retell(detail))
    return Invalid("misfit", field="body", detail=retell(detail))


def _misfit(entry: dict[str, str]) -> Invalid:
    """What one entry of Litestar's list says; msgspec's words name the field in the text."""
    message, key, source = entry.get("message", ""), entry.get("key", ""), entry.get("source")
    if source in ("query", "path", "header"):
        return Invalid("bad_filter", field=key, detail=retell(message))
    if message == f"'{key}'":
        return Invalid("missing", field="body")
    inner = _FIELD.search(message)
    where = "" if key in ("data", "") else key
    if inner is not None:
        field = f"{where}.{inner[1]}" if where else inner[1]
        unknown = "unknown field" in message
        return Invalid("unknown_field" if unknown else "missing", field=field[:80])
    return Invalid("misfit", field=where or "body", detail=retell(message))
