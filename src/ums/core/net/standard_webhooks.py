"""How a body proves where it comes from, as Standard Webhooks has it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from ums import clock

PREFIX: Final = "whsec_"


def new_secret() -> str:
    """A secret that signs: 256 bits in base64 behind its mark."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    """The `webhook-signature` of a body sent as `id` at the unix second `at`."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def signed(id: str, signing: Sequence[str], body: bytes) -> dict[bytes, bytes]:
    """The headers; one signature for each secret that is good."""
    at = clock.now() // clock.SECOND
    marks = " ".join(signature(secret, id, at, body) for secret in signing)
    return {
        b"webhook-id": id.encode(),
        b"webhook-timestamp": str(at).encode(),
        b"webhook-signature": marks.encode(),
    }
