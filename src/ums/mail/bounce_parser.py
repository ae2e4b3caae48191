"""Letters that come back to an account: delivery reports (RFC 3464), complaints (RFC 5965), what
providers write in their own words, and people's answers.

Anybody can write to a mailbox, so nothing here is believed yet: a letter only says which
Message-IDs it names, and whoever acts on it checks their signature first (reliability.md 4.5).
"""

import hashlib
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Final, Literal

from msgspec import Struct, structs

from ums.mail.outcomes import Outcome, Reply, Stage, Verdict
from ums.mail.reply_classifier import SOFT, classify_reply

MOST: Final = 256 * 1024  # octets of a letter that are read: reports come before the mail itself
HEADERS: Final = (
    "From",
    "Content-Type",
    "Return-Path",
    "In-Reply-To",
    "References",
    "X-Failed-Recipients",
)
"""What has to be known of a letter to see whether it is worth reading."""

_DEEPEST: Final = 6  # parts within parts
_PARTS: Final = 30
_TEXT: Final = 64 * 1024  # characters of one part
_IDS: Final = 20
_ID: Final = re.compile(r"<([^<>\s]{3,250})>")
_OWN_ID: Final = re.compile(r"message-id:\s*<([^<>\s]{3,250})>", re.IGNORECASE)
_POSTMASTER: Final = re.compile(r"\b(?:mailer-daemon|postmaster)\b", re.IGNORECASE)
_CODE: Final = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# A server's words in a letter that has no report: the code, and what follows on its line.
_WORDS: Final = re.compile(r"(?<![\d.])[45]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3})?[^\n]{3,500}")
_BARE_WORDS: Final = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}[ :][^\n]{3,500}")
_HOST: Final = re.compile(r"^\s*[\w-]+;\s*")  # "smtp; " and "rfc822; "

Kind = Literal["failed", "delayed", "delivered", "answered", "complaint"]
_WORST_FIRST: Final[tuple[Kind, ...]] = ("failed", "delayed", "delivered")


class InboundReport(Struct, frozen=True):
    """What came back, and about which mails."""

    kind: Kind
    message_ids: tuple[str, ...]  # the likeliest first, without angle brackets
    reply: Reply = Reply(0, "", "")  # the words of the server that would not take the mail
    digest: str = ""  # tells this letter from all others


def worth_reading(headers: bytes) -> bool:
    """Whether a letter with these headers may say something of a mail of ours."""
    head = BytesParser(policy=compat32).parsebytes(headers, headersonly=True)
    return _reports(head) or _from_a_server(head) or any(_cited(head))


def read(raw: bytes) -> InboundReport | None:
    """What a letter says, by its first `MOST` octets; None where it says nothing of a mail."""
    letter = _understood(BytesParser(policy=compat32).parsebytes(raw[:MOST]))
    ids = tuple(dict.fromkeys(letter.message_ids))[:_IDS]
    digest = hashlib.blake2b(raw[:MOST], digest_size=16).hexdigest()
    return structs.replace(letter, message_ids=ids, digest=digest) if ids else None


def _understood(mail: Message) -> InboundReport:
    kind = str(mail.get_param("report-type") or "").lower()
    if kind == "feedback-report":
        return InboundReport("complaint", (*_returned_ids(mail), *_cited(mail)))
    if kind == "delivery-status" or _part(mail, "message/delivery-status") is not None:
        return _report(mail)
    if _from_a_server(mail):
        return _in_own_words(mail)
    return InboundReport("answered", tuple(_cited(mail)))


def means(letter: InboundReport) -> Outcome:
    """What a failure says of the recipient and the mail: a server's words as ever, and
    `not_delivered` where they only meant "later" (the relay has given up since)."""
    outcome = classify_reply(
        Stage.RCPT, letter.reply
    )  # where most is said; nobody tells the command
    refused = outcome.verdict is Verdict.REFUSED or outcome.reason in SOFT
    reason = outcome.reason if refused else "not_delivered"
    return structs.replace(outcome, verdict=Verdict.REFUSED, stage=Stage.AFTER, reason=reason)


def _report(mail: Message) -> InboundReport:
    status = _part(mail, "message/delivery-status")
    blocks = [one for one in status.walk() if one is not status] if status is not None else []
    told = [one for one in blocks if one.get("Action") or one.get("Status")]
    kinds = {_kind(one): one for one in reversed(told)}
    ids = (*_returned_ids(mail), *_cited(mail))
    for kind in _WORST_FIRST:
        if kind in kinds:
            return InboundReport(kind, ids, _reply(kinds[kind]))
    return InboundReport("delayed", ids)


def _kind(block: Message) -> Kind:
    action = str(block.get("Action", "")).strip().lower()
    if action in ("delivered", "relayed", "expanded"):
        return "delivered"
    return "failed" if action == "failed" else "delayed"


def _reply(block: Message) -> Reply:
    words = _HOST.sub("", _header(block, "Diagnostic-Code"))
    return reply_of(words, _header(block, "Status"))


def reply_of(words: str, status: str = "") -> Reply:
    """A server's words as somebody else tells them; where they hold no code, the one that the
    status (RFC 3463) means."""
    code, enhanced = _CODE.search(words), _ENHANCED.search(words)
    found = enhanced or _ENHANCED.search(status)
    digits = code[1] if code else f"{found[1][0]}50" if found else "550"
    return Reply(int(digits), found[1] if found else "", words[:1000])


def _in_own_words(mail: Message) -> InboundReport:
    """A postmaster's letter without a report, as QQ and NetEase write them: the server's words
    stand somewhere in its text."""
    ids = (*_returned_ids(mail), *_cited(mail))
    for text in _texts(mail):
        match = _WORDS.search(text) or _BARE_WORDS.search(text)
        if match is not None:
            words = " ".join(re.sub(r"<[^<>@]*>", " ", match[0]).split())
            code, enhanced = _CODE.match(words), _ENHANCED.search(words)
            digits = code[1] if code else f"{words[0]}50"
            kind: Kind = "failed" if digits[0] == "5" else "delayed"
            return InboundReport(
                kind, ids, Reply(int(digits), enhanced[1] if enhanced else "", words)
            )
    return InboundReport("delayed", ids)


def _returned_ids(mail: Message) -> Iterator[str]:
    """Of the mail that came back: in the letter, or its headers alone, or quoted in its text."""
    for part in _parts(mail):
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                yield from _ID.findall(_header(inner[0], "Message-ID"))
    for part in _parts(mail):
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers"):
            yield from _OWN_ID.findall(_text(part))
    for text in _texts(mail):
        yield from _OWN_ID.findall(text)


def _cited(mail: Message) -> Iterator[str]:
    for name in ("In-Reply-To", "References"):
        yield from reversed(_ID.findall(_header(mail, name)[-4000:]))


def _reports(head: Message) -> bool:
    return head.get_content_type() == "multipart/report"


def _from_a_server(head: Message) -> bool:
    nobody = _header(head, "Return-Path").strip() == "<>"
    failed = head.get("X-Failed-Recipients") is not None
    return nobody or failed or _POSTMASTER.search(_header(head, "From")) is not None


def _header(message: Message, name: str) -> str:
    value = str(message.get(name, ""))[:8000]
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError, MessageError):
        return value


def _part(mail: Message, content_type: str) -> Message | None:
    return next((one for one in _parts(mail) if one.get_content_type() == content_type), None)


def _parts(mail: Message) -> Iterator[Message]:
    """The parts of the letter, outer ones first; not those of the mail that came back."""
    level, left = [mail], _PARTS
    for _ in range(_DEEPEST):
        deeper: list[Message] = []
        for part in level[:left]:
            left -= 1
            yield part
            inner = part.get_payload()
            if part.get_content_maintype() == "multipart" and isinstance(inner, list):
                deeper += [one for one in inner if isinstance(one, Message)]
        level = deeper


def _texts(mail: Message) -> Iterator[str]:
    for part in _parts(mail):
        if part.get_content_maintype() == "text":
            text = _text(part)
            plain = re.sub(r"<(?!/?[^<>\s]*@)[a-zA-Z/!][^<>]{0,2000}>", "\n", text)
            yield plain if part.get_content_subtype() == "html" else text


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    for charset in (str(part.get_content_charset() or "utf-8"), "gb18030"):
        try:
            return raw[:_TEXT].decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw[:_TEXT].decode("latin-1")
