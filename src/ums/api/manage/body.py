"""A request's body on its way in: not too large, not too slow, and what it was."""

import asyncio
import re
import time
from typing import Any

from litestar import Request
from litestar.types import HTTPReceiveMessage, Receive

from ums.bounds import STORED, is_stored
from ums.config import Settings
from ums.errors import Invalid, TooLarge

UPLOAD_EXTRA = 64 * 1024  # what a multipart body is more than its file
UPLOAD_SLOWER = 10  # times as long as another body an upload may take
_SUSPECT = re.compile(rb"\\u(0000|[dD][89a-fA-F])|\d{19}")


class Body:
    """The ASGI `receive` of a request."""

    def __init__(self, receive: Receive, settings: Settings, *, upload: bool) -> None:
        self._receive = receive
        largest = max(settings.import_size, settings.material_limit)
        self.limit = largest + UPLOAD_EXTRA if upload else settings.body_limit
        self._seconds = settings.body_seconds * (UPLOAD_SLOWER if upload else 1)
        self._deadline = time.monotonic() + self._seconds
        self._size = 0
        self._ended = False
        self.digest: Any = None  # a hash that is fed with all of it

    async def __call__(self) -> HTTPReceiveMessage:
        """The next message. Raises TooLarge, and Invalid for a body that does not arrive."""
        if self._ended:
            return await self._next()  # only the caller's leaving can come yet
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            # No fault of ours, and nobody to tell.
            raise Invalid("cut_off")
        part: bytes = message.get("body", b"")
        self._size += len(part)
        if self._size > self.limit:
            raise TooLarge("too_large", limit=self.limit)
        if self.digest is not None:
            self.digest.update(part)
        self._ended = not message.get("more_body", False)
        return message

    async def _in_time(self) -> HTTPReceiveMessage:
        try:
            async with asyncio.timeout(max(self._deadline - time.monotonic(), 0)):
                return await self._next()
        except TimeoutError:
            raise Invalid("too_slow", limit=f"{self._seconds:g}") from None

    async def _next(self) -> Any:
        return await self._receive()

    async def drain(self) -> None:
        """Take what the route did not read."""
        while not self._ended:
            await self()


class Call(Request[Any, Any, Any]):
    """A request whose JSON holds only what a database can: no NUL, no half characters, no whole
    number beyond 64 bits."""

    async def json(self) -> Any:
        if _SUSPECT.search(await self.body()):
            _refuse(await super().json(), "body")
        return await super().json()


def _refuse(value: Any, where: str) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise Invalid("control_characters", field=where)
    elif isinstance(value, int) and not is_stored(value):
        raise Invalid("misfit", field=where, detail=STORED)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse(name, where)
            _refuse(inner, name if where == "body" else f"{where}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse(inner, f"{where}[{number}]")
