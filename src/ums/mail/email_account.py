"""The settings of an e-mail account: where its server is and who it sends as (ums-spec 2.3)."""

import ipaddress
import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ums.bounds import said
from ums.mail.outcomes import Encryption, Timeouts
from ums.mail.smtp.connect import Server

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
