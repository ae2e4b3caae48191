"""A local web server of fixed answers, and what the tests of `fetch` share."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ums.config import Settings
from ums.core.content.attachment_fetcher import fetch_files
from ums.errors import Invalid
from ums.mail.mime.builder import File

SETTINGS = Settings(fetch_allow="127.0.0.1/32", fetch_seconds=30.0, attachments_limit_bytes=1000)
Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answer = bytes | Write
Resolver = dict[str, list[list[str]]]


class Server:
    """An HTTP server of fixed answers, that remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.connects = 0
        self.requests: list[list[str]] = []
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def add(self, path: str, body: bytes = b"data", *headers: str, status: str = "200 OK") -> str:
        """Answer `body` under `path`; the URL."""
        head = [f"HTTP/1.1 {status}", *headers]
        if not any(line.lower().startswith(("content-length", "transfer")) for line in headers):
            head.append(f"Content-Length: {len(body)}")
        self.answers[path] = "\r\n".join([*head, "", ""]).encode() + body
        return self.url(path)

    def redirect(self, path: str, to: str, status: str = "302 Found") -> str:
        return self.add(path, b"", f"Location: {to}", status=status)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            self.requests.append(lines)
            answer = self.answers[lines[0].split(" ")[1]]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


async def one(url: str, settings: Settings = SETTINGS) -> File:
    [file] = await fetch_files([url], settings)
    return file


async def refusal(url: str, settings: Settings = SETTINGS) -> str:
    with pytest.raises(Invalid) as refused:
        await fetch_files([url], settings)
    assert (refused.value.status, refused.value.code) == (400, 4004)
    assert refused.value.reason == "file_refused"
    assert refused.value.values["field"] == "msg_email[0].files[0]"
    return str(refused.value.values["detail"])
