"""The simulator's SMTP server for tests, and certificates that only they trust."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import trustme

from ums.simulator.server import DROP, DROP_TAKEN, HANG, Act, Call, Mail, SmtpServer

__all__ = ["DROP", "DROP_TAKEN", "HANG", "Act", "Call", "Certificates", "Mail", "SmtpServer"]


@dataclass
class Certificates:
    """Server contexts signed by a throw-away authority, and the client context that trusts it."""

    authority: trustme.CA = field(default_factory=trustme.CA)

    def server(self, name: str = "localhost", *, expired: bool = False) -> ssl.SSLContext:
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        start = datetime.now(UTC) - timedelta(days=2) if expired else None
        certificate = self.authority.issue_cert(name, not_before=start, not_after=end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context
