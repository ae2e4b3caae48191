"""A real SMTP server that does what a script says: real sockets, a ledger, and any trouble.

    async with SmtpServer() as server:                  # takes everything
        server.script["RCPT"] = [b"451 later\\r\\n"]      # the first RCPT; the next is taken
        server.script["DOT"] = lambda call: DROP_TAKEN  # every message: taken, but no reply
        ...
        assert server.mails[0].rcpt_to == "a@example.org"

Script keys: GREETING, a verb (EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA, RSET, NOOP, QUIT),
BODY (once, when 354 has been given and the first octets of the body have come) and DOT.
A value is a list, used up one by one (None in it: as usual), or a function of a `Call` that may
be async. Each gives raw reply bytes (sent as they are), an `Act`, or None for the usual reply.
"""

import asyncio
import base64
import inspect
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self, cast


@dataclass(frozen=True)
class Call:
    """What a script function is told."""

    connection: int  # from 1
    key: str
    line: str
    mail_from: str
    rcpt_to: list[str]
    count: int  # the how many-th call of this key at this server, from 1
    secure: bool


@dataclass(frozen=True)
class Act:
    """What to do besides a plain reply."""

    reply: bytes = b""
    usual: bool = False  # the usual reply instead
    after: float = 0.0  # seconds of silence first
    gap: float = 0.0  # seconds between the octets of the reply: a slow drip
    drop: bool = False  # then cut the connection (RST)
    taken: bool = False  # DOT only: put the mail into the ledger whatever the reply is


DROP = Act(drop=True)
DROP_TAKEN = Act(drop=True, taken=True)
HANG = Act(after=3600)

Answer = bytes | Act | None
Script = list[Answer] | Callable[[Call], Answer] | Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Mail:
    """One accepted message, its dots un-stuffed; `data` ends with the last CRLF of the body."""

    mail_from: str
    rcpt_to: str  # one entry in the ledger per recipient
    data: bytes
    connection: int
    options: str  # the parameters of MAIL FROM


@dataclass(frozen=True)
class Command:
    connection: int
    line: str
    secure: bool


@dataclass
class SmtpServer:
    """See the module. Everything may be changed while it runs; new connections see it."""

    tls: Literal["none", "ssl", "starttls"] = "none"
    context: ssl.SSLContext | None = None
    features: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "SIZE 50000000", "ENHANCEDSTATUSCODES")
    pipelining: bool = True
    users: Mapping[str, str] | None = None  # account -> password; None: no log-in wanted
    mechanisms: str = "PLAIN LOGIN"
    refusal: bytes = b"535 5.7.8 authentication failed\r\n"  # of a wrong password
    host: str = "127.0.0.1"
    keeps: bool = True  # what it is sent; without it only `taken` hears of mails
    taken: Callable[[Mail], None] = lambda _: None  # called for each mail and recipient
    delay: float = 0.0  # seconds before each write: half a round trip of a far server

    script: dict[str, Script] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)  # what a client did against the protocol
    clear: bytearray = field(default_factory=bytearray)  # every octet that came without TLS
    logins: list[str] = field(default_factory=list)
    connections: int = 0
    writes: int = 0  # pieces that went out: round trips, as each ends in waiting for the client
    open: int = 0
    most_open: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        wrap = self.context if self.tls == "ssl" else None
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=wrap, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def allows(self, account: str, password: str) -> bool:
        return (self.users or {}).get(account) == password

    def verbs(self, connection: int | None = None) -> list[str]:
        """The verbs received, in order."""
        return [
            c.line.split(" ", 1)[0].upper()
            for c in self.commands
            if connection in (None, c.connection)
        ]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Dialogue(self, self.connections, reader, writer).run()
        except (OSError, _GoneError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()


class _GoneError(Exception):
    """The client left, or the script cut it off."""


def _settled(answer: Answer, usual: bytes) -> Act:
    """What to do: the script's answer, with the usual reply where that is meant."""
    if answer is None:
        return Act(usual)
    if isinstance(answer, bytes):
        return Act(answer)
    return replace(answer, reply=usual) if answer.usual else answer


class _Dialogue:
    def __init__(
        self,
        server: SmtpServer,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server, self.number = server, number
        self.reader, self.writer = reader, writer
        self.buffer = b""
        self.out = b""
        self.secure = server.tls == "ssl"
        self.user: str | None = None
        self.mail_from: str | None = None
        self.options = ""
        self.rcpt_to: list[str] = []

    async def run(self) -> None:
        await self.say("GREETING", b"220 fake.example ESMTP\r\n")
        while True:
            line = (await self.line()).decode("utf-8", "replace")
            if self.server.keeps:
                self.server.commands.append(Command(self.number, line, self.secure))
            verb = line.split(" ", 1)[0].upper()
            if self.buffer and not self.server.pipelining and verb != "DATA":
                self.server.violations.append(f"pipelined after {line}")
            handler = getattr(self, f"on_{verb.lower()}", None)
            if handler is None:
                await self.say(verb, b"500 5.5.2 unknown\r\n", line)
            else:
                await handler(line)

    # -- octets -------------------------------------------------------------------------------

    async def more(self) -> None:
        await self.flush()
        data = await self.reader.read(1 << 18)
        if not data:
            raise _GoneError
        if not self.secure and self.server.keeps:
            self.server.clear += data[: max(0, (1 << 20) - len(self.server.clear))]
        self.buffer += data

    async def line(self) -> bytes:
        while b"\n" not in self.buffer:
            await self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    async def flush(self) -> None:
        if not self.out:
            return
        if self.server.delay:
            await asyncio.sleep(self.server.delay)
        self.server.writes += 1
        data, self.out = self.out, b""
        self.writer.write(data)
        await self.writer.drain()

    # -- replies ------------------------------------------------------------------------------

    async def say(self, key: str, usual: bytes, line: str = "") -> bytes:
        """Answer as scripted or as usual; gives the bytes that were said."""
        answer = await self.scripted(key, line)
        act = _settled(answer, usual)
        await self.act(act)
        return act.reply

    async def scripted(self, key: str, line: str) -> Answer:
        server = self.server
        server.counts[key] += 1
        script = server.script.get(key)
        if isinstance(script, list):
            return script.pop(0) if script else None
        if script is None:
            return None
        rcpt_to = list(self.rcpt_to)
        count = server.counts[key]
        call = Call(self.number, key, line, self.mail_from or "", rcpt_to, count, self.secure)
        answer = script(call)
        return await answer if inspect.isawaitable(answer) else answer

    async def act(self, act: Act) -> None:
        if act.after:
            await self.flush()
            await asyncio.sleep(act.after)
        if act.gap:
            await self.drip(act)
        self.out += b"" if act.gap else act.reply
        if act.drop:
            await self.flush()
            raise _GoneError

    async def drip(self, act: Act) -> None:
        await self.flush()
        for octet in act.reply:
            self.writer.write(bytes([octet]))
            await self.writer.drain()
            await asyncio.sleep(act.gap)

    # -- verbs --------------------------------------------------------------------------------

    async def on_ehlo(self, line: str) -> None:
        server = self.server
        lines = ["fake.example", *server.features]
        lines += ["PIPELINING"] if server.pipelining else []
        lines += ["STARTTLS"] if server.tls == "starttls" and not self.secure else []
        if server.users is not None and (self.secure or server.tls == "none"):
            lines.append(f"AUTH {server.mechanisms}")
        text = [f"250-{text}\r\n" for text in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        await self.say("EHLO", "".join(text).encode(), line)

    async def on_helo(self, line: str) -> None:
        await self.say("HELO", b"250 fake.example\r\n", line)

    async def on_starttls(self, line: str) -> None:
        if not (await self.say("STARTTLS", b"220 go ahead\r\n", line)).startswith(b"220"):
            return
        await self.flush()
        await self.writer.start_tls(cast("ssl.SSLContext", self.server.context))
        self.secure, self.buffer = True, b""

    async def on_auth(self, line: str) -> None:
        _, mechanism, *first = line.split(" ")
        answer = await self.scripted("AUTH", line)
        if answer is not None:
            await self.act(_settled(answer, b""))
            if not (isinstance(answer, Act) and answer.usual):
                return
        account, password = await self.credentials(mechanism.upper(), first)
        if self.server.allows(account, password):
            self.user = account
            self.server.logins.append(account)
            self.out += b"235 2.7.0 welcome\r\n"
        else:
            self.out += self.server.refusal

    async def credentials(self, mechanism: str, first: list[str]) -> tuple[str, str]:
        if mechanism == "PLAIN":
            token = base64.b64decode(first[0] if first else await self.ask(b""))
            _, account, password = token.split(b"\0")
            return account.decode(), password.decode()
        account = base64.b64decode(first[0] if first else await self.ask(b"VXNlcm5hbWU6"))
        password = base64.b64decode(await self.ask(b"UGFzc3dvcmQ6"))
        return account.decode(), password.decode()

    async def ask(self, prompt: bytes) -> bytes:
        self.out += b"334 " + prompt + b"\r\n"
        return await self.line()

    async def on_mail(self, line: str) -> None:
        usual = b"250 2.1.0 Ok\r\n"
        if self.server.users is not None and self.user is None:
            usual = b"530 5.7.0 authentication required\r\n"
        elif self.mail_from is not None:
            usual = b"503 5.5.1 nested MAIL\r\n"
        if (await self.say("MAIL", usual, line)).startswith(b"2"):
            path, _, self.options = line.partition(":")[2].partition(" ")
            self.mail_from, self.rcpt_to = path.strip("<>"), []

    async def on_rcpt(self, line: str) -> None:
        usual = b"250 2.1.5 Ok\r\n" if self.mail_from is not None else b"503 5.5.1 no MAIL\r\n"
        if (await self.say("RCPT", usual, line)).startswith(b"2"):
            self.rcpt_to.append(line.partition(":")[2].strip("<> "))

    async def on_data(self, line: str) -> None:
        usual = b"354 go ahead\r\n" if self.rcpt_to else b"554 5.5.1 no valid recipients\r\n"
        if (await self.say("DATA", usual, line)).startswith(b"354"):
            await self.message()

    async def message(self) -> None:
        if not self.buffer:
            await self.more()
        answer = await self.scripted("BODY", "")
        if answer is not None:
            await self.act(_settled(answer, b""))
        data = await self.content()
        answer = await self.scripted("DOT", "")
        usual = f"250 2.0.0 Ok: queued as {self.server.counts['DOT']}\r\n".encode()
        act = _settled(answer, usual)
        if act.taken or act.reply.startswith(b"2"):
            self.record(data)
        self.mail_from, self.rcpt_to = None, []
        await self.act(act)

    def record(self, data: bytes) -> None:
        plain = (b"\r\n" + data).replace(b"\r\n.", b"\r\n")[2:]
        for rcpt_to in self.rcpt_to:
            mail = Mail(self.mail_from or "", rcpt_to, plain, self.number, self.options)
            self.server.taken(mail)
            if self.server.keeps:
                self.server.mails.append(mail)

    async def content(self) -> bytes:
        """The body up to its final dot, still stuffed. The CRLF in front is that of DATA."""
        parts = b"\r\n" + self.buffer
        seen = 0
        while (end := parts.find(b"\r\n.\r\n", seen)) < 0:
            seen, self.buffer = max(0, len(parts) - 4), b""
            await self.more()
            parts += self.buffer
        self.buffer = parts[end + 5 :]
        return parts[2 : end + 2]

    async def on_rset(self, line: str) -> None:
        self.mail_from, self.rcpt_to = None, []
        await self.say("RSET", b"250 2.0.0 Ok\r\n", line)

    async def on_noop(self, line: str) -> None:
        await self.say("NOOP", b"250 2.0.0 Ok\r\n", line)

    async def on_quit(self, line: str) -> None:
        await self.say("QUIT", b"221 2.0.0 Bye\r\n", line)
        await self.flush()
        raise _GoneError
