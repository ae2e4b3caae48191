"""Browsers in which an operator has signed in before.

Such a browser has a signed cookie. It opens nothing: it only gives the operator tries of its own,
so that nobody who guesses from elsewhere can keep the operator out (core.identity.throttle).
"""

import hashlib
import hmac
import secrets
from typing import Final

from ums import clock
from ums.core.common.encryption import SecretBox

GOOD_FOR: Final = 180 * clock.DAY
_PURPOSE: Final = "known device"


def issue(seal: SecretBox, operator_id: int) -> str:
    """The value of the cookie."""
    text = f"{operator_id}.{secrets.token_hex(8)}.{clock.now()}"
    return f"{text}.{_mark(seal, text)}"


def read(seal: SecretBox, value: str, operator_id: int) -> str | None:
    """Which device it is, if this operator has signed in with it and not too long ago."""
    text, _, mark = value.rpartition(".")
    if not value.isascii() or not hmac.compare_digest(mark, _mark(seal, text)):
        return None
    owner, device, since = text.split(".")
    known = owner == str(operator_id) and int(since) > clock.now() - GOOD_FOR
    return device if known else None


def _mark(seal: SecretBox, text: str) -> str:
    key = seal.derive(_PURPOSE)
    return hashlib.blake2b(text.encode(), key=key, digest_size=20).hexdigest()
