"""Recovery codes: what opens once when the authenticator is lost.

A code has 80 random bits. The database has slow hashes of them with one salt for all of an
operator's, so that looking a code up is one hash.
"""

import secrets
from base64 import b32encode
from typing import Final

import msgspec
from msgspec import Struct

from ums.core.identity import password_hashing
from ums.db import to_json

COUNT: Final = 10
_BYTES: Final = 10
_LENGTH: Final = 16  # characters, without the dashes
_ALPHABET: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")


class Codes(Struct, frozen=True):
    """What is stored of an operator's codes that were not used yet."""

    salt: str
    digests: list[str]

    def without(self, digest: str) -> "Codes":
        return Codes(self.salt, [one for one in self.digests if one != digest])

    def stored(self) -> str:
        return to_json(self)


NONE: Final = Codes("", [])


async def make() -> tuple[list[str], Codes]:
    """New codes as the operator sees them, and what is stored. Raises Busy."""
    plain = [b32encode(secrets.token_bytes(_BYTES)).decode().lower() for _ in range(COUNT)]
    salt = password_hashing.new_salt()
    return [_shown(code) for code in plain], Codes(
        salt.hex(), await password_hashing.digests(plain, salt)
    )


def read(stored: str | None) -> Codes:
    return NONE if stored is None else msgspec.json.decode(stored, type=Codes)


async def digest(codes: Codes, given: str) -> str:
    """By what `given` is found among them; "" for what cannot be a code. Raises Busy."""
    if len(given) != _LENGTH or not _ALPHABET.issuperset(given) or not codes.digests:
        return ""
    return (await password_hashing.digests([given], bytes.fromhex(codes.salt)))[0]


def _shown(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, _LENGTH, 4))
