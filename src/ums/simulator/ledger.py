"""What a simulated provider took, so that it can be compared with what UMS says it sent."""

import re
from collections import Counter
from datetime import UTC, datetime
from typing import IO, Final

import msgspec
from msgspec import Struct

from ums.simulator.server import Mail

_ID: Final = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Taken(Struct, frozen=True):
    """A line of the ledger: one mail to one recipient."""

    at: str
    connection: int
    mail_from: str
    rcpt_to: str
    message_id: str
    size: int


class Ledger:
    """Counts what was taken and writes it down, a JSON object a line."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file = file
        self._seen: Counter[tuple[str, str]] = Counter()

    def note(self, mail: Mail) -> None:
        head = mail.data.partition(b"\r\n\r\n")[0]
        found = _ID.search(head)
        message_id = found[1].decode("utf-8", "replace") if found else ""
        self._seen[message_id, mail.rcpt_to] += 1
        if self._file is not None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = (at, mail.connection, mail.mail_from, mail.rcpt_to, message_id, len(mail.data))
            self._file.write(msgspec.json.encode(Taken(*line)) + b"\n")
            self._file.flush()

    @property
    def taken(self) -> int:
        return self._seen.total()

    @property
    def distinct(self) -> int:
        """Of these, mails with a Message-ID and recipient of their own."""
        return len(self._seen)

    @property
    def twice(self) -> int:
        """Copies beyond the first."""
        return self.taken - self.distinct
