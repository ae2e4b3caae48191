"""Idempotency-Key: the same key from the same caller gives the same answer, done once.

The key is claimed before the body is read, so that an upload is not held in memory to be
compared: what it was is hashed as it passes.
"""

import asyncio
import hashlib
import re
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Request
from litestar.types import ASGIApp, Message, Send

from ums.core.common import idempotency
from ums.core.common.idempotency import RequestKey, StoredResponse
from ums.core.context.app_context import AppContext
from ums.core.identity.principals import Principal
from ums.errors import UmsError
from ums.web.bodies import Body

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
REPLAYED = ("idempotency-replayed", "true")
_KEPT = ("content-type", "etag", "location")


async def once(
    app: ASGIApp, request: Request[Any, Any, Any], body: Body, send: Send, key: str
) -> None:
    """Let `app` answer, or give the answer it gave before. Raises Conflict, Unprocessable."""
    system: AppContext = request.app.state.system
    caller: Principal = request.scope["auth"]
    place = RequestKey(caller.name, key)
    before = await idempotency.claim(system.database, system.seal, place)
    body.digest = _Digest(system, request)
    if before is not None:
        await body.drain()
        await _give(before.repeat(body.digest.hexdigest()), send, REPLAYED)
        return
    try:
        answer = await _answered(app, request, body)
    except BaseException:
        with suppress(UmsError):
            await asyncio.shield(idempotency.release(system.database, place))
        raise
    await _settled(system, place, body, answer)
    for message in answer:
        await send(message)


class _Digest:
    """A hash of method, path, query and body.

    It is keyed, for a body may hold a password, which a plain hash would let be guessed. The
    boundary of a multipart body is left out: clients make up another one each time.
    """

    def __init__(self, system: AppContext, request: Request[Any, Any, Any]) -> None:
        self._hash = hashlib.blake2b(
            _head(request), key=system.seal.derive("answers"), digest_size=32
        )
        found = _BOUNDARY.search(request.headers.get("content-type", ""))
        self._boundary = (found[1] or found[2]).encode("latin-1", "replace") if found else b""
        self._rest = b""  # what may be the beginning of a boundary

    def update(self, part: bytes) -> None:
        if not self._boundary:
            self._hash.update(part)
            return
        text = (self._rest + part).replace(self._boundary, b"")
        keep = min(len(self._boundary) - 1, len(text))
        self._hash.update(text[: len(text) - keep])
        self._rest = text[len(text) - keep :]

    def hexdigest(self) -> str:
        whole = self._hash.copy()
        whole.update(self._rest)
        return whole.hexdigest()


def _head(request: Request[Any, Any, Any]) -> bytes:
    """Method, path and query, the same for whatever order and escapes the query is written in."""
    path = quote(request.scope["path"], errors="surrogateescape")
    query = urlencode(sorted(request.query_params.multi_items()))
    return f"{request.method} {path}{'?' if query else ''}{query}\n".encode()


async def _answered(app: ASGIApp, request: Request[Any, Any, Any], body: Body) -> list[Message]:
    messages: list[Message] = []

    async def catch(message: Message) -> None:
        messages.append(message)

    await app(request.scope, body, catch)
    return messages


async def _settled(
    system: AppContext, place: RequestKey, body: Body, messages: list[Message]
) -> None:
    """Keep the answer of what was done; what failed did nothing and may be tried again."""
    kept = _kept(messages)
    if kept.status >= 400:
        await idempotency.release(system.database, place)
        return
    await body.drain()
    await idempotency.keep(system.database, system.seal, place, body.digest.hexdigest(), kept)


def _kept(messages: list[Any]) -> StoredResponse:
    start = messages[0]
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]
    ]
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return StoredResponse(
        start["status"], [one for one in headers if one[0] in _KEPT], body.decode()
    )


async def _give(answer: StoredResponse, send: Send, *more: tuple[str, str]) -> None:
    body = answer.body.encode()
    length = ("content-length", str(len(body)))
    headers = [
        (name.encode(), value.encode("latin-1")) for name, value in (*answer.headers, length, *more)
    ]
    start: Any = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    end: Any = {"type": "http.response.body", "body": body, "more_body": False}
    await send(end)
