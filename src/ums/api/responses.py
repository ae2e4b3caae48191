"""How the API answers: always a JSON object, whatever the status (ums-spec 3.1)."""

from typing import Any

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)

from ums.core.common.locale import preferred
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.errors import Broken, Detail, Invalid, NotFound, TooLarge, UmsError, WrongMethod
from ums.parser_words import retell
from ums.web.bodies import check_values

log = structlog.get_logger()
Call = Request[Any, Any, Any]
_encoder = msgspec.json.Encoder()


def answer(content: object, status: int = 200) -> Response[bytes]:
    return Response(_encoder.encode(content), status_code=status, media_type=MediaType.JSON)


def system_of(request: Call) -> AppContext:
    return request.app.state.system


def intake_of(request: Call) -> Intake:
    return request.app.state.intake


def language_of(request: Call) -> str:
    """The language of ours that the caller prefers."""
    return preferred(request.headers.get("accept-language", ""))


async def body_of(request: Call) -> bytes:
    """The body as it came. Raises TooLarge, also for one that is too laborious to read."""
    body = await request.body()
    check_values(body)
    return body


def json_of(body: bytes) -> Any:
    """The body's JSON, whatever its content type says. Raises Invalid."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("bad_json", detail=retell(str(error))) from None
    except RecursionError:
        raise Invalid("bad_json", detail=Detail("deeply_nested")) from None


def failed(request: Call, error: UmsError) -> Response[bytes]:
    """The answer that tells `error` in the caller's language."""
    content: dict[str, object] = {
        "code": error.code,
        "message": error.words(language_of(request)),
        "reason": error.reason,
    }
    if request.scope["path"].startswith("/v1/user/"):
        content["data"] = ""  # clients of user management read it as a string then (3.10)
    response = answer(content, error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="UMS", charset="UTF-8"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def own(request: Call, error: UmsError) -> Response[bytes]:
    return failed(request, error)


def http(request: Call, error: HTTPException) -> Response[bytes]:
    if isinstance(error, MethodNotAllowedException):
        response = failed(request, WrongMethod("wrong_method", method=request.method))
        response.headers["Allow"] = (error.headers or {})["allow"]
        return response
    if isinstance(error, NotFoundException):
        return failed(request, NotFound("not_found"))
    if error.status_code == 413:
        limit = system_of(request).settings.body_limit_bytes
        return failed(request, TooLarge("too_large", limit=limit))
    if isinstance(error, ClientException) or error.status_code < 500:
        return failed(request, Invalid("misfit", field="request", detail=retell(str(error.detail))))
    return unexpected(request, error)


def unexpected(request: Call, error: Exception) -> Response[bytes]:
    # The path and the error's kind, never the body: it may hold addresses or texts.
    log.error("request failed", path=request.scope["path"], exc_info=error)
    return failed(request, Broken("broken"))
