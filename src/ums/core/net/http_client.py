"""One HTTP request to a URL that somebody else chose: attachments and callbacks.

The address is looked up once, judged by `guard` and pinned; redirects are never followed here,
no proxy is used, nothing is decompressed, and each request has a connection of its own.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, TypeVar, cast

import httpcore
import httpx

from ums import __version__, clock, trust
from ums.core.net.ssrf_guard import Denied, Guard, GuardedNetwork
from ums.errors import Detail

T = TypeVar("T")
Headers = dict[str, str]  # in lower case; of several the first

MAX_URL: Final = 2048  # characters
CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 2.0  # a connection that rested longer is not used again: servers close them
# No userinfo, no backslash (which browsers read as a slash), no blank or control anywhere.
_URL: Final = re.compile(r"https?://[^\s/?#@\\]+([/?#]\S*)?", re.IGNORECASE)


class Connection(NamedTuple):
    """An open connection: the stream, and HTTP/1.1 over it."""

    stream: httpcore.AsyncNetworkStream
    http: httpcore.AsyncHTTP11Connection


class Unreached(Exception):
    """There was no answer. The text is in coarse words, so that UMS is of no use as a port
    scanner; the cause is for the log."""

    def __init__(self, detail: Detail) -> None:
        super().__init__(detail)
        self.detail = detail


def parse_url(text: str) -> httpx.URL:
    """A http or https URL without credentials. Raises ValueError."""
    if len(text) > MAX_URL or not _URL.fullmatch(text):
        raise ValueError("not a URL")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    if not url.host or url.userinfo or not 1 <= (80 if url.port is None else url.port) <= 65535:
        raise ValueError("not a URL")
    return url


async def within(seconds: float, guard: Guard, work: Callable[[GuardedNetwork], Awaitable[T]]) -> T:
    """Do `work` on a network that goes where `guard` lets it. Raises Unreached."""
    network = GuardedNetwork(guard)
    try:
        async with asyncio.timeout(seconds):
            return await work(network)
    except Denied as error:
        text = Detail("web_port" if error.port else "web_address")
        raise Unreached(text) from error
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise Unreached(Detail("web_slow")) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        # ValueError: TLS and h11 have views of their own on what a host may look like
        raise Unreached(Detail("web_unreached")) from error
    finally:
        await network.aclose()


@asynccontextmanager
async def exchange(
    network: GuardedNetwork,
    method: str,
    url: httpx.URL,
    *,
    headers: dict[bytes, bytes] | None = None,
    target: bytes = b"",
    body: bytes = b"",
) -> AsyncGenerator[httpcore.Response]:
    """The answer to one request, its body not read yet. `target` goes before the URL's own path
    and query. Raises Denied and httpcore's errors."""
    sent = {b"Connection": b"close", **(headers or {})}
    request = request_to(method, url, headers=sent, target=target, body=body)
    async with httpcore.AsyncHTTPConnection(
        request.url.origin, _context(url), network_backend=network
    ) as connection:
        yield await connection.handle_async_request(request)


async def connect(network: GuardedNetwork, url: httpx.URL) -> Connection:
    """A connection for several requests, one after the other, to the origin of `url`. Raises
    Denied and httpcore's errors."""
    origin = request_to("GET", url).url.origin
    stream = await network.connect_tcp(origin.host.decode(), origin.port, CONNECT_SECONDS)
    context = _context(url)
    if context is not None:
        stream = await stream.start_tls(context, origin.host.decode(), CONNECT_SECONDS)
    return Connection(stream, httpcore.AsyncHTTP11Connection(origin, stream, IDLE_SECONDS))


def request_to(
    method: str,
    url: httpx.URL,
    *,
    headers: dict[bytes, bytes] | None = None,
    target: bytes = b"",
    body: bytes | AsyncIterator[bytes] = b"",
) -> httpcore.Request:
    """A request; of a body that comes in pieces the headers have to name the length."""
    place = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target or url.raw_path
    )
    own = {
        b"Host": url.netloc,
        b"User-Agent": f"UMS/{__version__}".encode(),
        b"Accept": b"*/*",
        b"Accept-Encoding": b"identity",
    }
    return httpcore.Request(
        method,
        place,
        headers=[*(own | (headers or {})).items()],
        content=body,
        extensions={"timeout": {"connect": CONNECT_SECONDS}},
    )


def basic(user: str, password: str) -> dict[bytes, bytes]:
    """The header of Basic credentials (RFC 7617)."""
    return {b"Authorization": b"Basic " + base64.b64encode(f"{user}:{password}".encode())}


def _context(url: httpx.URL) -> ssl.SSLContext | None:
    return trust.context() if url.scheme == "https" else None


async def octets(response: httpcore.Response) -> AsyncGenerator[bytes]:
    """The body, piece by piece as it comes."""
    # Its declared type hides that it can be closed, which must not wait for the collector.
    stream = cast(AsyncGenerator[bytes, None], response.aiter_stream())
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            yield chunk
            # Chunks of one byte come by the thousand without a wait; others want to run too.
            await asyncio.sleep(0)


async def read_start(response: httpcore.Response, most: int) -> bytes:
    """The body up to `most` octets or a little more; what comes after them is not read."""
    body = bytearray()
    async with aclosing(octets(response)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= most:
                break
    return bytes(body)


def retry_after(headers: Headers) -> int:
    """The ms of `Retry-After`; 0 where there is no sane one (RFC 9110 section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text) * clock.SECOND
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0
    return max(0, round(until * clock.SECOND) - clock.now())


def is_tls(error: BaseException) -> bool:
    """Whether TLS is what failed."""
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


def header_fields(raw: Sequence[tuple[bytes, bytes]]) -> Headers:
    headers: Headers = {}
    for name, value in raw:
        headers.setdefault(name.decode("ascii").lower(), _text(value))
    return headers


def _text(raw: bytes) -> str:
    """Many servers send UTF-8 where only ASCII is defined (RFC 9110 section 5.5)."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
