"""The sandbox's own SMTP server: takes what the sandbox sender sends and shows it to nobody else.

It listens on a free port of the loopback interface, so that sandbox mail goes through the whole
of the real SMTP code.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

from ums.core.context.app_context import AppContext
from ums.core.deliveries import sandbox_mailbox
from ums.core.deliveries.message_id import signer_of
from ums.errors import UmsError

SIZE_LIMIT = 40 * 1024 * 1024


class _Keeper:
    """aiosmtpd's handler: stores each mail before it is acknowledged."""

    def __init__(self, system: AppContext) -> None:
        self._system, self._signer = system, signer_of(system.seal)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        source = envelope.content if isinstance(envelope.content, bytes) else b""
        sender, recipient = envelope.mail_from or "", ", ".join(envelope.rcpt_tos)
        keep = self._system.settings.sandbox_keep
        delivery_id = self._signer.read(sandbox_mailbox.message_id(source))
        try:
            async with self._system.database.write() as tx:
                await sandbox_mailbox.keep(
                    tx, sender, recipient, source, limit=keep, delivery_id=delivery_id
                )
        except UmsError:
            return "451 4.3.0 the sandbox could not store this mail"
        return "250 2.0.0 kept in the sandbox"


@asynccontextmanager
async def receiver(system: AppContext) -> AsyncGenerator[int]:
    """Run the receiver; gives its port."""
    keeper = _Keeper(system)

    def protocol() -> SMTP:
        return SMTP(
            keeper,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="sandbox.localhost",
            ident="UMS sandbox",
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
