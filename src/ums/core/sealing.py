"""Secrets at rest: AES-256-GCM with a key that lies outside the database."""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ums.config import Settings, SettingsError
from ums.errors import Invalid

KEY_FILE = "ums.key"
_VERSION = "v1"


class Seal:
    """Encrypts and decrypts secrets. `context` binds one to its place: elsewhere it won't open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key = key

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart without telling either."""
        return hashlib.sha256(b"ums fingerprint" + self._key).hexdigest()[:12]

    def derive(self, purpose: str) -> bytes:
        """A key for another purpose (signing Message-IDs), never used to encrypt."""
        return hashlib.blake2b(purpose.encode(), key=self._key, digest_size=32).digest()

    def close(self, secret: str, context: str) -> str:
        nonce = os.urandom(12)
        sealed = self._cipher.encrypt(nonce, secret.encode(), context.encode())
        return f"{_VERSION}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, context: str) -> str:
        """Raises Invalid("secret_unreadable") with another key, context or a changed text."""
        try:
            raw = base64.b64decode(sealed.removeprefix(f"{_VERSION}:"), validate=True)
            return self._cipher.decrypt(raw[:12], raw[12:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise Invalid("secret_unreadable") from None


def load_seal(settings: Settings) -> Seal:
    """The key of `UMS_SECRET_KEY`, or the data folder's key file, created with mode 600.

    Raises SettingsError when either holds something that is not 32 bytes in base64.
    """
    if settings.secret_key:
        return Seal(_decode(settings.secret_key, "UMS_SECRET_KEY"))
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        _create(path)
    return Seal(_decode(path.read_bytes().decode("ascii", "replace").strip(), str(path)))


def _create(path: Path) -> None:
    # Written aside and linked: two processes that start together end up with one key, and a
    # crash leaves either no key file or a whole one.
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as stream:
        stream.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SettingsError(f"{where} must hold 32 bytes in base64 (openssl rand -base64 32)")
    return key
