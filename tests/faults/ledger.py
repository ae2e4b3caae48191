"""A mail server that keeps a ledger: each mail is written down the moment its dot is read, before
the answer. What stands in it has been delivered, whatever the sender believes.

    with Ledger() as ledger:
        ...  # an engine of another process sends to 127.0.0.1:ledger.port
        ledger.wait_for(1)
        assert ledger.entries[0].address == "a@example.org"

It runs in a thread of its own and takes mail as fast as the engine sends it, unless told to `hold`.
"""

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)
_FEATURES = b"250-ledger.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n"
_END = b"\r\n.\r\n"


class Entry(NamedTuple):
    message_id: str
    address: str


class Ledger:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.times: list[float] = []  # by the steady clock, of each entry
        self._open: set[asyncio.Transport] = set()
        self.hold = 0.0  # seconds between a mail's entry and the answer to its dot
        self.refuses: Callable[[str], bool] = lambda _address: False  # recipients, for good
        self.port = 0
        self._grown = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ledger")

    def __enter__(self) -> Self:
        self._thread.start()
        listening = self._loop.create_server(lambda: _Dialogue(self), "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def write_down(self, entry: Entry) -> None:
        with self._grown:
            self.entries.append(entry)
            self.times.append(time.monotonic())
            self._grown.notify_all()

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)

    def hang_up(self) -> None:
        """End all connections, whatever they are at."""
        self._loop.call_soon_threadsafe(lambda: [one.abort() for one in self._open])

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until it holds `count` entries; raises TimeoutError."""
        with self._grown:
            if not self._grown.wait_for(lambda: len(self.entries) >= count, seconds):
                raise TimeoutError(f"{len(self.entries)} of {count} mails within {seconds} s")

    def wait_for_next(self) -> float:
        """Wait until it holds one entry more; how many seconds that took. Raises TimeoutError."""
        began = time.monotonic()
        self.wait_for(len(self.entries) + 1)
        return time.monotonic() - began


class _Dialogue(asyncio.Protocol):
    """One connection. While an answer is held back, nothing behind it is read either."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._buffer = b""
        self._in_body = False
        self._address = ""
        self._refused = False
        self._held = False
        self._out: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ledger.opened(transport)
        transport.write(b"220 ledger.example ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._ledger.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._held and (self._take_body() if self._in_body else self._take_command()):
            pass
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _take_command(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._address = line[line.index(b"<") + 1 : line.index(b">")].decode()
            self._refused = self._ledger.refuses(self._address)
        self._in_body = verb == b"DATA" and not self._refused
        answers = {b"EHLO": _FEATURES, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
        if self._refused and verb in (b"RCPT", b"DATA"):
            answers |= {b"RCPT": b"550 5.1.1 nobody\r\n", b"DATA": b"503 5.5.1 nobody\r\n"}
        self._out.append(answers.get(verb, b"250 2.0.0 Ok\r\n"))
        return True

    def _take_body(self) -> bool:
        # An empty body would end at once; the engine never sends one.
        body, end, rest = self._buffer.partition(_END)
        if not end:
            return False
        self._buffer, self._in_body = rest, False
        found = _MESSAGE_ID.search(body)
        self._ledger.write_down(Entry(found[1].decode() if found else "", self._address))
        if self._ledger.hold:
            self._held = True
            asyncio.get_running_loop().call_later(self._ledger.hold, self._answer)
        else:
            self._out.append(b"250 2.0.0 taken\r\n")
        return True

    def _answer(self) -> None:
        self._held = False
        self._out.append(b"250 2.0.0 taken\r\n")
        if not self._transport.is_closing():
            self._go_on()
