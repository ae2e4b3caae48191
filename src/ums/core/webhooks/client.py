"""One request to a receiver: the check of an address, or a batch (ums-spec 5.1, 5.2).

How they prove that they come from here is in `signatures`; a batch is always signed as well, as
Standard Webhooks has it. The receiver is a stranger: see `ums.core.net.http_client`.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Final

import httpcore
import httpx
import structlog
from msgspec import Struct

from ums.core.context.app_context import AppContext
from ums.core.net.http_client import (
    Unreached,
    exchange,
    header_fields,
    is_tls,
    parse_url,
    read_start,
    retry_after,
    within,
)
from ums.core.net.ssrf_guard import GuardedNetwork
from ums.core.webhooks.backoff import HOSTED
from ums.errors import Detail

log = structlog.get_logger()
TOTAL_SECONDS = 10.0  # from the look-up of the name to the answer's head
DRAIN_SECONDS = 1.0  # for the rest of an answer whose status is known
MAX_ANSWER: Final = 64 * 1024


class Reply(Struct, frozen=True):
    """What came back."""

    ok: bool
    status: int  # 0: no answer
    detail: str  # in coarse words; empty when ok
    retry_after: int = 0  # ms
    gone: bool = False  # 410: the receiver wants no more


Work = Callable[[GuardedNetwork], Awaitable[Reply]]


async def check(system: AppContext, url: httpx.URL, headers: dict[bytes, bytes]) -> Reply:
    """Ask the address to give a random word back, and see that it gives that alone."""
    word = secrets.token_hex(16)
    mark = b"&" if b"?" in url.raw_path else b"?"
    target = url.raw_path + mark + b"echostr=" + word.encode()

    async def work(network: GuardedNetwork) -> Reply:
        async with exchange(network, "GET", url, headers=headers, target=target) as response:
            if response.status != 200:
                return Reply(False, response.status, Detail("web_answered", status=response.status))
            if await read_start(response, MAX_ANSWER + 1) != word.encode():
                return Reply(False, 200, Detail("web_echo"))
            return Reply(True, 200, "")

    return await _tried(system, url, TOTAL_SECONDS, work)


async def post(
    system: AppContext, url: str, schedule: str, headers: dict[bytes, bytes], body: bytes
) -> Reply:
    """Send a batch; whether it was taken is a matter of the answer's status alone."""
    place = parse_url(url)
    sent = {
        b"Content-Type": b"application/json",
        b"Content-Length": str(len(body)).encode(),
        **headers,
    }

    async def work(network: GuardedNetwork) -> Reply:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(TOTAL_SECONDS):
                made = exchange(network, "POST", place, headers=sent, body=body)
                response = await stack.enter_async_context(made)
            await _drain(response)
            return _judged(response, schedule)

    return await _tried(system, place, TOTAL_SECONDS + 2 * DRAIN_SECONDS, work)


def _judged(response: httpcore.Response, schedule: str) -> Reply:
    status = response.status
    ok = status == 200 if schedule == HOSTED else 200 <= status < 300
    if ok:
        return Reply(True, status, "")
    headers = header_fields(response.headers)
    return Reply(
        False, status, Detail("web_answered", status=status), retry_after(headers), status == 410
    )


async def _tried(system: AppContext, url: httpx.URL, seconds: float, work: Work) -> Reply:
    try:
        reply = await within(seconds, system.webhook_guard(), work)
    except Unreached as error:
        cause = error.__cause__ or error
        reply = Reply(False, 0, Detail("web_tls") if is_tls(cause) else error.detail)
        log.info("callback_unreached", host=url.host, detail=str(reply.detail), cause=repr(cause))
    return reply


async def _drain(response: httpcore.Response) -> None:
    """Hear a talkative receiver out, for a moment: hanging up looks like an error to it."""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await read_start(response, MAX_ANSWER + 1)
