"""The header fields a caller may add to a mail: Cc, Reply-To, and those of an allow-list."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from ums.errors import Detail
from ums.mail.addresses import clean, needs_utf8
from ums.mail.mime.headers import FOLD, BadContent, Field, fold_words, has_control, text_value

MAX_HEADERS = 20
MAX_VALUE = 998  # bytes
MAX_MAILBOXES = 50

# Fields whose value is words for people; the rest have a grammar of their own.
_WORDS = frozenset({"organization", "keywords", "comments", "feedback-id"})
_OWN = re.compile(r"x-[a-z0-9][a-z0-9-]{0,60}")
# What receivers give a meaning of their own, or what is ours to say.
_RESERVED = re.compile(r"x-(?:ums|originating|spam|virus|ms-exchange|google|qq|original)(?:-.*)?")
_MESSAGE_IDS = re.compile(r"<[!-;=?-~]{1,250}>(?: <[!-;=?-~]{1,250}>){0,20}")
_LIST_ID = re.compile(r"(?:[!-;=?-~]+(?: [!-;=?-~]+)* )?<[A-Za-z0-9.-]{1,253}>")
_ONE_CLICK = "List-Unsubscribe=One-Click"
_IMPORTANCE = ("high", "normal", "low")


class Header(Struct, frozen=True):
    """A field of the caller's own."""

    name: str
    value: str


class CustomHeaders(Struct, frozen=True, omit_defaults=True):
    """What a mail's header says besides the usual."""

    to: str = ""  # who is named in To; "": each recipient himself
    cc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()

    @property
    def utf8(self) -> bool:
        """Whether it can only travel with SMTPUTF8 (RFC 6531)."""
        return any(map(needs_utf8, (self.to, *self.cc, *self.reply_to)))


NO_EXTRAS = CustomHeaders()


def fields(extras: CustomHeaders) -> list[Field]:
    """The fields, checked. Raises BadContent, or BadAddress."""
    found: list[Field] = []
    for name, mailboxes in (("Cc", extras.cc), ("Reply-To", extras.reply_to)):
        if mailboxes:
            found.append((name, (_mailboxes(mailboxes),)))
    check_headers(extras.headers)
    found += [(header.name, (_value(header),)) for header in extras.headers]
    return found


def check_headers(headers: Sequence[Header]) -> None:
    """Raises BadContent for a name that is not allowed or there twice, and for a bad value."""
    if len(headers) > MAX_HEADERS:
        raise BadContent(Detail("mail_headers_many", most=MAX_HEADERS))
    names = [header.name.lower() for header in headers]
    for header, name in zip(headers, names, strict=True):
        if names.count(name) > 1:
            raise BadContent(Detail("mail_header_twice", name=repr(header.name[:70])))
        check_header(header)


def check_header(header: Header) -> None:
    """Raises BadContent."""
    name, value = header.name.lower(), header.value
    known = name in _WORDS or name in _GRAMMARS or _OWN.fullmatch(name)
    if not known or _RESERVED.fullmatch(name):
        raise BadContent(Detail("mail_header_denied", name=repr(header.name[:70])))
    if not 1 <= len(value.encode("utf-8", "surrogatepass")) <= MAX_VALUE or value.strip() != value:
        raise BadContent(Detail("mail_header_bytes", name=header.name, most=MAX_VALUE))
    if has_control(value):
        raise BadContent(Detail("mail_header_control", name=header.name))
    if name in _GRAMMARS and not _GRAMMARS[name](value):
        raise BadContent(Detail("mail_header_form", name=header.name))


def _is_unsubscribe(value: str) -> bool:
    """RFC 2369: URIs in angle brackets, separated by commas."""
    parts = [part.strip() for part in value.split(",")]
    return value.isascii() and all(_is_link(part) for part in parts)


def _is_link(part: str) -> bool:
    if not (part.startswith("<") and part.endswith(">")) or " " in part or len(part) > 900:
        return False
    try:
        url = urlsplit(part[1:-1])
    except ValueError:
        return False
    return (url.scheme == "https" and bool(url.netloc)) or (
        url.scheme == "mailto" and "@" in url.path
    )


_GRAMMARS: dict[str, Callable[[str], bool]] = {
    "list-unsubscribe": _is_unsubscribe,
    "list-unsubscribe-post": lambda value: value == _ONE_CLICK,
    "list-id": lambda value: _LIST_ID.fullmatch(value) is not None,
    "in-reply-to": lambda value: _MESSAGE_IDS.fullmatch(value) is not None,
    "references": lambda value: _MESSAGE_IDS.fullmatch(value) is not None,
    "importance": lambda value: value.lower() in _IMPORTANCE,
    "precedence": lambda value: value.lower() in ("bulk", "list"),
}


def _value(header: Header) -> bytes:
    if header.name.lower() in _GRAMMARS:
        return _folded(header.value.split(" "), header.name)
    return text_value(header.name, header.value)


def _mailboxes(addresses: Sequence[str]) -> bytes:
    if len(addresses) > MAX_MAILBOXES:
        raise BadContent(Detail("mail_mailboxes", most=MAX_MAILBOXES))
    cleaned = [clean(address) for address in addresses]
    return _folded([*(f"{address}," for address in cleaned[:-1]), cleaned[-1]], "Reply-To")


def _folded(words: Sequence[str], name: str) -> bytes:
    return "\r\n ".join(fold_words(words, FOLD - len(name) - 2)).encode()
