"""Mail is built once per message: a skeleton of finished bytes with a few slots per recipient.

Everything that costs (transfer encoding, line ends, dot-stuffing, checks) is done when the
skeleton is built. A mail is then a join of bytes, and the personal values are checked on their
own, because nothing looks at the whole again.
"""

import re
import time
import unicodedata
from base64 import encodebytes
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Self
from urllib.parse import quote

from msgspec import Struct

from ums.errors import Detail
from ums.mail.addresses import clean, clean_display_name, needs_utf8
from ums.mail.custom_headers import NO_EXTRAS, CustomHeaders
from ums.mail.custom_headers import fields as extra_fields
from ums.mail.mime import html_to_text
from ums.mail.mime.headers import (
    BadContent,
    Field,
    Piece,
    Slot,
    block,
    check_block,
    encoded_words,
    has_control,
    mailbox_value,
    quoted,
    text_value,
)
from ums.mail.mime.transfer_encoding import quoted_lines

__all__ = [
    "BadContent",
    "File",
    "MimeContent",
    "MimeTemplate",
    "Placeholder",
    "check_subject",
    "late_subject",
    "text_and_html",
]

_MAX_SUBJECT = 998  # bytes of UTF-8: the API's promise, not a wire limit, since long ones fold
_MAX_FILE_NAME = 200  # bytes of UTF-8; percent-encoded it still fits one line of 998
_OCTETS = "application/octet-stream"
_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}(; ?charset=[\w-]{1,40})?", re.ASCII)
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_ADDRESS = re.compile(
    '[^\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff<>()\\[\\],;:\\\\"@]{1,249}@[A-Za-z0-9.-]{1,253}'
).fullmatch
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,253}").fullmatch
CID = "^[A-Za-z0-9][A-Za-z0-9._-]{0,60}(@[A-Za-z0-9.-]{1,38})?$"
_CID = re.compile(CID).fullmatch
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A value that no reader can take for more than one field: printable, short lines that are folded.
_VALUE = re.compile(rb"(?:[!-~][ -~]{0,90}\r\n )*[!-~][ -~]{0,90}").fullmatch
_NAME_ROOM = 60  # columns after ` name="` for the first encoded word
_TYPICAL_VALUES = 160  # octets that the slots of a mail take, about


class File(Struct, frozen=True):
    """An attachment. `name` is shown to the recipient, `content_type` like "image/png".

    One with a `cid` belongs into the HTML, which shows it as `cid:...` (RFC 2392).
    """

    name: str
    content_type: str
    data: bytes
    cid: str = ""


class Placeholder(Struct, frozen=True):
    """A text that differs between recipients: given, finished, when a mail is rendered."""

    encoding: bytes = b""  # the Content-Transfer-Encoding it will have; none for a subject


class MimeContent(Struct, frozen=True):
    """What a message says. `text` alone with HTML markup in it is sent as HTML (plain.is_html);
    beside `html` it is the plain alternative, which is made where it is empty."""

    subject: str | Placeholder
    text: str | Placeholder = ""
    files: tuple[File, ...] = ()
    html: str | Placeholder = ""
    extras: CustomHeaders = NO_EXTRAS
    plain: bool = False  # `text` alone is not looked at for HTML


class _Part(Struct, frozen=True):
    """A MIME entity (RFC 2045): its Content-* fields and its encoded body, which ends in CRLF."""

    fields: tuple[Field, ...]
    body: tuple[Piece, ...]


class MimeTemplate:
    """A mail but for what differs between recipients."""

    def __init__(self, pieces: Sequence[Piece], *, utf8: bool) -> None:
        self._pieces = [b"" if isinstance(piece, Slot) else piece for piece in pieces]
        self._slots = [(at, piece) for at, piece in enumerate(pieces) if isinstance(piece, Slot)]
        self.utf8 = utf8

    @classmethod
    def build(
        cls, content: MimeContent, *, from_address: str, from_name: str = "", auto_submitted: bool
    ) -> Self:
        """Encode all that is common to every recipient.

        `auto_submitted` marks transactional mail (RFC 3834), so that no holiday notice answers.
        Raises BadContent, or BadAddress for the sender's address or name.
        """
        subject = _subject(content.subject)
        sender = clean(from_address)
        display = clean_display_name(from_name)
        root = _root(content)
        fields: list[Field] = [
            ("Message-ID", (b"<", Slot.MESSAGE_ID, b">")),
            ("Date", (Slot.DATE,)),
            ("From", (mailbox_value("From", display, sender),)),
            ("To", (content.extras.to.encode() or Slot.TO,)),
            *extra_fields(content.extras),
            ("Subject", (subject,)),
            ("MIME-Version", (b"1.0",)),
        ]
        if auto_submitted:
            fields.append(("Auto-Submitted", (b"auto-generated",)))
        pieces = block([*fields, *root.fields])
        body = [piece if isinstance(piece, Slot) else _stuff(piece) for piece in _merge(root.body)]
        utf8 = needs_utf8(sender) or content.extras.utf8
        return cls(_merge([*pieces, b"\r\n", *body]), utf8=utf8)

    @property
    def size(self) -> int:
        """Octets of a rendered mail, about: exact but for the lengths of the personal values."""
        return sum(map(len, self._pieces)) + _TYPICAL_VALUES

    def render(self, *, to: str, message_id: str, date: int, late: tuple[bytes, ...] = ()) -> bytes:
        """The mail for one recipient, as it goes after DATA but for the final dot line.

        CRLF line ends, dot-stuffed (RFC 5321 section 4.5.2), 7-bit but for a non-ASCII local
        part in From (`utf8`) or `to`, where the transaction needs SMTPUTF8.

        `to` is a cleaned address, `message_id` an `id@domain` without angle brackets, `date`
        milliseconds since 1970, `late` the subject, text and HTML where the content left them
        open: a value of `late_subject`, and bodies of `transfer`. Raises ValueError when `to` or
        `message_id` is not that.
        """
        if not _ADDRESS(to) or "=?" in to:
            raise ValueError("the recipient is not a cleaned address")
        if not _MESSAGE_ID(message_id):
            raise ValueError("the message id is not of the form id@domain")
        values = (message_id.encode(), _date(date // 1000), to.encode(), *late)
        pieces = self._pieces.copy()
        for at, slot in self._slots:
            pieces[at] = values[slot]
        return b"".join(pieces)


def late_subject(text: str) -> bytes:
    """`text` as the value of a Subject that was left open. Raises BadContent."""
    check_subject(text)
    value = text_value("Subject", text)
    if not _VALUE(value):
        check_block(b"Subject: " + value + b"\r\n", ["Subject"])
    return value


def _subject(given: str | Placeholder) -> Piece:
    if isinstance(given, Placeholder):
        return Slot.SUBJECT
    check_subject(given)
    return text_value("Subject", given)


def check_subject(text: str) -> None:
    """Raise BadContent unless `text` is 1-998 bytes of UTF-8 without controls or line breaks.

    U+2028/2029 count as line breaks; also what is hidden inside RFC 2047 encoded words counts.
    """
    if not 1 <= len(text.encode("utf-8", "surrogatepass")) <= _MAX_SUBJECT:
        raise BadContent(Detail("mail_subject_bytes", most=_MAX_SUBJECT))
    if has_control(text):
        raise BadContent(Detail("mail_subject_control"))


def _root(content: MimeContent) -> _Part:
    shown = [file for file in content.files if file.cid]
    attached = [file for file in content.files if not file.cid]
    text = _text_root(content, shown)
    if not attached:
        return text
    return _multipart("mixed", [text, *map(_attachment, attached)])


def text_and_html(content: MimeContent) -> tuple[str | Placeholder, str | Placeholder]:
    """The plain text and the HTML of a message, each "" where it has none: `text` alone that is
    HTML is taken for it, and the plain alternative is made where it is missing."""
    text, html = content.text, content.html
    if (
        not html
        and not content.plain
        and isinstance(text, str)
        and html_to_text.is_html(_lines(text))
    ):
        text, html = "", text
    if not text and isinstance(html, str) and html:
        text = html_to_text.html_to_text(_lines(html))
    return text, html


def _text_root(content: MimeContent, shown: Sequence[File]) -> _Part:
    text, html = text_and_html(content)
    if not html:
        if shown:
            raise BadContent(Detail("mail_cid_alone"))
        return _late_part("plain", text)
    root = _html_root(html, shown)
    return _multipart("alternative", [_late_part("plain", text), root]) if text else root


def _html_root(html: str | Placeholder, shown: Sequence[File]) -> _Part:
    """The HTML with the files it shows (RFC 2387)."""
    part = _late_part("html", html)
    if not shown:
        return part
    if len({file.cid for file in shown}) < len(shown):
        raise BadContent(Detail("mail_cid_twice"))
    return _multipart("related", [part, *map(_inline, shown)], more=';\r\n type="text/html"')


def _late_part(subtype: str, text: str | Placeholder) -> _Part:
    """A text's part, also where the text comes later."""
    if not isinstance(text, Placeholder):
        return _text_part(subtype, _lines(text))
    slot = Slot.TEXT if subtype == "plain" else Slot.HTML
    return _Part(_text_fields(subtype, text.encoding), (slot,))


def _lines(text: str) -> str:
    """`text` with LF for every CRLF, CR and LF, and one at its end, so that no smuggled
    end-of-data (`\\n.\\n`, `\\r.\\r`) survives as anything but a line holding a dot."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.endswith("\n") else lines + "\n"


def _text_part(subtype: str, lines: str) -> _Part:
    try:
        raw = lines.encode()
    except UnicodeEncodeError:
        raise BadContent(Detail("mail_surrogate")) from None
    encoding, body = _encode(raw)
    return _Part(_text_fields(subtype, encoding), (body,))


def _text_fields(subtype: str, encoding: bytes) -> tuple[Field, ...]:
    return (
        ("Content-Type", (f'text/{subtype}; charset="utf-8"'.encode(),)),
        ("Content-Transfer-Encoding", (encoding,)),
    )


def _encode(raw: bytes) -> tuple[bytes, bytes]:
    """Quoted-printable or base64 (RFC 2045 section 6), whichever is shorter; lines end in CRLF."""
    quoted = quoted_lines(raw)
    wired = raw.replace(b"\n", b"\r\n")
    if len(quoted) <= (len(wired) + 2) // 3 * 4 * 78 // 76:
        return b"quoted-printable", quoted
    return b"base64", _base64(wired)


def _base64(raw: bytes) -> bytes:
    return encodebytes(raw).replace(b"\n", b"\r\n") or b"\r\n"


def _attachment(file: File) -> _Part:
    return _Part(_file_fields(file, "attachment"), (_base64(file.data),))


def _inline(file: File) -> _Part:
    check_cid(file.cid)
    own: Field = ("Content-ID", (f"<{file.cid}>".encode(),))
    return _Part((*_file_fields(file, "inline"), own), (_base64(file.data),))


def _file_fields(file: File, disposition: str) -> tuple[Field, ...]:
    name = _file_name(file.name)
    return (
        ("Content-Type", (f"{_content_type(file)};\r\n name={_old_name(name)}".encode(),)),
        ("Content-Transfer-Encoding", (b"base64",)),
        ("Content-Disposition", (f"{disposition};\r\n {_new_name(name)}".encode(),)),
    )


def check_cid(cid: str) -> None:
    """Raise BadContent unless `cid` can stand in a Content-ID and in a cid: URL."""
    if not _CID(cid):
        raise BadContent(Detail("mail_cid"))


def _content_type(file: File) -> str:
    given = file.content_type.strip().lower()
    if not given:
        return _OCTETS
    if not _TYPE.fullmatch(given):
        raise BadContent(Detail("mail_file_type"))
    # RFC 2045 section 6.4 forbids base64 for these two: they travel as plain octets.
    return _OCTETS if given.startswith(("multipart/", "message/")) else given


def _file_name(name: str) -> str:
    """The last path part, without controls, direction marks, and dots, quotes or blanks around."""
    last = re.split(r"[/\\]", name)[-1]
    seen = _INVISIBLE.sub("", last).replace("=?", "=_")  # never an encoded word, even decoded twice
    safe = unicodedata.normalize("NFC", seen).strip(' ."\u00a0\u3000')  # some readers unquote twice
    stem, dot, ending = safe.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = safe, "", ""
    room = _MAX_FILE_NAME - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending or "attachment"


def _old_name(name: str) -> str:
    """For clients without RFC 2231: encoded words in quotes, which RFC 2047 does not allow but
    every one of them reads."""
    if name.isascii():
        return quoted(name)
    return '"' + "\r\n ".join(encoded_words(name, _NAME_ROOM)) + '"'


def _new_name(name: str) -> str:
    if name.isascii():
        return f"filename={quoted(name)}"
    return "filename*=UTF-8''" + quote(name, safe="")  # RFC 2231 section 4


def _multipart(subtype: str, parts: Sequence[_Part], more: str = "") -> _Part:
    # "=_" can stand neither in quoted-printable nor in base64, so no body holds the boundary
    # (RFC 2045 section 6.7). Made from the content: a second build gives the same bytes.
    known = [piece for part in parts for piece in part.body if isinstance(piece, bytes)]
    mark = sha256(b"".join(known)).hexdigest()[:24]
    boundary = f"=_{subtype}_{mark}"
    chunks: list[Piece] = []
    for part in parts:
        head = b"".join(piece for piece in block(part.fields) if isinstance(piece, bytes))
        chunks += [b"--", boundary.encode(), b"\r\n", head, b"\r\n", *part.body, b"\r\n"]
    chunks += [b"--", boundary.encode(), b"--\r\n"]
    kind = f'multipart/{subtype};\r\n boundary="{boundary}"{more}'
    return _Part((("Content-Type", (kind.encode(),)),), tuple(_merge(chunks)))


def _stuff(body: bytes) -> bytes:
    """Double each dot at the start of a line (RFC 5321 section 4.5.2)."""
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _merge(pieces: Sequence[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and isinstance(piece, bytes) and isinstance(before := merged[-1], bytes):
            merged[-1] = before + piece
        else:
            merged.append(piece)
    return merged


@lru_cache(maxsize=64)  # neighbours in a batch share their second
def _date(second: int) -> bytes:
    """RFC 5322 section 3.3. By hand: strftime speaks the process's language."""
    at = time.gmtime(second)
    day = f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04}"
    return f"{day} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} +0000".encode()
