"""An HTTP client that is faster than the server it measures: prepared requests, kept connections.

Run by `processes.measure("client:post", ...)`; the requests of each caller follow each other.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, cast

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_numbers = count()


def _one() -> bytes:
    return _mail([f"a{next(_numbers)}@direct.example"])


def _thousand() -> bytes:
    start = next(_numbers) * 1000
    return _mail([f"a{start + n}@direct.example" for n in range(1000)])


def _users() -> bytes:
    start = next(_numbers) * 1000
    return json.dumps(
        [
            {"userid": f"u{n}", "email": {"all": f"u{n}@users.example"}}
            for n in range(start, start + 1000)
        ]
    ).encode()


def _mail(addresses: list[str]) -> bytes:
    content = {"subject": "Benchmark 测试", "text": "<p>Hello from the benchmark.</p>"}
    return json.dumps({"aud_email": [{"data": addresses}], "msg_email": [content]}).encode()


BODIES = {"one": _one, "thousand": _thousand, "users": _users, "none": lambda: b""}


async def post(
    port: int, path: str, auth: str, body: str, callers: int, seconds: float
) -> dict[str, Any]:
    """Requests per second and their durations (ms); `body` is one of BODIES."""
    method = "POST" if body != "none" else "GET"
    token = base64.b64encode(auth.encode()).decode()
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {token}\r\n"
    loop = asyncio.get_running_loop()
    run = _Run(head.encode(), body, loop.create_future(), seconds)
    for _ in range(callers):
        await loop.create_connection(lambda: _Caller(run), "127.0.0.1", port)
    await asyncio.wait_for(run.over, seconds + 30)
    await asyncio.sleep(0)
    times = sorted(run.times)
    return {
        "rate": len(times) / (time.perf_counter() - run.started),
        "p50": times[len(times) // 2] * 1000,
        "p99": times[len(times) * 99 // 100] * 1000,
        "count": len(times),
    }


class _Run:
    def __init__(
        self, head: bytes, body: str, over: "asyncio.Future[None]", seconds: float
    ) -> None:
        self.over = over
        self.times: list[float] = []
        self.started = time.perf_counter()
        self._end = self.started + seconds
        self._requests = _requests(head, body)

    def next(self) -> bytes | None:
        if time.perf_counter() < self._end:
            return next(self._requests)
        if not self.over.done():
            self.over.set_result(None)
        return None


def _requests(head: bytes, kind: str) -> Iterator[bytes]:
    make = BODIES[kind]
    while True:
        body = make()
        yield head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class _Caller(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run, self._buffer, self._asked = run, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its bases
        self._ask()

    def _ask(self) -> None:
        request = self._run.next()
        self._asked = time.perf_counter()
        if request is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._run.over.set_exception(RuntimeError(self._buffer[:600].decode()))
            self._transport.close()
            return
        self._run.times.append(time.perf_counter() - self._asked)
        self._buffer = b""
        self._ask()
