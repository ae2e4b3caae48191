"""Our SMTP client: one session, many messages, as few round trips as the server allows.

A message goes out in three steps - `start`, `body`, `finish` - because its intent is recorded
durably between the body and the final dot: only a message whose dot was written can be in doubt.
"""

from collections.abc import Mapping
from typing import Final

from ums.mail.outcomes import Envelope, Reply, Stage, Timeouts, Watch, unwatched
from ums.mail.smtp.commands import CommandBuilder, encode, stuffed
from ums.mail.smtp.connect import Server, open_wire
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind
from ums.mail.smtp.protocol import SmtpProtocol

__all__ = ["Server", "SmtpError", "SmtpErrorKind", "SmtpSession", "Timeouts", "connect", "stuffed"]

_STAGES: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA)
_GO_AHEAD: Final = 354
_FAREWELL: Final = 5.0  # seconds a server gets to answer QUIT; its answer changes nothing


async def connect(server: Server, watch: Watch = unwatched) -> "SmtpSession":
    """A session with `server`: greeted, encrypted as demanded, logged in.

    `watch` is told of each stage that went well. Raises `SmtpError` with the stage that failed;
    the connection is then closed.
    """
    wire, features = await open_wire(server, watch)
    return SmtpSession(server, wire, features)


class SmtpSession:
    """One logged-in connection. One transaction at a time; not to be shared between tasks.

    A cancelled call leaves the connection dropped, since its reply may still be under way.
    """

    def __init__(self, server: Server, wire: SmtpProtocol, features: Mapping[str, str]) -> None:
        self.features = features
        self.carried = 0  # messages whose dot was answered, with whatever code
        self._wire = wire
        self._timeouts = server.timeouts
        self._pipelining = server.pipelining and "PIPELINING" in features
        self._composer = CommandBuilder(features)
        self._ahead: Envelope | None = None  # its commands are written, its replies not yet read
        self._writing = False  # between 354 and the dot
        self._stale = False  # a refused transaction is still open at the server

    @property
    def usable(self) -> bool:
        """Whether the session may carry another transaction."""
        return self._wire.open and not self._writing

    async def start(self, envelope: Envelope) -> None:
        """Open a transaction: MAIL, RCPT and DATA (RFC 5321 section 3.3) up to the 354.

        Raises `SmtpError`; `usable` then tells whether the session can go on.
        """
        if self._writing:
            raise RuntimeError("start() before finish()")
        if self._ahead is None:
            commands = self._composer.transaction(envelope)
            if not self._pipelining:
                await self._open_stepwise(commands)
                return
            self._write_group(encode(*commands, stage=Stage.MAIL))
        elif self._ahead != envelope:
            self.abort()
            raise RuntimeError("start() with another envelope than finish(next=) announced")
        self._ahead = None
        await self._read_group()

    async def body(self, data: bytes) -> None:
        """Send `data`: dot-stuffed, CRLF line ends, without the final dot line.

        Raises `SmtpError` (stage DATA) when the connection is gone or the server has given up the
        message, `ValueError` when `data` does not end with CRLF.
        """
        if not self._writing:
            raise RuntimeError("body() before start()")
        if not data.endswith(b"\r\n"):
            # The dot would then not stand alone on its line, and the message would not end.
            raise ValueError("a body must end with CRLF")
        self._wire.write(data, 0, Stage.DATA)
        await self._wire.drain(Stage.DATA, len(data), self._timeouts.command)

    async def finish(self, next: Envelope | None = None) -> Reply:
        """Send the final dot and return the server's verdict, 2xx, 4xx or 5xx.

        With `next`, its commands ride in the same write where the server pipelines (RFC 2920), and
        `start(next)` must follow. Raises `SmtpError`: stage DOT means that the outcome is unknown,
        stage DATA that the dot was never written.
        """
        if not self._writing:
            raise RuntimeError("finish() before start()")
        ahead = self._commands_ahead(next)
        self._writing = False
        self._wire.write(b".\r\n" + ahead, 4 if ahead else 1, Stage.DATA)
        self._ahead = next if ahead else None
        reply = await self._wire.reply(Stage.DOT, self._timeouts.dot)
        if 300 <= reply.code < 400:
            raise self._broken(Stage.DOT, reply)
        self.carried += 1
        return reply

    async def rehearse(self, envelope: Envelope, watch: Watch = unwatched) -> None:
        """MAIL and RCPT, then RSET: whether the server would take it, with nothing sent.

        Raises `SmtpError` with what it refused.
        """
        if self._writing or self._ahead is not None:
            raise RuntimeError("rehearse() inside a transaction")
        commands = self._composer.transaction(envelope)
        for stage, command in zip((Stage.MAIL, Stage.RCPT), commands[:2], strict=True):
            self._wire.write(encode(command, stage=stage), 1, stage)
            reply = await self._wire.reply(stage, self._timeouts.command)
            if not reply.ok:
                raise self._refusal(stage, reply, went_ahead=False)
            watch(stage, {"reply": reply.text})
        self._wire.write(b"RSET\r\n", 1, Stage.MAIL)
        await self._read_reset()

    async def noop(self) -> None:
        """Ask between messages whether the server is still there; raises `SmtpError` when not."""
        if self._writing or self._ahead is not None:
            raise RuntimeError("noop() inside a transaction")
        self._wire.write(b"NOOP\r\n", 1, Stage.MAIL)
        reply = await self._wire.reply(Stage.MAIL, self._timeouts.command)
        if not reply.ok:
            raise SmtpError.refused(Stage.MAIL, reply)

    async def quit(self) -> None:
        """Say goodbye and close. Never raises: what is sent is sent, whatever is answered now."""
        try:
            if self.usable and self._ahead is None:
                self._wire.write(b"QUIT\r\n", 1, Stage.MAIL)
                await self._wire.replies(1, min(_FAREWELL, self._timeouts.command))
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once, without a dot: an open message is thus not sent."""
        self._wire.drop(SmtpErrorKind.LOST, "aborted by us")

    # -- opening a transaction ----------------------------------------------------------------

    def _commands_ahead(self, envelope: Envelope | None) -> bytes:
        if envelope is None or not self._pipelining:
            return b""
        try:
            return encode(*self._composer.transaction(envelope), stage=Stage.MAIL)
        except SmtpError:
            return b""  # start() will raise it for that message; this one must not suffer

    def _write_group(self, commands: bytes) -> None:
        if self._stale:
            self._wire.write(b"RSET\r\n" + commands, 4, Stage.MAIL)
        else:
            self._wire.write(commands, 3, Stage.MAIL)

    async def _read_group(self) -> None:
        if self._stale:
            await self._read_reset()
        replies = await self._wire.replies(3, self._timeouts.command)
        for stage, reply in zip(_STAGES, replies, strict=False):
            if not _accepted(stage, reply):
                raise self._refusal(stage, reply, went_ahead=_went_ahead(replies))
        if len(replies) < len(_STAGES):
            raise self._wire.error(_STAGES[len(replies)])
        self._writing = True

    async def _open_stepwise(self, commands: tuple[str, str, str]) -> None:
        if self._stale:
            self._wire.write(b"RSET\r\n", 1, Stage.MAIL)
            await self._read_reset()
        for stage, command in zip(_STAGES, commands, strict=True):
            self._wire.write(encode(command, stage=stage), 1, stage)
            reply = await self._wire.reply(stage, self._timeouts.command)
            if not _accepted(stage, reply):
                raise self._refusal(stage, reply, went_ahead=False)
        self._writing = True

    async def _read_reset(self) -> None:
        reply = await self._wire.reply(Stage.MAIL, self._timeouts.command)
        if not reply.ok:
            raise self._broken(Stage.MAIL, reply)
        self._stale = False

    def _refusal(self, stage: Stage, reply: Reply, *, went_ahead: bool) -> SmtpError:
        if reply.code < 400:
            return self._broken(stage, reply)
        if went_ahead:
            # 354 without a recipient: even the bare dot of RFC 2920 section 3.1 would be a message
            # to such a server, and it might mail it to somebody. Leave without a word.
            self._wire.drop(SmtpErrorKind.GARBAGE, "the server wants a body without a recipient")
        # MAIL was taken, so a transaction is open. RSET waits for the next start: most refused
        # sessions have no next message, and NetEase counts idle commands (MI:CCL).
        self._stale = stage is not Stage.MAIL
        return SmtpError.refused(stage, reply)

    def _broken(self, stage: Stage, reply: Reply) -> SmtpError:
        detail = f"unexpected reply {reply.code}"
        self._wire.drop(SmtpErrorKind.GARBAGE, detail)
        return SmtpError(SmtpErrorKind.GARBAGE, stage, detail, reply)


def _accepted(stage: Stage, reply: Reply) -> bool:
    return reply.code == _GO_AHEAD if stage is Stage.DATA else reply.ok


def _went_ahead(replies: list[Reply]) -> bool:
    return len(replies) == len(_STAGES) and 300 <= replies[-1].code < 400
