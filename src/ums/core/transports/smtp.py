"""The email sender type: one SMTP account (ums-spec 2.3), and the sandbox, which uses the same."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from msgspec import Struct

from ums.core.transports.protocol import Commit, MessageFacts, Recipient, TransportError
from ums.mail.addresses import needs_utf8
from ums.mail.email_account import EmailSettings, read, server
from ums.mail.mime.builder import MimeContent, MimeTemplate, late_subject
from ums.mail.mime.transfer_encoding import Encoder, encoder
from ums.mail.outcomes import Envelope, Outcome, Stage, Timeouts, Watch
from ums.mail.reply_classifier import classify_error, classify_reply
from ums.mail.smtp.connect import Server
from ums.mail.smtp.errors import SmtpError
from ums.mail.smtp.session import SmtpSession, connect


class SmtpMail(Struct, frozen=True):
    """A mail as it goes over the wire."""

    envelope: Envelope
    body: bytes


class SmtpMessageTemplate:
    """The mail of one message from one account."""

    def __init__(self, mime: MimeTemplate, from_address: str) -> None:
        self._mime = mime
        self._from_address = from_address
        self._domain = from_address.rpartition("@")[2]

    @property
    def size(self) -> int:
        return self._mime.size

    def render(self, to: Recipient, of: MessageFacts, late: tuple[bytes, ...] = ()) -> SmtpMail:
        body = self._mime.render(
            to=to.address, message_id=f"{to.token}@{self._domain}", date=of.date, late=late
        )
        utf8 = self._mime.utf8 or needs_utf8(to.address)
        return SmtpMail(Envelope(self._from_address, to.address, len(body), utf8), body)


class SmtpTransportSession:
    """A logged-in connection to the account's server."""

    def __init__(self, smtp: SmtpSession, from_address: str) -> None:
        self._smtp = smtp
        self._from_address = from_address

    @property
    def carried(self) -> int:
        return self._smtp.carried

    @property
    def usable(self) -> bool:
        return self._smtp.usable

    async def send(self, mail: SmtpMail, commit: Commit[SmtpMail], watch: Watch) -> Outcome:
        """MAIL, RCPT, DATA and the body; the final dot after `commit`. The commands of a mail that
        follows ride with the dot where the server pipelines."""
        try:
            await self._smtp.start(mail.envelope)
            watch(Stage.DATA, {})
            await self._smtp.body(mail.body)
            following = await commit()
            reply = await self._smtp.finish(following.envelope if following else None)
        except SmtpError as error:
            return classify_error(error)
        except BaseException:
            self._smtp.abort()
            raise
        return classify_reply(Stage.DOT, reply)

    async def rehearse(self, address: str, watch: Watch) -> None:
        """MAIL and RCPT, then RSET; for the account's own address where `address` is empty."""
        own = self._from_address
        to = address or own
        envelope = Envelope(own, to, 1024, needs_utf8(to) or needs_utf8(own))
        try:
            await self._smtp.rehearse(envelope, watch)
        except SmtpError as error:
            raise TransportError(classify_error(error)) from error

    async def close(self) -> None:
        await self._smtp.quit()

    def abort(self) -> None:
        self._smtp.abort()


class SmtpTransport:
    """Sends through the account's server."""

    name: ClassVar[str] = "email"

    def __init__(self, ehlo_name: str = "") -> None:
        self._ehlo_name = ehlo_name

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch
    ) -> SmtpTransportSession:
        own = read(settings)
        try:
            session = await connect(self._server(own, secret, timeouts), watch)
        except SmtpError as error:
            raise TransportError(classify_error(error)) from error
        return SmtpTransportSession(session, own.from_address)

    def build(self, settings: str, content: MimeContent, *, automatic: bool) -> SmtpMessageTemplate:
        own = read(settings)
        mime = MimeTemplate.build(
            content,
            from_address=own.from_address,
            from_name=own.from_name,
            auto_submitted=automatic,
        )
        return SmtpMessageTemplate(mime, own.from_address)

    def text_encoder(self, texts: Sequence[str]) -> Encoder:
        return encoder(texts)

    def encode_subject(self, text: str) -> bytes:
        return late_subject(text)

    def _server(self, own: EmailSettings, secret: str, timeouts: Timeouts) -> Server:
        named = server(own, secret, timeouts)
        return msgspec.structs.replace(named, local_name=self._ehlo_name)


class SandboxTransport(SmtpTransport):
    """Sends through the same SMTP code, but only to this process's own receiver."""

    name: ClassVar[str] = "sandbox"

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def _server(self, own: EmailSettings, secret: str, timeouts: Timeouts) -> Server:
        here = msgspec.structs.replace(own, host="127.0.0.1", port=self._port)
        return server(here, secret, timeouts)
