"""Message-IDs: made of the delivery's id alone, so that every copy of a mail has the same
(reliability.md, I5), and signed, so that nobody can make a report of a mail that they never saw."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from ums.core.common.encryption import SecretBox

_PURPOSE: Final = "message-id"
_TOKEN: Final = re.compile(r"([0-9a-f]{1,16})\.([0-9a-f]{20})")


def signer_of(seal: SecretBox) -> "Signer":
    """The one of this installation."""
    return Signer(seal.derive(_PURPOSE))


class Signer:
    """Makes the left side of Message-IDs, and reads what comes back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, delivery_id: int) -> str:
        return f"{delivery_id:x}.{self._mark(delivery_id)}"

    def read(self, message_id: str) -> int | None:
        """The delivery whose mail has this Message-ID; None where it is none of ours."""
        match = _TOKEN.match(message_id.strip().lstrip("<"))
        if match is None:
            return None
        id = int(match[1], 16)
        return id if hmac.compare_digest(self._mark(id), match[2]) else None

    def first(self, message_ids: Iterable[str]) -> int | None:
        """The delivery of the first of these that is ours."""
        return next((id for id in map(self.read, message_ids) if id is not None), None)

    def _mark(self, delivery_id: int) -> str:
        text = str(delivery_id).encode()
        return hashlib.blake2b(text, key=self._key, digest_size=10).hexdigest()
