"""Whether who looks at a long answer may go on looking.

The door lets a request in; an answer that takes minutes has to ask again. A session that has
ended, an operator that is disabled or has another role, other channels or a password to change:
each ends the answer, at the next piece of it and within five seconds.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, TypeVar

from ums.console.current_operator import AnyRequest, current
from ums.core.identity import sessions

T = TypeVar("T")
EVERY: Final = 4.0  # seconds


class Watch:
    """The session of one request."""

    def __init__(self, request: AnyRequest) -> None:
        self._system = request.app.state.system
        self._visitor = current(request)
        self._looked = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last look is too long ago."""
        return time.monotonic() - self._looked >= EVERY

    async def is_good(self) -> bool:
        """Whether the session is as it was. Raises Unavailable."""
        self._looked = time.monotonic()
        if self._visitor is None:  # a page that anybody may see
            return True
        return await sessions.again(self._system, self._visitor.signed_in)


async def watched(request: AnyRequest, pieces: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """`pieces` for as long as the visitor may see them; waiting for one is cut off as well."""
    watch = Watch(request)
    async with aclosing(pieces):
        while True:
            piece = await _next(watch, pieces)
            if piece is None or not await watch.is_good():
                return
            yield piece


async def _next(watch: Watch, pieces: AsyncGenerator[T]) -> T | None:
    """The next piece; None after the last, and when it must not be waited for any more."""
    following = asyncio.ensure_future(anext(pieces, None))
    try:
        while not (await asyncio.wait([following], timeout=EVERY))[0]:
            if not await watch.is_good():
                return None
        return await following
    finally:
        if not following.done():
            following.cancel()
            await asyncio.wait([following])
