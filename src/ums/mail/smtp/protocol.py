"""The connection below an SMTP session: bytes out, whole replies in, one deadline at a time."""

import asyncio
from collections import deque
from typing import Final, cast

from ums.mail.outcomes import Reply, Stage
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind
from ums.mail.smtp.reply_parser import ReplyParser

_SLOWEST: Final = 8_192  # octets per second below which a server that reads our body is given up
_CLOSING: Final = 421  # "closing transmission channel": the server's last word at any stage


class SmtpProtocol(asyncio.Protocol):
    """Pairs replies with commands by counting: each write says how many replies it awaits.

    Anything the server says unasked breaks the wire, so that no reply can ever be taken for the
    answer to a later command. Once broken it stays broken; replies that came before still count.
    """

    def __init__(self, *, greeted: bool) -> None:
        """`greeted`: the server speaks first, so one reply is owed from the start."""
        self.loop = asyncio.get_running_loop()
        self._unasked: Reply | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._owed = int(greeted)  # replies the server still owes us
        self._fault: tuple[SmtpErrorKind, str] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0
        self._room: asyncio.Future[None] | None = None
        self._full = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether another command may be written."""
        return self._fault is None and self._transport is not None

    @property
    def quiet(self) -> bool:
        """Whether nothing is owed, buffered or broken: the only state a STARTTLS may begin in."""
        return self.open and not self._owed and not self._replies and self._parser.empty

    @property
    def transport(self) -> asyncio.Transport:
        """The transport; raises `SmtpError` (LOST) when there is none any more."""
        if self._transport is None:
            raise self.error(Stage.CONNECT)
        return self._transport

    def adopt(self, transport: asyncio.Transport) -> None:
        """Go on over `transport`, after an upgrade to TLS."""
        self._transport = transport

    # -- what asyncio tells us ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._fault is not None:
            return
        for reply in self._parser.feed(data):
            self._take(reply)
        if self._parser.error:
            self.drop(SmtpErrorKind.GARBAGE, self._parser.error)
        elif self._waiter is not None and len(self._replies) >= self._wanted:
            self._wake()

    def eof_received(self) -> None:
        self.drop(SmtpErrorKind.LOST, "connection closed by the server")

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(SmtpErrorKind.LOST, _words(exc))
        self._transport = None

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _take(self, reply: Reply) -> None:
        if self._fault is not None:
            return
        if self._owed:
            self._owed -= 1
            self._replies.append(reply)
        else:
            self._unasked = reply
            self.drop(SmtpErrorKind.GARBAGE, f"unasked reply {reply.code}")
        if reply.code == _CLOSING:
            # Whatever else was pipelined will not be answered; do not wait for it.
            self.drop(SmtpErrorKind.LOST, "the server closed the session (421)")

    # -- what a session asks ------------------------------------------------------------------

    def expect(self, replies: int) -> None:
        """The server will speak `replies` times without being asked (the greeting)."""
        self._owed += replies

    def write(self, data: bytes, replies: int, stage: Stage) -> None:
        """Send `data`, which the server answers with `replies` replies."""
        if self._fault is not None or self._transport is None:
            raise self.error(stage)
        self._owed += replies
        self._transport.write(data)

    async def reply(self, stage: Stage, seconds: float) -> Reply:
        """The next reply, due whole within `seconds`; else `SmtpError` (LOST or GARBAGE)."""
        if not self._replies:
            await self._arrive(1, seconds)
            if not self._replies:
                raise self.error(stage)
        return self._replies.popleft()

    async def replies(self, count: int, seconds: float) -> list[Reply]:
        """The next `count` replies, fewer when the wire broke first; one wake-up for them all."""
        await self._arrive(count, seconds)
        return [self._replies.popleft() for _ in range(min(count, len(self._replies)))]

    async def lines(self, stage: Stage, seconds: float) -> tuple[Reply, list[str]]:
        """The next reply together with its lines, whose ends `Reply.text` does not keep."""
        reply = await self.reply(stage, seconds)
        return reply, self._parser.lines

    async def _arrive(self, count: int, seconds: float) -> None:
        if len(self._replies) >= count or self._fault is not None:
            return
        self._wanted = count
        self._waiter = self.loop.create_future()
        self._watch(seconds)
        try:
            await self._waiter
        except asyncio.CancelledError:
            # The reply we no longer wait for would answer somebody else's command.
            self.drop(SmtpErrorKind.LOST, "abandoned")
            raise
        finally:
            self._waiter = None
            self._deadline = 0.0

    async def drain(self, stage: Stage, octets: int, seconds: float) -> None:
        """Wait until the transport takes more; the allowance grows with what was written."""
        if not self._full or self._fault is not None:
            return
        self._room = self.loop.create_future()
        try:
            async with asyncio.timeout(seconds + octets / _SLOWEST):
                await self._room
        except TimeoutError:
            self.drop(SmtpErrorKind.LOST, "the server stopped reading")
        except asyncio.CancelledError:
            self.drop(SmtpErrorKind.LOST, "abandoned")
            raise
        if self._fault is not None:
            raise self.error(stage)

    def error(self, stage: Stage) -> SmtpError:
        """Why this wire is of no more use, said at `stage`."""
        word = self._unasked
        # A 421 may come at any time (RFC 5321 section 3.8). Another unasked "no" counts only while
        # a body is under way, where it can speak of nothing else; elsewhere it may be a stray.
        if word is not None and (
            word.code == _CLOSING or (stage == Stage.DATA and word.code > 399)
        ):
            return SmtpError.refused(stage, word)
        kind, detail = self._fault or (SmtpErrorKind.LOST, "not connected")
        return SmtpError(kind, stage, detail)

    def drop(self, kind: SmtpErrorKind, detail: str) -> None:
        """Break the wire: the first reason stays, waiters wake, unsent bytes are discarded."""
        if self._fault is not None:
            return
        self._fault = (kind, detail)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._wake()
        self.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _watch(self, seconds: float) -> None:
        """Set the deadline. One timer serves many waits: arming one per reply costs more."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        if self.loop.time() >= self._deadline:
            self.drop(SmtpErrorKind.LOST, "no reply in time")
        else:
            self._timer = self.loop.call_at(self._deadline, self._expire)


def _words(exc: Exception | None) -> str:
    return f"connection lost: {exc}" if exc else "connection closed"
