"""Recovery codes are too many to be guessed."""

import secrets
from base64 import b32decode

import pytest

from ums.core.identity import recovery_codes


async def test_a_code_has_80_bits_of_the_systems_randomness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[bytes] = []
    token_bytes = secrets.token_bytes

    def noted(count: int | None = None) -> bytes:
        drawn.append(token_bytes(count))
        return drawn[-1]

    monkeypatch.setattr(secrets, "token_bytes", noted)
    shown, codes = await recovery_codes.make()
    read = [b32decode(code.replace("-", "").upper()) for code in shown]
    assert read == drawn
    assert [len(one) * 8 for one in read] == [80] * recovery_codes.COUNT
    assert len({*read}) == len({*codes.digests}) == recovery_codes.COUNT
