"""Parts of pages that change while one looks: server-sent events with the HTML of the part.

The page holds the part as it was when it was made, with `data-live` naming its stream, so it
reads the same without scripts. `live.ts` asks for the stream while the tab is seen.

A stream ends as soon as its visitor's session does, or when the operator gets other rights
(console.stream_guard).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final

from litestar.response import ServerSentEvent, ServerSentEventMessage

from ums.console.current_operator import AnyRequest
from ums.console.rendering import PAGE_HEADERS
from ums.console.stream_guard import Watch
from ums.errors import Busy, UmsError

EVERY: Final = 1.0  # seconds between two looks
LONGEST: Final = 600  # looks of one stream: the browser then comes again, through the door
MOST: Final = 500  # streams of one process

Look = Callable[[], Awaitable[tuple[str, bool]]]
"""The HTML of the part, and whether it will not change any more."""


def live(request: AnyRequest, look: Look) -> ServerSentEvent:
    """Events `part` where the HTML has changed, `end` after the last. Raises Busy."""
    if request.app.state.setdefault("live", 0) >= MOST:
        raise Busy("busy")
    headers = {**PAGE_HEADERS, "X-Accel-Buffering": "no"}
    return ServerSentEvent(_events(request, look), headers=headers)


async def _events(request: AnyRequest, look: Look) -> AsyncGenerator[ServerSentEventMessage]:
    request.app.state["live"] += 1
    try:
        async for event in _told(look, Watch(request)):
            yield event
    finally:
        request.app.state["live"] -= 1


async def _told(look: Look, watch: Watch) -> AsyncGenerator[ServerSentEventMessage]:
    seen = ""
    for number in range(LONGEST):
        with suppress(UmsError):  # the database is away: it is looked at again
            html, over = await look()
            if (html != seen or over or watch.is_due) and not await watch.is_good():
                return
            if html != seen:
                yield ServerSentEventMessage(event="part", data=html)
                seen = html
            elif number % 15 == 14:
                yield ServerSentEventMessage(comment="still here")
            if over:
                yield ServerSentEventMessage(event="end", data="")
                return
        await asyncio.sleep(EVERY)
