"""The web server alone, around an application of a few lines, and clients of bare sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from ums.config import Settings
from ums.web import server as web

SECONDS = 30  # for anything that must happen
HELLO = b"GET / HTTP/1.1\r\nHost: ums.example\r\n\r\n"


class Echo:
    """An application that answers with what it saw, and remembers the paths it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hold: dict[str, asyncio.Event] = {}  # a path whose answer waits

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.asked.append(f"{scope['method']} {scope['path']}")
        if scope["path"] in self.hold:
            await self.hold[scope["path"]].wait()
        size, more = 0, scope["method"] == "POST"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        seen = {
            "client": scope["client"][0],
            "scheme": scope["scheme"],
            "headers": [
                [name.decode(), value.decode("latin-1")] for name, value in scope["headers"]
            ],
            "proxied": scope["state"]["proxied"],
            "size": size,
        }
        body = json.dumps(seen).encode()
        head: list[Any] = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


class Wire:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer; (0, b"") when the connection ends without one."""
        async with asyncio.timeout(SECONDS):
            try:
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return int(head.split(" ")[1]), await self.reader.readexactly(length)

    async def ended(self) -> bool:
        """Wait for the end; whether nothing came before it."""
        async with asyncio.timeout(SECONDS):
            try:
                return not await self.reader.read()
            except ConnectionError:
                return True


class Serving:
    """A server that runs."""

    def __init__(self, app: Echo, port: int, config: web.Config) -> None:
        self.app, self.port, self.config = app, port, config
        self._open: list[asyncio.StreamWriter] = []

    async def wire(self, source: str = "127.0.0.1") -> Wire:
        """A connection from an address of this machine."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(source, 0)
        )
        self._open.append(writer)
        return Wire(reader, writer)

    async def get(self, **headers: str) -> dict[str, Any]:
        """What the application sees of a request with these headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/", headers=named)
        return answer.json()

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not check():
                await asyncio.sleep(0.005)  # the server tells nobody of its connections

    def hang_up(self) -> None:
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def serving(settings: Settings | None = None) -> AsyncIterator[Serving]:
    """The server of `settings` on a free port."""
    app = Echo()
    config = web.config(app, settings or Settings())
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    protocol: Any = config.http_protocol_class
    listener = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    running = Serving(app, listener.sockets[0].getsockname()[1], config)
    try:
        yield running
    finally:
        running.hang_up()
        listener.close()
        for connection in list(state.connections):
            connection.shutdown()
