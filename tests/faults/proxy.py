"""A TCP proxy that spoils what passes through it: for SMTP, and for PostgreSQL.

    with Proxy(ledger.port) as proxy:
        proxy.spoil = Reset(after=200)   # of each connection, until it is set to something else

A spoiler sees each piece on its way and says what becomes of it.
"""

import asyncio
import copy
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator
from typing import Self

TO_SERVER, TO_CLIENT = "to server", "to client"


class CutError(Exception):
    """The connection ends here, with a reset."""


class HalfCloseError(Exception):
    """This direction ends, in order; the other goes on."""


class Spoiler:
    """Lets everything pass."""

    async def pass_on(self, piece: bytes, direction: str, so_far: int) -> AsyncIterator[bytes]:
        """What is passed on of `piece`; `so_far` octets went this way before it."""
        yield piece


class Reset(Spoiler):
    """A reset after so many octets to the server, in the middle of a piece if need be."""

    def __init__(self, after: int) -> None:
        self.after = after

    async def pass_on(self, piece: bytes, direction: str, so_far: int) -> AsyncIterator[bytes]:
        if direction == TO_SERVER and so_far + len(piece) > self.after:
            yield piece[: max(self.after - so_far, 0)]
            raise CutError
        yield piece


class ResetAt(Spoiler):
    """A reset behind a pattern on its way to the server: all of it arrives, no answer does."""

    def __init__(self, pattern: bytes) -> None:
        self.pattern = pattern
        self._before = b""

    async def pass_on(self, piece: bytes, direction: str, so_far: int) -> AsyncIterator[bytes]:
        yield piece
        if direction == TO_SERVER:
            seen = self._before + piece
            self._before = seen[-len(self.pattern) + 1 :]
            if self.pattern in seen:
                await asyncio.sleep(0.02)  # the server has read it
                raise CutError


class Slow(Spoiler):
    """Pieces of a few octets, each after a moment."""

    def __init__(self, octets: int, seconds: float) -> None:
        self.octets, self.seconds = octets, seconds

    async def pass_on(self, piece: bytes, direction: str, so_far: int) -> AsyncIterator[bytes]:
        for start in range(0, len(piece), self.octets):
            await asyncio.sleep(self.seconds)
            yield piece[start : start + self.octets]


class HalfClose(Spoiler):
    """The server's side is closed in order after so many octets."""

    def __init__(self, after: int) -> None:
        self.after = after

    async def pass_on(self, piece: bytes, direction: str, so_far: int) -> AsyncIterator[bytes]:
        if direction == TO_CLIENT and so_far + len(piece) > self.after:
            yield piece[: max(self.after - so_far, 0)]
            raise HalfCloseError
        yield piece


class Proxy:
    """In front of a port of this machine, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.spoil = Spoiler()
        self.swallow = False  # what servers say on every line, while it is set
        self.spoiled = 0  # connections that were cut or half-closed
        self.carried = 0  # connections
        self.port = 0
        self._behind = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._carry, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many connections have come."""
        deadline = time.monotonic() + seconds
        while self.carried < count:
            assert time.monotonic() < deadline, f"{self.carried} connections in {seconds} s"
            time.sleep(0.01)

    def cut_all(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(lambda: [_reset(one) for one in self._open])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        self._open |= {writer, behind_writer}
        self.carried += 1
        try:
            await asyncio.gather(
                self._pump(reader, behind_writer, TO_SERVER),
                self._pump(behind_reader, writer, TO_CLIENT),
            )
        except (CutError, ConnectionError):
            self.spoiled += 1
            for one in (writer, behind_writer):
                _reset(one)
        finally:
            self._open -= {writer, behind_writer}
            for one in (writer, behind_writer):
                one.close()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, direction: str
    ) -> None:
        # Of this connection, whatever comes later; some remember what passed.
        so_far, spoil = 0, copy.copy(self.spoil)
        try:
            while piece := await source.read(65536):
                if self.swallow and direction == TO_CLIENT:
                    continue
                async for part in spoil.pass_on(piece, direction, so_far):
                    target.write(part)
                    await target.drain()
                so_far += len(piece)
        except HalfCloseError:
            self.spoiled += 1
        if target.can_write_eof():
            target.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    plain = writer.get_extra_info("socket")
    if isinstance(plain, asyncio.trsock.TransportSocket):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
