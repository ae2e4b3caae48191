"""An IMAP server for tests (RFC 3501): the commands that looking into a mailbox takes, and the
ways of providers on request."""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ums.core.senders.mailboxes import NewMailbox

ACCOUNT, PASSWORD = "news@sender.example", "open sesame"


def mailbox_at(port: int, /, **changes: Any) -> NewMailbox:
    """How the mailbox of a server here is opened."""
    usual = {"host": "127.0.0.1", "port": port, "encryption": "none", "account": ACCOUNT}
    return NewMailbox(**{**usual, "password": PASSWORD, "allow_port": True, **changes})


_FETCH = re.compile(r"(?:BODY\.PEEK\[(HEADER\.FIELDS \(([^)]*)\))?\](?:<0\.(\d+)>)?)")


@dataclass
class Folder:
    """What is in a folder, by UID, with the day it came on."""

    mails: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)
    uidvalidity: int = 1
    sizes: dict[int, int] = field(default_factory=dict)  # told of a mail that is in truth shorter

    def add(self, raw: bytes, at: datetime | None = None) -> int:
        uid = max(self.mails, default=0) + 1
        self.mails[uid] = (raw, at or datetime.now(UTC))
        return uid

    def size(self, uid: int) -> int:
        return self.sizes.get(uid, len(self.mails[uid][0]))

    def found(self, criteria: str) -> list[int]:
        word, _, rest = criteria.partition(" ")
        if word == "SINCE":
            day = datetime.strptime(rest.strip('"'), "%d-%b-%Y").replace(tzinfo=UTC).date()
            return [uid for uid, (_, at) in self.mails.items() if at.date() >= day]
        first, _, last = rest.partition(":")
        highest = max(self.mails, default=0)
        ends = sorted((int(first), highest if last == "*" else int(last)))
        return [uid for uid in self.mails if ends[0] <= uid <= ends[1]]


class ImapServer:
    """async with ImapServer() as server: ... server.port"""

    def __init__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        implicit: bool = True,
        sent: str = "Sent",
        special_use: bool = True,
        wants_id: bool = False,
        password: str = PASSWORD,
        plain: bool = False,
    ) -> None:
        self.folders = {"INBOX": Folder(), **({sent: Folder()} if sent else {})}
        self.sent = sent
        self.commands: list[str] = []
        self.logins = 0
        self.hang_up_at = ""  # the command, such as "UID FETCH", at which it hangs up
        self.hold: Callable[[str], Any] | None = None  # awaited before each command
        self.marked = 0  # changes of the mailbox, which nobody may make
        self.context, self.implicit = context, implicit
        self.special_use, self.wants_id = special_use, wants_id
        self.password, self.plain = password, plain

    @property
    def inbox(self) -> Folder:
        return self.folders["INBOX"]

    async def __aenter__(self) -> "ImapServer":
        tls = self.context if self.implicit else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class _Session:
    def __init__(
        self, server: ImapServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._known = not server.wants_id
        self._folder = Folder()

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._writer.write(line.encode() + b"\r\n")

    async def run(self) -> None:
        self._say(f"* OK [CAPABILITY {self._capabilities()}] ready")
        while line := (await self._reader.readline()).decode().rstrip("\r\n"):
            line = await self._with_literals(line)
            tag, _, rest = line.partition(" ")
            verb, _, arguments = rest.partition(" ")
            if verb.upper() == "UID":
                more, _, arguments = arguments.partition(" ")
                verb = f"UID {more}"
            verb = verb.upper()
            self._server.commands.append(f"{verb} {arguments}" if verb != "LOGIN" else verb)
            if self._server.hold is not None:
                await self._server.hold(verb)
            if self._server.hang_up_at == verb:
                return
            if not await self._answer(tag, verb, arguments):
                return
            await self._writer.drain()

    async def _with_literals(self, line: str) -> str:
        """The whole command (RFC 3501 section 4.3); a literal stands in it as a quoted string."""
        while literal := re.search(r"\{(\d+)\}$", line):
            self._say("+ go on")
            await self._writer.drain()
            text = (await self._reader.readexactly(int(literal[1]))).decode()
            rest = (await self._reader.readline()).decode().rstrip("\r\n")
            line = f'{line[: literal.start()]}"{text}"{rest}'
        return line

    def _capabilities(self) -> str:
        tls = "" if self._server.implicit or not self._server.context else " STARTTLS"
        plain = " AUTH=PLAIN" if self._server.plain else ""
        return f"IMAP4rev1 ID SPECIAL-USE{tls}{plain}"

    async def _answer(self, tag: str, verb: str, arguments: str) -> bool:
        name = verb.lower().replace(" ", "_")
        await getattr(self, f"_do_{name}", self._unknown)(tag, arguments)
        return verb != "LOGOUT"

    async def _unknown(self, tag: str, arguments: str) -> None:
        self._server.marked += 1
        self._say(f"{tag} BAD what is {arguments}")

    async def _do_capability(self, tag: str, _: str) -> None:
        self._say(f"* CAPABILITY {self._capabilities()}", f"{tag} OK done")

    async def _do_noop(self, tag: str, _: str) -> None:
        self._say(f"{tag} OK done")

    async def _do_logout(self, tag: str, _: str) -> None:
        self._say("* BYE see you", f"{tag} OK done")

    async def _do_starttls(self, tag: str, _: str) -> None:
        self._say(f"{tag} OK begin")
        await self._writer.drain()
        await self._writer.start_tls(self._server.context)  # type: ignore[arg-type]

    async def _do_login(self, tag: str, arguments: str) -> None:
        given = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', arguments)]
        self._let_in(tag, "LOGIN", given)

    async def _do_authenticate(self, tag: str, _: str) -> None:
        self._say("+ ")
        await self._writer.drain()
        given = base64.b64decode(await self._reader.readline()).decode()
        self._let_in(tag, "AUTHENTICATE", given.split("\0")[1:])

    def _let_in(self, tag: str, verb: str, given: list[str]) -> None:
        self._server.logins += 1
        if given == [ACCOUNT, self._server.password]:
            self._say(f"{tag} OK logged in")
        else:
            self._say(f"{tag} NO {verb} Login error or password error")

    async def _do_id(self, tag: str, arguments: str) -> None:
        self._known = self._known or '"name"' in arguments.lower()
        self._say('* ID ("name" "test")', f"{tag} OK done")

    async def _do_list(self, tag: str, _: str) -> None:
        for name in self._server.folders:
            special = name == self._server.sent and self._server.special_use
            flags = r"\HasNoChildren \Sent" if special else r"\HasNoChildren"
            self._say(f'* LIST ({flags}) "/" "{_utf7(name)}"')
        self._say(f"{tag} OK done")

    async def _do_select(self, tag: str, _: str) -> None:
        self._server.marked += 1
        self._say(f"{tag} OK done")

    async def _do_examine(self, tag: str, arguments: str) -> None:
        names = {_utf7(name): folder for name, folder in self._server.folders.items()}
        name = arguments.strip('"')
        if not self._known:
            self._say(f"{tag} NO EXAMINE Unsafe Login. Please contact kefu@188.com for help")
        elif name not in names:
            self._say(f"{tag} NO no such folder")
        else:
            self._folder = names[name]
            next_uid = max(self._folder.mails, default=0) + 1
            self._say(
                f"* {len(self._folder.mails)} EXISTS",
                f"* OK [UIDVALIDITY {self._folder.uidvalidity}] ok",
                f"* OK [UIDNEXT {next_uid}] ok",
                f"{tag} OK [READ-ONLY] done",
            )

    async def _do_uid_search(self, tag: str, arguments: str) -> None:
        found = self._folder.found(arguments)
        self._say(f"* SEARCH {' '.join(map(str, found))}".rstrip(), f"{tag} OK done")

    async def _do_uid_fetch(self, tag: str, arguments: str) -> None:
        which, _, what = arguments.partition(" ")
        if what == "(RFC822.SIZE)":
            for uid in [uid for uid in _uids(which) if uid in self._folder.mails]:
                self._say(f"* 1 FETCH (UID {uid} RFC822.SIZE {self._folder.size(uid)})")
            self._say(f"{tag} OK done")
            return
        match = _FETCH.search(what)
        assert match is not None, what
        for uid in _uids(which):
            if uid in self._folder.mails:
                raw = self._folder.mails[uid][0]
                if match[1]:
                    raw = _headers(raw, match[2].lower().split())
                elif match[3]:
                    raw = raw[: int(match[3])]
                section = f"BODY[{match[1] or ''}]" + ("<0>" if match[3] else "")
                self._writer.write(f"* 1 FETCH (UID {uid} {section} {{{len(raw)}}}\r\n".encode())
                self._writer.write(raw + b")\r\n")
        self._say(f"{tag} OK done")


def _uids(which: str) -> list[int]:
    found: list[int] = []
    for part in which.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def _headers(raw: bytes, wanted: list[str]) -> bytes:
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    fields = re.findall(rb"(?m)^[^\s:]+:.*(?:\r?\n[ \t].*)*", head)
    kept = [
        one.rstrip(b"\r")
        for one in fields
        if one.split(b":")[0].decode("latin-1").lower() in wanted
    ]
    return b"\r\n".join(kept) + b"\r\n\r\n"


def _utf7(name: str) -> str:
    """Folder names as they go over the wire (RFC 3501 section 5.1.3)."""
    if name.isascii():
        return name
    coded = base64.b64encode(name.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
    return f"&{coded}-"
