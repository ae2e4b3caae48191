"""One gate for what requests bring: how large a body may be and how long it may take, by route.

Each route belongs to a class of `CLASSES`, by the option `body` of its handler or of the router
it stands in. The gate is the application's outermost middleware: whoever reads the body, by
whatever way, reads through it. What is expensive to take apart is refused or done in a thread, as
the engine shares the loop.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import FormMultiDict
from litestar.enums import RequestEncodingType
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send
from msgspec import Struct

from ums.bounds import LEAST, MOST_ID, is_storable, is_stored
from ums.config import Settings
from ums.errors import Detail, Invalid, Slow, TooLarge

KIB: Final = 1024
UPLOAD_SLOWER = 10.0  # times as long as another body an upload may take
AROUND: Final = 64 * KIB  # what a multipart body is more than its file
MOST_FIELDS: Final = 5_000  # of a form
MOST_OPEN_FIELDS: Final = 32  # of a form that anybody can send
MOST_VALUES: Final = 250_000  # of a JSON text
SMALL: Final = 32 * KIB  # bytes that are taken apart on the loop
STATE: Final = "body"  # where the state of a request has its `Body`

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_KEY: Final = "body"  # the option of a handler
_SUSPECT: Final = re.compile(rb"\\u(0000|[dD][89a-fA-F])|\d{19}")


class Class(Struct, frozen=True):
    """What the bodies of some routes may be. `limit` and `seconds` are told by the settings."""

    limit: Callable[[Settings], int]
    seconds: Callable[[Settings], float]
    fields: int = MOST_FIELDS
    reason: str = "too_large"


def _file(settings: Settings) -> int:
    """The largest of the files that pages and the management API take."""
    largest = max(
        settings.import_limit_bytes, settings.material_limit_bytes, settings.attachments_limit_bytes
    )
    return largest + AROUND


CLASSES: Final[Mapping[str, Class]] = {
    # A page that anybody can send: log-in, second factor, invitation.
    "open": Class(lambda _: 16 * KIB, lambda one: min(15.0, one.body_seconds), MOST_OPEN_FIELDS),
    # A form of a page; one that may hold a mail's or a template's text; one with a file.
    "form": Class(lambda one: min(1024 * KIB, one.body_limit_bytes), lambda one: one.body_seconds),
    "text": Class(lambda one: one.body_limit_bytes, lambda one: one.body_seconds),
    "upload": Class(_file, lambda one: UPLOAD_SLOWER * one.body_seconds),
    # A JSON text of `/v1`, `/api` or `/local`.
    "json": Class(lambda one: one.body_limit_bytes, lambda one: one.body_seconds),
    "events": Class(
        lambda one: min(1024 * KIB, one.body_limit_bytes), lambda one: one.body_seconds
    ),
    "material": Class(
        lambda one: one.material_limit_bytes + AROUND,
        lambda one: one.material_seconds,
        reason="material_large",
    ),
    # A POST or DELETE that reads nothing: whatever comes is passed over.
    "nothing": Class(lambda _: 0, lambda one: one.body_seconds),
}


class Body:
    """The ASGI `receive` of a request: not too large, not too slow, whoever reads it."""

    def __init__(self, receive: Receive, settings: Settings, kind: Class, announced: str) -> None:
        self._receive = receive
        self.kind = kind
        self.limit = kind.limit(settings)
        self._seconds = kind.seconds(settings)
        # Any more of a file's form is around the file.
        self._told = self.limit - (AROUND if kind.reason == "material_large" else 0)
        self._announced = int(announced) if announced.isdigit() and len(announced) < 20 else 0
        self._deadline: float | None = None
        self._size = 0
        self._ended = False
        self.digest: Any = None  # a hash that is fed with all of it

    async def __call__(self) -> HTTPReceiveMessage:
        """The next message. Raises TooLarge, Slow, and Invalid for a body that breaks off."""
        if self._ended:
            return await self._next()  # only the caller's leaving can come yet
        self._count(0)
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            # No fault of ours, and nobody to tell.
            raise Invalid("cut_off")
        part: bytes = message.get("body", b"")
        self._count(len(part))
        if self.digest is not None:
            self.digest.update(part)
        self._ended = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self._size += size
        if max(self._size, self._announced) > self.limit:
            raise TooLarge(self.kind.reason, limit=self._told)

    async def _in_time(self) -> HTTPReceiveMessage:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._next()
        except TimeoutError:
            raise Slow("too_slow", limit=f"{self._seconds:g}") from None

    async def _next(self) -> Any:
        return await self._receive()

    async def drain(self) -> None:
        """Take what the route did not read."""
        while not self._ended:
            await self()


class Gate:
    """The middleware of every route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        handler: Any = scope["route_handler"]
        safe = scope["method"] in _SAFE
        kind = CLASSES["nothing" if safe else handler.opt[_KEY]]
        request: Request[Any, Any, Any] = Request(scope)
        settings: Settings = request.app.state.system.settings
        announced = "" if safe else request.headers.get("content-length", "")
        body = Body(receive, settings, kind, announced)
        scope["state"][STATE] = body
        await self._app(scope, body, send)


class BoundedRequest(Request[Any, Any, Any]):
    """A request whose form and JSON are counted before they are taken apart."""

    async def form(self) -> FormMultiDict:
        kind, options = self.content_type
        if kind == RequestEncodingType.MULTI_PART:
            await self._check_parts(options.get("boundary", ""))
        if kind != RequestEncodingType.URL_ENCODED:
            return await super().form()
        if "form" not in self.state_of_gate():
            text = await self.body()
            self.state_of_gate()["form"] = await fields_of(text, self._most_fields())
        found: list[tuple[str, str]] = self.state_of_gate()["form"]
        return FormMultiDict(found)

    async def _check_parts(self, boundary: str) -> None:
        """Raises TooLarge for more parts than the form may have fields. Those of a file's form are
        counted while they come, by the framework."""
        body: Body | None = self.scope["state"].get(STATE)
        if body is None or body.kind is CLASSES["upload"]:
            return
        most, text = body.kind.fields, await self.body()
        if text.count(b"--" + boundary.encode()) > most + 1:  # the last one ends the form
            raise TooLarge("too_many_fields", limit=most)

    def state_of_gate(self) -> dict[str, Any]:
        """What was read already."""
        return self.scope["state"].setdefault("read", {})

    def _most_fields(self) -> int:
        body: Body | None = self.scope["state"].get(STATE)
        return MOST_FIELDS if body is None else body.kind.fields

    async def json(self) -> Any:
        text = await self.body()
        check_values(text)
        if _SUSPECT.search(text):
            # Seldom, and in a thread: it goes through all of it.
            await asyncio.to_thread(_refuse_unstorable, text)
        return await super().json()


async def fields_of(text: bytes, most: int) -> list[tuple[str, str]]:
    """The fields of a urlencoded form, in order. Raises TooLarge, Invalid."""
    if text.count(b"&") >= most:
        raise TooLarge("too_many_fields", limit=most)
    if len(text) <= SMALL:
        return _fields(text)
    return await asyncio.to_thread(_fields, text)


def _fields(text: bytes) -> list[tuple[str, str]]:
    return parse_qsl(text.decode("latin-1"), keep_blank_values=True, separator="&")


def check_values(text: bytes) -> None:
    """Raises TooLarge for JSON of so many values that taking it apart would hold up all others.

    The time goes with the number of values, not of bytes; and commas, brackets and braces are
    quickly counted, though some may be part of a text.
    """
    if len(text) <= MOST_VALUES:
        return
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MOST_VALUES:
        raise TooLarge("too_many_values", limit=MOST_VALUES)


def _refuse_unstorable(text: bytes) -> None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # whoever decodes it again says what is wrong
    _refuse(value, "body")


def _refuse(value: Any, where: str) -> None:
    """Raises Invalid for what no database keeps: NUL, half characters, and numbers over 64 bits."""
    if isinstance(value, str):
        if not is_storable(value):
            raise Invalid("control_characters", field=where)
    elif isinstance(value, int) and not is_stored(value):
        raise Invalid(
            "misfit", field=where, detail=Detail("whole_number", least=LEAST, most=MOST_ID)
        )
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse(name, where)
            _refuse(inner, name if where == "body" else f"{where}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse(inner, f"{where}[{number}]")


# -- when the application is built --------------------------------------------------------------


def settle(app: Litestar) -> None:
    """Raises RuntimeError for a route that does not say what its bodies may be."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in _SAFE:
                    _settle(f"{method} {route.path}", handler.opt)


def _settle(name: str, options: Mapping[str, Any]) -> None:
    kind = options.get(_KEY)
    if "upload" in options:
        raise RuntimeError(f'{name} takes files: it says so by body="upload"')
    if kind not in CLASSES:
        raise RuntimeError(f"{name} does not say what its body may be (body=...)")
    if options.get("scope") == "open" and kind not in ("open", "nothing"):
        raise RuntimeError(f"{name} is open to anybody, so its body has to be of that class")
