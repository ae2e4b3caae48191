"""A channel's own system that is told: a real HTTP server, as strict as clients' receivers are.

    async with receiving("1234", secret) as receiver:
        receiver.script = [500, RESET]      # the first two POSTs; then as usual
        ...
        assert [record["type"] for record in receiver.told] == [0, 2]

One with a key of "" demands no credentials, as receivers that check the signature. Else, as
ums-spec 7.1, 17 to 20: without Basic auth 401, with wrong one 403; a GET gives its `echostr`
back, 400 without; a POST must be a JSON array; the answer is 200 with an empty body.
"""

import asyncio
import base64
import json
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standardwebhooks import Webhook

from support.flow import until

Write = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = int | bytes | Write | None


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    status: int  # what the receiver thinks of it, whatever it answers

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def records(self) -> list[dict[str, Any]]:
        return json.loads(self.body)


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cut the connection (RST) instead of an answer."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """No answer, for as long as somebody waits."""
    await reader.read()


@dataclass
class Receiver:
    """See the module. Everything may be changed while it runs."""

    key: str
    secret: str
    script: list[Answer] = field(default_factory=list)  # of POSTs; None: as usual
    always: Answer = None  # when the script is used up
    asked: list[Asked] = field(default_factory=list)
    taken: list[Asked] = field(default_factory=list)  # POSTs that were answered with 200
    port: int = 0
    scheme: str = "http"
    any_json: bool = False  # takes what a webhook sender posts, too

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/callback"

    @property
    def posts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]

    @property
    def told(self) -> list[dict[str, Any]]:
        """The records of what it took, each id once: as a receiver keeps them."""
        once = {asked.id: asked for asked in self.taken}
        return [record for asked in once.values() for record in asked.records]

    async def until_told(self, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        async def enough() -> list[dict[str, Any]]:
            return self.told if len(self.told) >= count else []

        return await until(enough, seconds)

    async def until_asked(self, count: int, seconds: float = 20) -> None:
        async def enough() -> bool:
            return len(self.posts) >= count

        await until(enough, seconds)

    def verify(self, asked: Asked, secret: str) -> None:
        """The signature, by Standard Webhooks' own library. Raises WebhookVerificationError."""
        Webhook(secret).verify(asked.body, asked.headers)

    # -- the server ---------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = first.split(" ")
            status, answer = self._judge(method, target, headers, body)
            asked = Asked(method, target, headers, body, status)
            self.asked.append(asked)
            await self._answer(reader, writer, asked, answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: Asked,
        body: bytes,
    ) -> None:
        ours: Answer = None
        if asked.method == "POST":
            ours = self.script.pop(0) if self.script else self.always
        if callable(ours):
            await ours(reader, writer)
            return
        status = ours if isinstance(ours, int) else asked.status
        if isinstance(ours, bytes):
            writer.write(ours)
        else:
            head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(body)}"
            writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        if asked.method == "POST" and status == 200 and not isinstance(ours, bytes):
            self.taken.append(asked)

    def _judge(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        given = headers.get("authorization")
        right = base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()
        if self.key and given is None:
            return 401, b""
        if self.key and given != f"Basic {right}":
            return 403, b""
        if method == "GET":
            words = parse_qs(urlsplit(target).query).get("echostr")
            return (200, words[0].encode()) if words else (400, b"")
        try:
            records = json.loads(body)
        except ValueError:
            return 400, b""
        return (200 if isinstance(records, list) or self.any_json else 400), b""


@asynccontextmanager
async def receiving(
    key: str, secret: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(key, secret, scheme="https" if tls else "http")
    listener = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = listener.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        listener.close()


@contextmanager
def receiving_aside(key: str, secret: str) -> Iterator[Receiver]:
    """The same in a thread of its own, for tests that have no loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receiver")
    thread.start()
    server = receiving(key, secret)

    def do(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        receiver = do(server.__aenter__())
        yield receiver
        do(server.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
