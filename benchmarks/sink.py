"""A mail server that takes everything as fast as it can, in a process of its own.

    python -m benchmarks.sink [round trip in seconds]

It prints its port. With a round trip every octet is looked at that much later, as if the server
stood far away: commands written together share one round trip, as on a real link.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import uvloop

_FEATURES = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n"
_ANSWERS = {b"EHLO": _FEATURES, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
_END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    def __init__(self, round_trip: float) -> None:
        self._round_trip = round_trip
        self._under_way: deque[bytes] = deque()
        self._line = b""  # an unfinished command
        self._tail = b""  # the body's last octets, in which its end may have begun
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its bases
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if not self._round_trip:
            self._look(data)
            return
        self._under_way.append(data)
        asyncio.get_running_loop().call_later(self._round_trip, self._arrive)

    def _arrive(self) -> None:
        if not self._transport.is_closing():
            self._look(self._under_way.popleft())

    def _look(self, data: bytes) -> None:
        out: list[bytes] = []
        while data:
            data = self._body(data, out) if self._in_body else self._command(data, out)
        if out:
            self._transport.write(b"".join(out))

    def _command(self, data: bytes, out: list[bytes]) -> bytes:
        line, end, rest = (self._line + data).partition(b"\r\n")
        if not end:
            self._line = line
            return b""
        self._line = b""
        verb = line[:4].upper()
        self._in_body, self._tail = verb == b"DATA", b"\r\n"
        out.append(_ANSWERS.get(verb, b"250 2.0.0 Ok\r\n"))
        return rest

    def _body(self, data: bytes, out: list[bytes]) -> bytes:
        whole = self._tail + data
        end = whole.find(_END)
        if end < 0:
            self._tail = whole[-4:]
            return b""
        self._in_body = False
        out.append(b"250 2.0.0 taken\r\n")
        return whole[end + len(_END) :]


async def main(round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(round_trip), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
