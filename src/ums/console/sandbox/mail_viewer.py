"""Takes a caught mail apart for showing. The mail may be hostile: nothing here ever fails."""

import base64
import contextlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from typing import Any, Final

from msgspec import Struct

MOST_PARTS: Final = 500
MOST_DEPTH: Final = 50
LONGEST_HEADER: Final = 2_000
LONGEST_NAME: Final = 120

# Chinese mailers say gb2312 and mean its superset.
WIDER: Final = {"gb2312": "gb18030", "gbk": "gb18030", "ascii": "utf-8", "us-ascii": "utf-8"}
# Codecs that are no charsets: slow on purpose-made input, or mere notations.
NO_CHARSETS: Final = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7", "utf7"}

# Control characters and those that turn the direction of text, which disguise "fdp.exe".
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_CID = re.compile(r"cid:([^\s\"'<>()]{1,200})", re.IGNORECASE)


class File(Struct, frozen=True):
    """An attachment, or any other part that is not the text of the mail."""

    name: str
    kind: str
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)


class MailView(Struct, frozen=True):
    """What there is to see of a mail."""

    headers: dict[str, str]
    html: str | None
    text: str | None
    files: list[File]
    broken: bool


SHOWN: Final = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID")


def view(source: bytes) -> MailView:
    """Everything at once. Parts that cannot be read are left out, and `broken` tells so."""
    try:
        # Not policy.default: its header parser raises on crafted headers, this one does not.
        mail = message_from_bytes(source)
        return _taken_apart(mail)
    except Exception:  # whatever the standard library stumbles over, the source can be shown
        return MailView({}, None, None, [], broken=True)


def charset_of(source: bytes) -> str:
    """The charset in which `source` is best shown as it is."""
    for charset in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            source.decode(charset)
            return charset
    return "latin-1"


def _taken_apart(mail: Message) -> MailView:
    html = text = None
    files: list[File] = []
    images: dict[str, str] = {}
    for number, part in enumerate(_parts(mail), 1):
        kind = part.get_content_type()
        shown = part.get_content_disposition() != "attachment" and not part.get_filename()
        if shown and kind == "text/html" and html is None:
            html = _text(part)
        elif shown and kind == "text/plain" and text is None:
            text = _text(part)
        else:
            file = File(_name(part, number), kind, _content(part))
            files.append(file)
            images |= _image(part, file)
    headers = {name: value for name in SHOWN if (value := _header(mail, name))}
    if html is not None:
        html = _CID.sub(lambda found: images.get(found[1].lower(), found[0]), html)
    return MailView(headers, html, text, files, broken=bool(mail.defects))


def _parts(mail: Message) -> Iterator[Message]:
    """The leaves of the tree. An attached mail is a leaf: it is a file, not our text."""
    waiting, seen = [(mail, 0)], 0
    while waiting and seen < MOST_PARTS:
        part, depth = waiting.pop()
        seen += 1
        inside: Any = part.get_payload()
        split = isinstance(inside, list) and part.get_content_maintype() == "multipart"
        if split and depth < MOST_DEPTH:
            waiting.extend((one, depth + 1) for one in reversed(inside))
        elif not split:
            yield part


def _content(part: Message) -> bytes:
    if part.get_content_maintype() == "message" and part.is_multipart():
        inner: Any = part.get_payload(0)
        return bytes(inner)
    content: Any = part.get_payload(decode=True)
    return content or b""


def _text(part: Message) -> str:
    return _clean(_decode(_content(part), part.get_content_charset()))


def _decode(content: bytes, charset: str | None) -> str:
    """As the mail says; else as UTF-8, as Chinese, or byte by byte, which always works."""
    said = WIDER.get((charset or "").lower(), (charset or "").lower())
    known = [] if said.replace("-", "_") in NO_CHARSETS else [said]
    for candidate in [*filter(None, known), "utf-8", "gb18030"]:
        with contextlib.suppress(LookupError, ValueError):
            return content.decode(candidate)
    return content.decode("latin-1")


def _clean(text: str) -> str:
    """Without lone surrogates, which no response could carry, and without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "�")


def _raw_header(part: Message, name: str) -> str:
    """The first header `name`, unfolded; bytes above ASCII decoded as UTF-8 or Chinese."""
    found: Iterator[Any] = (value for key, value in part.raw_items() if key.lower() == name)
    value = _FOLD.sub("", str(next(found, "")))[:LONGEST_HEADER]
    return _decode(value.encode("utf-8", "surrogateescape"), None)


def _header(part: Message, name: str) -> str:
    return _printable(_words(_raw_header(part, name.lower())))


def _words(text: str) -> str:
    """With the encoded words of RFC 2047 decoded."""
    try:
        pieces: list[tuple[Any, str | None]] = list(decode_header(text))
    except Exception:  # binascii, HeaderParseError, ValueError: then it stays as it is
        return text
    return "".join(_decode(one, code) if isinstance(one, bytes) else one for one, code in pieces)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", _clean(text)).strip()


def _name(part: Message, number: int) -> str:
    """A file name that is safe to offer: one line, no path, no hidden file, no turned text."""
    bare = Message()
    for header in ("Content-Disposition", "Content-Type"):
        bare[header] = _printable(_raw_header(part, header.lower()))
    name = _printable(_words(bare.get_filename() or ""))
    name = re.sub(r'[/\\:*?"<>|]', "_", name).strip(" .")
    if len(name) > LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        tail = dot + ending if stem and len(ending) <= 10 else ""
        name = name[: LONGEST_NAME - len(tail)] + tail
    return name or f"part-{number}{_ending(part.get_content_type())}"


def _ending(kind: str) -> str:
    return {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml"}.get(kind, ".bin")


def _image(part: Message, file: File) -> dict[str, str]:
    """The image as a data: address under its Content-ID, for `<img src="cid:...">`."""
    identity = _raw_header(part, "content-id").strip().strip("<>").lower()
    if not identity or not re.fullmatch(r"image/[a-z0-9.+-]{1,40}", file.kind):
        return {}
    return {identity: f"data:{file.kind};base64,{base64.b64encode(file.content).decode()}"}
