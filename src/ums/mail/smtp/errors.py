"""How an SMTP hand-over fails: one exception, a small set of kinds."""

from enum import StrEnum

from ums.mail.outcomes import Reply, Stage


class SmtpErrorKind(StrEnum):
    """What went wrong, apart from where (the `Stage`)."""

    REFUSED = "refused"  # the server said no; the reply is there
    LOST = "lost"  # reset, end of stream, deadline passed
    TLS = "tls"  # handshake, certificate, STARTTLS missing, log-in in clear
    DNS_MISSING = "dns_missing"  # the name does not exist
    DNS_FAILED = "dns_failed"  # the name service did not answer
    GARBAGE = "garbage"  # the server broke the protocol
    CAPABILITY = "capability"  # SMTPUTF8 or a log-in method that the server does not have
    TOO_BIG = "too_big"  # larger than the server's SIZE; nothing was written
    INVALID = "invalid"  # our own argument may not go on the wire; nothing was written


class SmtpError(Exception):
    """A hand-over that did not go through.

    The outcome is unknown only with stage DOT and kind LOST or GARBAGE; in every other case the
    server has not taken the message. Never holds a credential.
    """

    def __init__(
        self, kind: SmtpErrorKind, stage: Stage, detail: str, reply: Reply | None = None
    ) -> None:
        super().__init__(f"{stage}: {detail}")
        self.kind = kind
        self.stage = stage
        self.detail = detail
        self.reply = reply

    @classmethod
    def refused(cls, stage: Stage, reply: Reply) -> "SmtpError":
        """The server's own "no" at `stage`."""
        return cls(SmtpErrorKind.REFUSED, stage, f"{reply.code} {reply.text}", reply)
