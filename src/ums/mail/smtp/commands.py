"""What we say to a server: every command passes one choke point before it becomes bytes."""

import re
from collections.abc import Mapping
from typing import Final

from ums.mail.outcomes import Envelope, Stage
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind

# A line break inside an argument would be a second command (RFC 5321 section 2.3.8).
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
# Deliberately narrower than RFC 5321 section 4.1.2: nothing that could end the path early.
_PATH: Final = re.compile(r'(?:[^\s<>"\\]+|"(?:[^"\\]|\\.)+")@[^\s<>"\\@]+')


def encode(*lines: str, stage: Stage) -> bytes:
    """`lines` as commands; raises `SmtpError` (INVALID) for bytes 00-1F and 7F, unwritten."""
    if _CONTROL.search("".join(lines)):
        raise SmtpError(SmtpErrorKind.INVALID, stage, "control character in a command")
    try:
        return ("\r\n".join(lines) + "\r\n").encode()
    except UnicodeEncodeError:
        raise SmtpError(
            SmtpErrorKind.INVALID, stage, "text that is not Unicode in a command"
        ) from None


class CommandBuilder:
    """Writes the commands of transactions for one server, as far as its features allow."""

    def __init__(self, features: Mapping[str, str]) -> None:
        size = features.get("SIZE")
        self._sized = size is not None
        self._limit = int(size) if size and size.isascii() and size.isdigit() else 0
        self._eight = " BODY=8BITMIME" if "8BITMIME" in features else ""
        self._utf8 = "SMTPUTF8" in features

    def transaction(self, envelope: Envelope) -> tuple[str, str, str]:
        """MAIL, RCPT and DATA for `envelope` (RFC 5321 section 3.3).

        Raises `SmtpError`: INVALID address, CAPABILITY (SMTPUTF8 missing), TOO_BIG.
        """
        self._check(envelope)
        mail = f"MAIL FROM:<{envelope.mail_from}>"
        if self._sized:
            mail += f" SIZE={envelope.size}"
        mail += self._eight
        if _international(envelope):
            mail += " SMTPUTF8"
        return mail, f"RCPT TO:<{envelope.rcpt_to}>", "DATA"

    def _check(self, envelope: Envelope) -> None:
        if envelope.mail_from and not _PATH.fullmatch(envelope.mail_from):
            raise SmtpError(
                SmtpErrorKind.INVALID, Stage.MAIL, "envelope sender may not go on the wire"
            )
        if not _PATH.fullmatch(envelope.rcpt_to):
            raise SmtpError(SmtpErrorKind.INVALID, Stage.RCPT, "recipient may not go on the wire")
        if self._limit and envelope.size > self._limit:
            detail = f"message of {envelope.size} octets, the server takes {self._limit}"
            raise SmtpError(SmtpErrorKind.TOO_BIG, Stage.MAIL, detail)
        if not self._utf8 and _international(envelope):
            raise SmtpError(
                SmtpErrorKind.CAPABILITY, Stage.MAIL, "the server does not offer SMTPUTF8"
            )


def _international(envelope: Envelope) -> bool:
    # RFC 6531 section 3.4: an address beyond ASCII needs it, whatever the caller believed.
    return envelope.utf8 or not envelope.rcpt_to.isascii() or not envelope.mail_from.isascii()


def stuffed(data: bytes) -> bytes:
    """`data` as a body for the wire: CRLF line ends, leading dots doubled, CRLF at the end.

    For messages made in one piece; the composer of mail stuffs its static parts once instead.
    """
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    text = re.sub(rb"(?m)^\.", b"..", text)
    return text if text.endswith(b"\r\n") else text + b"\r\n"
