"""One request to a receiver: the check of an address, or a batch (ums-spec 5.1, 5.2).

How they prove that they come from here is in `proof`; a batch is always signed as well, as
Standard Webhooks has it. The receiver is a stranger: see `outbound`.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from email.utils import parsedate_to_datetime
from typing import Final

import httpcore
import httpx
import structlog
from msgspec import Struct

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.net.http_client import (
    Headers,
    Unreached,
    exchange,
    header_fields,
    octets,
    parse_url,
    within,
)
from ums.core.net.ssrf_guard import Guard, GuardedNetwork, parse_networks
from ums.core.webhooks.backoff import HOSTED
from ums.errors import Detail

log = structlog.get_logger()
TOTAL_SECONDS = 10.0  # from the look-up of the name to the answer's head
DRAIN_SECONDS = 1.0  # for the rest of an answer whose status is known
MAX_ANSWER: Final = 64 * 1024
PREFIX: Final = "whsec_"


class Reply(Struct, frozen=True):
    """What came back."""

    ok: bool
    status: int  # 0: no answer
    detail: str  # in coarse words; empty when ok
    retry_after: int = 0  # ms
    gone: bool = False  # 410: the receiver wants no more


Work = Callable[[GuardedNetwork], Awaitable[Reply]]


def new_secret() -> str:
    """A secret that signs: 256 bits in base64 behind its mark."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    """The `webhook-signature` of a body sent as `id` at the unix second `at`."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


async def check(system: AppContext, url: httpx.URL, headers: dict[bytes, bytes]) -> Reply:
    """Ask the address to give a random word back, and see that it gives that alone."""
    word = secrets.token_hex(16)
    mark = b"&" if b"?" in url.raw_path else b"?"
    target = url.raw_path + mark + b"echostr=" + word.encode()

    async def work(network: GuardedNetwork) -> Reply:
        async with exchange(network, "GET", url, headers=headers, target=target) as response:
            if response.status != 200:
                return Reply(False, response.status, Detail("web_answered", status=response.status))
            if await _read(response) != word.encode():
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


def signed(id: str, signing: list[str], body: bytes) -> dict[bytes, bytes]:
    """The headers of Standard Webhooks; one signature for each secret that is good."""
    at = clock.now() // clock.SECOND
    marks = " ".join(signature(secret, id, at, body) for secret in signing)
    return {
        b"webhook-id": id.encode(),
        b"webhook-timestamp": str(at).encode(),
        b"webhook-signature": marks.encode(),
    }


def _judged(response: httpcore.Response, schedule: str) -> Reply:
    status = response.status
    ok = status == 200 if schedule == HOSTED else 200 <= status < 300
    if ok:
        return Reply(True, status, "")
    headers = header_fields(response.headers)
    return Reply(
        False, status, Detail("web_answered", status=status), _retry_after(headers), status == 410
    )


def _retry_after(headers: Headers) -> int:
    """ms; 0 where there is no sane one (RFC 9110 section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text) * clock.SECOND
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0
    return max(0, round(until * clock.SECOND) - clock.now())


async def _tried(system: AppContext, url: httpx.URL, seconds: float, work: Work) -> Reply:
    guard = Guard(parse_networks(system.settings.callback_allow, "CALLBACK_ALLOW"))
    try:
        reply = await within(seconds, guard, work)
    except Unreached as error:
        cause = error.__cause__ or error
        reply = Reply(False, 0, Detail("web_tls") if _is_tls(cause) else error.detail)
        log.info("callback_unreached", host=url.host, detail=str(reply.detail), cause=repr(cause))
    return reply


def _is_tls(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


async def _read(response: httpcore.Response) -> bytes:
    """The body, or what is more than it may be."""
    body = bytearray()
    async with aclosing(octets(response)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER:
                break
    return bytes(body)


async def _drain(response: httpcore.Response) -> None:
    """Hear a talkative receiver out, for a moment: hanging up looks like an error to it."""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await _read(response)
