"""Secrets at rest: one cipher, whatever a sealed text says of itself."""

import os
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import structs

from ums.config import Settings, SettingsError
from ums.core.common.encryption import SecretBox, load_seal
from ums.errors import Invalid

KEY, OTHER = os.urandom(32), os.urandom(32)
SECRET = "seven grey herons"


@pytest.fixture
def dialect() -> str:
    return "sqlite"


def unreadable(box: SecretBox, sealed: str, context: str = "here") -> bool:
    with pytest.raises(Invalid) as told:
        box.open(sealed, context)
    return told.value.reason == "secret_unreadable"


def test_a_secret_is_sealed_with_aes_256_gcm_and_a_nonce_of_its_own() -> None:
    sealed = [SecretBox(KEY).close(SECRET, "here") for _ in range(50)]
    raw = [b64decode(one.split(":")[2]) for one in sealed]
    for one in raw:
        assert AESGCM(KEY).decrypt(one[:12], one[12:], b"here").decode() == SECRET
        assert len(one) == 12 + len(SECRET) + 16  # with the whole tag
    assert len({one[:12] for one in raw}) == len(raw)


def test_whatever_is_changed_opens_nothing() -> None:
    box = SecretBox(KEY)
    version, name, text = box.close(SECRET, "here").split(":")
    raw = b64decode(text)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert unreadable(box, f"{version}:{name}:{b64encode(changed).decode()}")
    for end in range(len(raw)):
        assert unreadable(box, f"{version}:{name}:{b64encode(raw[:end]).decode()}")
    assert unreadable(box, f"{version}:{name}:{text}", "elsewhere")


def test_a_text_chooses_neither_the_key_nor_the_cipher() -> None:
    box, foreign = SecretBox(KEY), SecretBox(OTHER)
    sealed = foreign.close(SECRET, "here")
    assert unreadable(box, sealed)
    assert unreadable(box, sealed.replace(foreign.fingerprint, box.fingerprint))
    plain = b64encode(SECRET.encode()).decode()
    for version in ("v0", "v1", "none", "plain", ""):
        assert unreadable(box, f"{version}:{box.fingerprint}:{plain}")


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33, 64])
def test_a_key_of_another_length_is_refused(settings: Settings, size: int) -> None:
    key = b64encode(os.urandom(size)).decode()
    with pytest.raises(SettingsError, match="32 bytes"):
        load_seal(structs.replace(settings, secret_key=f"{key},"))
