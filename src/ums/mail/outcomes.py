"""What every sender type shares: the stages of a hand-over, how long each may take, and how one
ended."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs


class Encryption(StrEnum):
    """How a connection is protected. There is no "if available": required means required."""

    NONE = "none"
    SSL = "ssl"  # TLS from the first byte (RFC 8314)
    STARTTLS = "starttls"  # RFC 3207


class Stage(StrEnum):
    """Where in a hand-over something happened; each comes after the one above it."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"  # the body's end was sent: from here on the outcome is the server's
    AFTER = "after"  # the hand-over is over: what was found out about the mail since


class Verdict(StrEnum):
    """How an attempt ended."""

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Bounce(StrEnum):
    """What an outcome says about the address itself, for the suppression list."""

    NONE = ""
    SOFT = "soft"  # mailbox full: counts, and suppresses only when it goes on
    HARD = "hard"  # no such mailbox or domain: do not write there again


class Schedule(StrEnum):
    """How the next try is spaced (see `ums.mail.reply_classifier.retry_delay`)."""

    USUAL = "usual"  # 75 s ... 12 h, 13 retries in 72 h
    MAILBOX = "mailbox"  # 1 h, 6 h, 24 h
    ONCE = "once"  # one retry only


class Scope(StrEnum):
    """What a reply speaks about, and so what has to rest or stop."""

    DELIVERY = "delivery"
    SENDER = "sender"


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """`text` without breaks, as people read it in a table."""
    return _CONTROL.sub("\ufffd", re.sub(r"[ \t]*[\r\n]+[ \t]*|\t", " ", text)).strip()


class Reply(Struct, frozen=True):
    """A server's reply (RFC 5321 section 4.2), decoded for people to read.

    `code` is the three digits, `enhanced` the RFC 3463 code ("5.1.1") or "", `text` the lines
    without their codes, joined by a space (UTF-8, else GB18030, else Latin-1), at most 1,000
    characters. Whoever makes one, the text is a single line: folds are undone (RFC 5322 section
    2.2.3), other control characters replaced.
    """

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.isprintable():
            structs.force_setattr(self, "text", one_line(self.text))

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300


class Envelope(Struct, frozen=True):
    """Who sends to whom (RFC 5321 section 2.3.1); addresses already validated."""

    mail_from: str
    rcpt_to: str
    size: int  # octets of the body as it goes over the wire, for SIZE (RFC 1870)
    utf8: bool = False  # the transaction needs SMTPUTF8 (RFC 6531)


class Timeouts(Struct, frozen=True):
    """Seconds; each bounds a whole reply, so that a slow drip does not extend it."""

    connect: float = 30.0  # name look-up and TCP together, then TLS
    command: float = 300.0  # RFC 5321 section 4.5.3.2 asks for 5 minutes
    dot: float = 600.0  # 10 minutes: giving up early here makes duplicates (RFC 1047)


Watch = Callable[[Stage, dict[str, str]], None]  # told of each stage that went well, with facts


def unwatched(_stage: Stage, _facts: dict[str, str]) -> None:
    """Nobody looks on."""


class Outcome(Struct, frozen=True):
    """A verdict with its reason: what the engine acts on and the attempt records."""

    verdict: Verdict
    stage: Stage
    reason: str  # a slug of the reply table, such as "no_such_mailbox"
    scope: Scope = Scope.DELIVERY
    charged: bool = True  # whether the attempt counts towards the retry schedule
    wait: int | None = None  # milliseconds to wait at least, where the reply or table tells
    reply: Reply | None = None
    detail: str = ""  # our own words where there is no reply ("connection reset")
    schedule: Schedule = Schedule.USUAL  # with verdict "later": how the next try is spaced
    bounce: Bounce = Bounce.NONE
