"""The web server: uvicorn, with deadlines and limits of what a client may make it wait for.

What is no HTTP, comes too slowly or is too much is answered as JSON, as every other error of the
API is (`refusals`): clients read each body so, whatever the status (ums-spec 7.1, item 11).
"""

import asyncio
from typing import Any, Final

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ums.config import Settings
from ums.errors import HeadTooLarge, Invalid, Slow, UmsError, Unavailable
from ums.web.connections import Census, Stage
from ums.web.edge import Edge, usual_headers
from ums.web.proxies import Proxies, is_host
from ums.web.refusals import write_refusal

HEAD_LIMIT: Final = 32 * 1024  # bytes of a request's head, its line included
HEADERS_LIMIT: Final = 100
URL_LIMIT: Final = 8 * 1024
OPEN_BODY: Final = 512 * 1024
"""Bytes of a body after which a handler has surely taken some: more than the largest body that
anybody may send, and than what is read ahead of a handler."""
LINGER: Final = 5.0  # seconds for the rest of a body that nobody reads any more
STALL: Final = 60.0  # seconds for which a client may take nothing of its answer


class Config(uvicorn.Config):
    """uvicorn's configuration, with what all connections share."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        proxies = Proxies(settings)
        self.http_head_seconds = settings.http_head_seconds
        self.census = Census(settings, proxies)
        self.usual_headers = usual_headers(settings)
        super().__init__(
            Edge(app, settings, proxies),  # type: ignore[arg-type]  (uvicorn's own types of ASGI)
            loop="uvloop",
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # ours tells which proxies are believed
            timeout_graceful_shutdown=3,
        )


def config(app: ASGIApp, settings: Settings) -> Config:
    """How `app` is served. Raises SettingsError."""
    return Config(app, settings)


class Protocol(HttpToolsProtocol):
    """A connection. A head has to be whole within `http_head_seconds`, however slowly it comes."""

    config: Config

    def __init__(self, config: Config, *more: Any, **named: Any) -> None:
        super().__init__(config, *more, **named)
        self._census = config.census
        self._head_size = self._around = 0  # bytes of a head; of a body's chunks and trailers
        self._body_size = 0
        self._in_head = self._working = self._body_done = False
        self._deadline: asyncio.TimerHandle | None = None  # of the head, or of the body's rest
        self._stall: asyncio.TimerHandle | None = None
        self._refused: UmsError | None = None
        self._finishing = False  # the answer is out, and was the last

    # -- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._census.enter(self, self.client[0] if self.client else ""):
            self._expect_head()
        else:
            self._tell(Unavailable("too_many_connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._census.leave(self)
        self._set_deadline(None)
        self.resume_writing()
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close for another connection: a part of a request is refused, an idle one just ends."""
        cycle: Any = self.cycle
        if self._in_head or (cycle is not None and not cycle.response_complete):
            self._tell(Unavailable("too_many_connections"))
        else:
            self.transport.close()

    def _stage(self) -> Stage:
        cycle: Any = self.cycle  # of the last head that was whole
        if cycle is None or cycle.response_complete:
            rest = self._in_head or (cycle is not None and not self._body_done)
            return Stage.HEAD if rest else Stage.IDLE
        if self._body_done or self._in_head or self.pipeline:
            return Stage.WORK  # the last two: one that was whole before it is being answered
        return Stage.BODY if self._body_size <= OPEN_BODY else Stage.LARGE

    def _report(self) -> None:
        self._census.stands(self, self._stage())

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._working:
            self._around += len(data)
        else:
            self._head_size += len(data)
            self._expect_head()
        super().data_received(data)
        size = self._around if self._working else self._head_size
        if size > HEAD_LIMIT and not self.transport.is_closing():
            self._tell(HeadTooLarge("head_too_large"))

    # -- deadlines

    def _set_deadline(self, handle: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = handle

    def _expect_head(self) -> None:
        if self._deadline is None:
            seconds = self.config.http_head_seconds
            self._set_deadline(self.loop.call_later(seconds, self._late))

    def _late(self) -> None:
        if self.transport.is_closing():
            return
        if self._head_size:
            self._tell(Slow("head_too_slow", limit=f"{self.config.http_head_seconds:g}"))
        else:
            self.transport.close()  # nothing was asked

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(STALL, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        super().resume_writing()

    # -- a request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._body_done = True, False
        self._report()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_LIMIT:
            self._refuse(HeadTooLarge("head_too_large"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nobody reads it, and a field of the head it must not become
        super().on_header(name, value)
        if len(self.headers) > HEADERS_LIMIT:
            self._refuse(HeadTooLarge("head_too_large"))

    def on_headers_complete(self) -> None:
        self._check_head()
        self._in_head, self._working = False, True
        self._head_size = self._around = self._body_size = 0
        self._set_deadline(None)
        super().on_headers_complete()
        cycle: Any = self.cycle
        cycle.transport = _Lingering(self, self.transport)
        self._report()

    def _check_head(self) -> None:
        """RFC 9112 3.2: one Host, which is one; and no head that is too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_LIMIT:
            self._refuse(HeadTooLarge("head_too_large"))
        hosts = [value.decode("latin-1") for name, value in self.headers if name == b"host"]
        parser: Any = self.parser
        needed = parser.get_http_version() == "1.1"
        if len(hosts) > 1 or (needed and not hosts) or not all(map(is_host, hosts)):
            self._refuse(Invalid("bad_http"))

    def _refuse(self, error: UmsError) -> None:
        """End the parsing; `send_400_response` then tells `error`."""
        self._refused = error
        raise ValueError(error.reason)

    def on_body(self, body: bytes) -> None:
        # A chunk of one byte is six; more around it than that is no way to send a body.
        self._around = max(self._around - 8 * len(body), 0)
        super().on_body(body)
        self._body_size += len(body)
        self._report()

    def on_message_complete(self) -> None:
        self._body_done = True
        super().on_message_complete()
        self._report()
        cycle: Any = self.cycle  # None before the first
        if self._finishing:
            self.transport.close()
        elif cycle is not None and cycle.response_complete:
            self._rest()

    def on_response_complete(self) -> None:
        more = bool(self.pipeline)
        super().on_response_complete()
        self._report()
        if more or self._finishing or self.transport.is_closing():
            return
        if self._body_done:
            self._rest()
        else:
            self._set_deadline(self.loop.call_later(LINGER, self.transport.close))

    def finish(self) -> None:
        """Close after an answer. Where a part of the body is still to come it is read and thrown
        away for some seconds: a closed socket would reset the connection, and the client would
        never see why."""
        if self._body_done or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._finishing = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._set_deadline(self.loop.call_later(LINGER, self.transport.close))

    def _rest(self) -> None:
        """Nothing is under way until the next head begins."""
        self._working = False
        self._set_deadline(None)

    # -- refusals

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's own words)
        self._tell(self._refused or Invalid("bad_http"))

    def _tell(self, error: UmsError) -> None:
        """Answer `error` unless another answer has begun, and close."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            usual = self.config.usual_headers
            self.transport.write(write_refusal(error, self._asked(), usual))
        self.transport.close()

    def _asked(self) -> bytes:
        """The target of the request that came last, as far as it came."""
        return getattr(self, "url", b"")  # there is none before the first


class _Lingering:
    """The transport as an answer sees it: closed with care."""

    def __init__(self, protocol: Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self.write, self.is_closing = transport.write, transport.is_closing

    def close(self) -> None:
        self._protocol.finish()
