"""An account's mailbox over IMAP (RFC 3501): what its Sent folder holds, and what came back.

Everything here blocks, with an end to every wait. Nothing in the mailbox is changed: it is only
looked at, and nothing is marked as read.
"""

import contextlib
import ipaddress
import re
import ssl
from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from imapclient.datetime_util import format_criteria_date
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError
from imapclient.imapclient import SENT, IMAPClient
from msgspec import Struct

from ums import trust
from ums.mail import bounce_parser
from ums.mail.outcomes import Encryption

FREE_PORTS: Final = frozenset({143, 993})
WAIT: Final = 30.0  # seconds for each answer of the server
LETTERS: Final = 200  # looked at in one visit
READ: Final = 50  # of them read whole
LARGEST: Final = 16 << 20  # octets of a letter that is looked at; reports are much smaller
TOGETHER: Final = 16 << 20  # octets of letters whose headers are asked for at once
_CHUNK: Final = 500
# By RFC 6154, or by the names that providers and mail programs use.
_SENT_NAMES: Final = ("Sent Messages", "Sent", "Sent Items", "已发送", "已发送邮件", "INBOX.Sent")
_MESSAGE_ID: Final = re.compile(rb"<([^<>\s]{3,250})>")
_HEADERS: Final = f"BODY.PEEK[HEADER.FIELDS ({' '.join(bounce_parser.HEADERS)})]"
_SIZE: Final = "RFC822.SIZE"
_ONE_ID: Final = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_WHOLE: Final = f"BODY.PEEK[]<0.{bounce_parser.MOST}>"


class MailboxSettings(Struct, frozen=True, omit_defaults=True):
    """Where a mailbox is, and how it is opened."""

    host: str
    port: int
    encryption: Encryption
    account: str
    sent_folder: str = ""  # empty: the one that the server names so
    inbox: str = "INBOX"  # where reports come in


class MailboxError(Exception):
    """The mailbox could not be looked at: why (a reason of ours), and the server's words; `cause`
    is for the log alone."""

    def __init__(self, reason: str, detail: str = "", cause: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail, self.cause = reason, detail, cause


class Place(Struct, frozen=True):
    """How far the letters of a mailbox have been read (RFC 3501 section 2.3.1.1)."""

    uidvalidity: int = 0
    uid: int = 0


class Sought(Struct, frozen=True):
    """What a visit is for."""

    message_ids: frozenset[str]  # perhaps in the Sent folder
    sent_since: datetime
    place: Place
    letters_since: datetime  # where nothing was read yet
    sent_mails: int  # the newest of the Sent folder that are looked at


class Seen(Struct, frozen=True):
    """What a visit found."""

    sent: frozenset[str]  # of the Message-IDs
    sent_folder: str  # empty: there is none
    letters: tuple[bounce_parser.InboundReport, ...]
    letters_read: int  # letters
    place: Place
    more: bool  # letters that are not looked at yet


def read(settings: str) -> MailboxSettings:
    return msgspec.json.decode(settings, type=MailboxSettings)


def binding(settings: MailboxSettings) -> str:
    """Where a password may be sent; it is of no use with anything else."""
    place = f"{settings.host.lower()}:{settings.port}:{settings.encryption}"
    return f"{place}:{settings.account}"


def visit(
    settings: MailboxSettings, password: str, sought: Sought, tls: ssl.SSLContext | None = None
) -> Seen:
    """Open the mailbox and look; `tls` replaces the system's trust. Raises MailboxError."""
    with _open(settings, password, tls) as client:
        sent, folder = frozenset[str](), settings.sent_folder or _sent_folder(client)
        if sought.message_ids and folder:
            sent = _sent(client, folder, sought)
        letters, count, place, more = _letters(client, settings.inbox, sought)
        return Seen(sent, folder, letters, count, place, more)


@contextlib.contextmanager
def _open(
    settings: MailboxSettings, password: str, tls: ssl.SSLContext | None
) -> Generator[IMAPClient]:
    context = tls or trust.context()
    secure = settings.encryption is Encryption.SSL
    with _errors():
        client = IMAPClient(
            settings.host,
            settings.port,
            ssl=secure,
            ssl_context=context if secure else None,
            timeout=WAIT,
        )
        try:
            if settings.encryption is Encryption.STARTTLS:
                client.starttls(context)
            if settings.encryption is Encryption.NONE and not _is_here(client):
                raise MailboxError("mailbox_tls", "no log-in without encryption")
            _log_in(client, settings.account, password)
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.logout()


def _is_here(client: IMAPClient) -> bool:
    """Whether the server is this machine: in clear a password goes nowhere else."""
    return ipaddress.ip_address(client.socket().getpeername()[0]).is_loopback


@contextlib.contextmanager
def _errors() -> Generator[None]:
    """Whatever goes wrong within is a MailboxError, but for a lack of memory."""
    try:
        yield
    except (MailboxError, MemoryError):
        raise
    except ssl.SSLError as error:
        raise MailboxError("mailbox_tls", str(error)[:300]) from None
    except (OSError, EOFError, IMAPClientAbortError) as error:
        raise MailboxError("mailbox_away", str(error)[:300]) from None
    except IMAPClientError as error:
        raise MailboxError("mailbox_refused", _words(error)) from None
    except Exception as error:  # whatever the library raises on what it cannot read
        raise MailboxError("mailbox_nonsense", cause=repr(error)[:300]) from None


def _log_in(client: IMAPClient, account: str, password: str) -> None:
    try:
        _present(client, account, password)
    except LoginError as error:
        raise MailboxError("mailbox_login", _words(error)) from None
    if client.has_capability("ID"):
        # NetEase opens no folder for whoever does not say who they are (RFC 2971).
        with contextlib.suppress(IMAPClientError):
            client.id_({"name": "UMS", "vendor": "UMS"})


def _present(client: IMAPClient, account: str, password: str) -> None:
    """Log in, also with what is not ASCII: LOGIN takes that as literals alone (RFC 3501 section
    9), and not of every server, so that PLAIN (RFC 4616), which is UTF-8, goes first."""
    if f"{account}{password}".isascii():
        client.login(_quoted(account), password)
    elif client.has_capability("AUTH=PLAIN"):
        client.plain_login(account, password)
    else:
        _log_in_by_literals(client, account, password)


def _log_in_by_literals(client: Any, account: str, password: str) -> None:
    given = [_quoted(text) if text.isascii() else text for text in (account, password)]
    words = [text.encode() for text in given]
    # The library's way of sending literals has no public name.
    state, data = client._raw_command(b"LOGIN", words, uid=False)
    if state != "OK":
        raise LoginError((data[-1] or b"").decode("utf-8", "replace"))
    client._imap.state = "AUTH"  # which the library only does in its own log-in


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _words(error: Exception) -> str:
    """The server's words; those to a log-in stand in what the library's error came of."""
    told = (error.__context__ or error) if isinstance(error, LoginError) else error
    given: Any = told.args[0] if told.args else ""
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
    return " ".join(text.split())[:300]


def _sent_folder(client: IMAPClient) -> str:
    folders = [(flags, str(name)) for flags, _, name in client.list_folders()]
    marked = [name for flags, name in folders if SENT in flags]
    names = {name for _, name in folders}
    return next(iter([*marked, *(name for name in _SENT_NAMES if name in names)]), "")


def _sent(client: IMAPClient, folder: str, sought: Sought) -> frozenset[str]:
    """Which of the Message-IDs the folder holds. They are compared here: not every server's own
    search knows that header."""
    client.select_folder(folder, readonly=True)
    uids = sorted(client.search(_since(sought.sent_since)))[-sought.sent_mails :]
    found: set[str] = set()
    for start in range(0, len(uids), _CHUNK):
        for data in client.fetch(uids[start : start + _CHUNK], [_ONE_ID]).values():
            match = _MESSAGE_ID.search(_body(data))
            if match is not None:
                found.add(match[1].decode("latin-1"))
    return frozenset(found & sought.message_ids)


def _letters(
    client: IMAPClient, inbox: str, sought: Sought
) -> tuple[tuple[bounce_parser.InboundReport, ...], int, Place, bool]:
    """The letters that came since the last visit, the oldest first, as many as one visit takes."""
    status = client.select_folder(inbox, readonly=True)
    validity = int(status.get(b"UIDVALIDITY", 0))
    known = sought.place if sought.place.uidvalidity == validity else None
    if known is None:
        # Never looked at, or its numbers begin anew: what is young may have been read before,
        # and to read it again does no harm.
        uids = sorted(client.search(_since(sought.letters_since)))
    else:
        found = client.search(f"UID {known.uid + 1}:*")
        uids = sorted(uid for uid in found if uid > known.uid)  # "*" alone is the last one there is
    worth = list(_worth_reading(client, uids[:LETTERS]))
    last = uids[: _end(uids, worth)]
    letters = _read(client, worth[:READ])
    uid = last[-1] if last else (known.uid if known else int(status.get(b"UIDNEXT", 1)) - 1)
    return letters, len(last), Place(validity, uid), len(last) < len(uids)


def _worth_reading(client: IMAPClient, uids: Sequence[int]) -> Generator[int]:
    """Which of the letters say something of a mail, by their headers."""
    told = client.fetch(uids, [_SIZE]) if uids else {}
    sizes = {uid: _size(told.get(uid, {})) for uid in uids}
    for part in _in_parts(sizes):
        heads = client.fetch(part, [_HEADERS])
        yield from (uid for uid in part if bounce_parser.worth_reading(_body(heads.get(uid, {}))))


def _in_parts(sizes: Mapping[int, int]) -> Generator[list[int]]:
    """The letters that are not too large, as many at once as there is room for: headers are no
    longer than their letter."""
    part: list[int] = []
    room = TOGETHER
    for uid, size in sizes.items():
        if size > LARGEST:
            continue
        if part and size > room:
            yield part
            part, room = [], TOGETHER
        part.append(uid)
        room -= size
    if part:
        yield part


def _end(uids: Sequence[int], worth: Sequence[int]) -> int:
    """How many of the letters this visit is done with."""
    return uids.index(worth[READ]) if len(worth) > READ else min(len(uids), LETTERS)


def _read(client: IMAPClient, uids: Collection[int]) -> tuple[bounce_parser.InboundReport, ...]:
    letters: list[bounce_parser.InboundReport] = []
    for uid in uids:
        raw = _body(client.fetch([uid], [_WHOLE]).get(uid, {}))
        try:
            letter = bounce_parser.read(raw)
        except Exception:  # noqa: S112  (a letter that breaks the reader says nothing)
            continue
        if letter is not None:
            letters.append(letter)
    return tuple(letters)


def _since(moment: datetime) -> str:
    return f"SINCE {format_criteria_date(moment).decode()}"


def _size(data: Any) -> int:
    return int(data.get(_SIZE.encode(), 0))


def _body(data: Any) -> bytes:
    return next((value for key, value in data.items() if key.startswith(b"BODY[")), b"") or b""
