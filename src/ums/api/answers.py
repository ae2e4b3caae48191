"""How the API answers: always a JSON object, whatever the status (ums-spec 3.1)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)

from ums.core.languages import preferred
from ums.core.messages import Intake
from ums.core.system import System
from ums.errors import Broken, Invalid, NotFound, TooLarge, UmsError, WrongMethod

log = structlog.get_logger()
Call = Request[Any, Any, Any]
_encoder = msgspec.json.Encoder()


def answer(content: object, status: int = 200) -> Response[bytes]:
    return Response(_encoder.encode(content), status_code=status, media_type=MediaType.JSON)


def system_of(request: Call) -> System:
    return request.app.state.system


def intake_of(request: Call) -> Intake:
    return request.app.state.intake


def language_of(request: Call) -> str:
    """The language of ours that the caller prefers."""
    return preferred(request.headers.get("accept-language", ""))


async def body_of(request: Call) -> bytes:
    """The body as it came. Raises TooLarge as soon as it is over the limit."""
    settings = system_of(request).settings
    too_large = TooLarge("too_large", limit=settings.body_limit)
    pieces = pieces_of(request, settings.body_limit, settings.body_seconds, too_large)
    return b"".join([piece async for piece in pieces])


async def pieces_of(
    request: Call, limit: int, seconds: float, too_large: TooLarge
) -> AsyncIterator[bytes]:
    """The body in pieces, as they come: at most `limit` bytes (else `too_large` is raised), all
    of them within `seconds`."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    size, deadline = 0, asyncio.get_running_loop().time() + seconds
    stream = request.stream()
    while True:
        try:
            # A caller who announces a body and sends none must not hold us for ever.
            async with asyncio.timeout_at(deadline):
                piece = await anext(stream, None)
        except TimeoutError:
            raise Invalid("too_slow", limit=f"{seconds:g}") from None
        except InternalServerException:
            # The caller hung up: no fault of ours, and nobody to tell.
            raise Invalid("cut_off") from None
        if piece is None:
            return
        size += len(piece)
        if size > limit:
            raise too_large
        yield piece


def json_of(body: bytes) -> Any:
    """The body's JSON, whatever its content type says. Raises Invalid."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("bad_json", detail=str(error)) from None
    except RecursionError:
        raise Invalid("bad_json", detail="too deeply nested") from None


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
    if error.status in (429, 503):
        response.headers["Retry-After"] = "1"
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
        limit = system_of(request).settings.body_limit
        return failed(request, TooLarge("too_large", limit=limit))
    if isinstance(error, ClientException) or error.status_code < 500:
        return failed(request, Invalid("misfit", field="request", detail=str(error.detail)))
    return unexpected(request, error)


def unexpected(request: Call, error: Exception) -> Response[bytes]:
    # The path and the error's kind, never the body: it may hold addresses or texts.
    log.error("request failed", path=request.scope["path"], exc_info=error)
    return failed(request, Broken("broken"))
