"""The email sender type: one SMTP account (ums-spec 2.3)."""

import ipaddress
import re
from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import Meta, Struct

from ums.bounds import said
from ums.mail.mime.builder import MimeContent, MimeTemplate
from ums.mail.outcomes import Encryption
from ums.mail.smtp.connect import Server, Timeouts, Watch, unwatched
from ums.mail.smtp.session import SmtpSession, connect

FREE_PORTS = frozenset({25, 80, 443, 465, 587, 2525})


def read_ports(text: str) -> frozenset[int]:
    """Ports with commas between them. Raises ValueError."""
    ports = frozenset(int(part) for part in text.split(",") if part.strip())
    if not ports <= set(range(1, 65536)):
        raise ValueError(text)
    return ports


_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


Host = Annotated[
    str,
    Meta(min_length=1, max_length=253, description="A host name or an IP address."),
    said(pattern="^[A-Za-z0-9_.:%-]+$"),
]


class EmailSettings(Struct, frozen=True):
    """The six items of an account, less its password, which is kept sealed."""

    host: str
    port: int
    encryption: Encryption
    account: str
    from_address: str
    from_name: str = ""


class Transport(Protocol):
    """What the engine needs of a sender type; a further type is one more file with these."""

    name: ClassVar[str]

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch = unwatched
    ) -> SmtpSession:
        """A session that is ready for its first mail. Raises SmtpError."""
        ...

    def build(self, settings: str, content: MimeContent, *, automatic: bool) -> MimeTemplate:
        """The mail of one message, to be rendered for each recipient. Raises BadContent."""
        ...


class SmtpTransport:
    """Sends through the account's server."""

    name: ClassVar[str] = "email"

    def __init__(self, ehlo_name: str = "") -> None:
        self._ehlo_name = ehlo_name

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch = unwatched
    ) -> SmtpSession:
        own = server(read(settings), secret, timeouts)
        named = msgspec.structs.replace(own, local_name=self._ehlo_name)
        return await connect(named, watch)

    def build(self, settings: str, content: MimeContent, *, automatic: bool) -> MimeTemplate:
        own = read(settings)
        return MimeTemplate.build(
            content,
            from_address=own.from_address,
            from_name=own.from_name,
            auto_submitted=automatic,
        )


class SandboxTransport(SmtpTransport):
    """Sends through the same SMTP code, but only to this process's own receiver."""

    name: ClassVar[str] = "sandbox"

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch = unwatched
    ) -> SmtpSession:
        own = msgspec.structs.replace(read(settings), host="127.0.0.1", port=self._port)
        return await connect(server(own, secret, timeouts), watch)


def read(settings: str) -> EmailSettings:
    return msgspec.json.decode(settings, type=EmailSettings)


def binding(settings: EmailSettings) -> str:
    """Where the password may be sent. It is sealed with this, so that whoever changes one of
    these has to know the password (reliability.md, threat 3)."""
    parts = (settings.host, str(settings.port), settings.account, settings.encryption.value)
    return "|".join(parts)


def server(settings: EmailSettings, password: str, timeouts: Timeouts) -> Server:
    return Server(
        host=settings.host,
        port=settings.port,
        encryption=settings.encryption,
        account=settings.account,
        password=password,
        timeouts=timeouts,
    )


def is_host(text: str) -> bool:
    """Whether `text` is a host name or an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return True
