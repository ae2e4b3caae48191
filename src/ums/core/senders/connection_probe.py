"""Other ways to a sender's server: when the usual one fails, which port and mode would do?

Looked for up to the greeting and EHLO, without logging in: a password is sent to nobody here.
"""

import asyncio
from typing import Final

from msgspec import Struct

from ums.mail.email_account import EmailSettings
from ums.mail.outcomes import Encryption
from ums.mail.smtp.connect import Server, Timeouts
from ums.mail.smtp.errors import SmtpError
from ums.mail.smtp.session import connect

SECONDS: Final = 8.0
# The better ones first: encrypted from the first byte, then later, then not at all.
USUAL: Final = (
    (465, Encryption.SSL),
    (994, Encryption.SSL),
    (587, Encryption.STARTTLS),
    (25, Encryption.STARTTLS),
    (80, Encryption.STARTTLS),
    (25, Encryption.NONE),
    (80, Encryption.NONE),
)


class Way(Struct, frozen=True):
    """A port and a mode that the server answers to."""

    port: int
    encryption: Encryption
    features: list[str]


async def ways_of(own: EmailSettings) -> list[Way]:
    """Those that work now, the best first, less the one that the sender has."""
    modes = (Encryption.SSL, Encryption.STARTTLS, Encryption.NONE)
    wanted = dict.fromkeys([*((own.port, mode) for mode in modes), *USUAL])
    wanted.pop((own.port, own.encryption), None)
    found = await asyncio.gather(*(_try(own.host, port, mode) for port, mode in wanted))
    return [way for way in found if way is not None and _would_do(way, own)]


def _would_do(way: Way, own: EmailSettings) -> bool:
    """A server that offers no log-in takes none, and in clear one that offers STARTTLS mostly
    demands it."""
    if own.account and "AUTH" not in way.features:
        return False
    return way.encryption is not Encryption.NONE or "STARTTLS" not in way.features


async def _try(host: str, port: int, encryption: Encryption) -> Way | None:
    server = Server(
        host=host,
        port=port,
        encryption=encryption,
        timeouts=Timeouts(connect=SECONDS, command=SECONDS, dot=SECONDS),
    )
    try:
        async with asyncio.timeout(SECONDS):
            session = await connect(server)
    except (SmtpError, TimeoutError, OSError):
        return None
    features = sorted(session.features)
    await session.quit()
    return Way(port, encryption, features)
