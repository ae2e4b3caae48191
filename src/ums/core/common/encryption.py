"""Secrets at rest: AES-256-GCM with keys that lie outside the database.

Each sealed text names its key by fingerprint, so that several keys can be known at once while the
sealing key is rotated (`core.maintenance.key_rotation`).
"""

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ums.config import Settings, SettingsError
from ums.core.common.durable_files import replace_file, write_aside
from ums.errors import Invalid

KEY_FILE = "ums.key"
RETIRED_FILE = "ums.key.retired"
DERIVATION_ROOT = "derivation_root"  # its name among the installation's values
ROOT_CONTEXT = "derivation root"
_VERSION = "v2"
_ROOT = b"ums derivation root"


def fingerprint(key: bytes) -> str:
    """A public name of a key, which does not tell the key."""
    return hashlib.sha256(b"ums fingerprint" + key).hexdigest()[:12]


def token_digest(token: str) -> str:
    """What is stored of a random token: its SHA-256, which needs no salt and no slow hash for a
    secret that nobody can guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class SecretBox:
    """Encrypts and decrypts secrets. `context` binds one to its place: elsewhere it won't open.

    `keys` are all that can be opened with; `read` reads them again, for a key that another
    process added. The first one seals unless `chosen` names another by its fingerprint.
    """

    def __init__(self, *keys: bytes, read: Callable[[], Sequence[bytes]] | None = None) -> None:
        self._read = read
        self._chosen: Callable[[], str] = str
        self._know(keys)
        self._root = hashlib.blake2b(_ROOT, key=keys[0]).digest()

    def _know(self, keys: Sequence[bytes]) -> None:
        self._keys = {fingerprint(key): key for key in keys}

    def follow(self, chosen: Callable[[], str]) -> None:
        """Seal with the key whose fingerprint `chosen` gives; an empty one is the first key's."""
        self._chosen = chosen

    def keep_root(self, root: bytes) -> None:
        """Derive from `root`, which outlives the key it was made of."""
        self._root = root

    @property
    def root(self) -> bytes:
        """The secret that other keys are derived from."""
        return self._root

    @property
    def fingerprints(self) -> list[str]:
        """Of all keys, in the order of their source."""
        return list(self._keys)

    @property
    def fingerprint(self) -> str:
        """Of the key that seals."""
        return self._chosen() or next(iter(self._keys))

    def derive(self, purpose: str) -> bytes:
        """A key for another purpose (signing Message-IDs), never used to encrypt. It stays the
        same when the sealing key is rotated."""
        return hashlib.blake2b(purpose.encode(), key=self._root, digest_size=32).digest()

    def close(self, secret: str, context: str) -> str:
        """Seal `secret`. Raises Invalid("secret_unreadable") where the chosen key is missing."""
        name = self.fingerprint
        nonce = os.urandom(12)
        sealed = AESGCM(self._key(name)).encrypt(nonce, secret.encode(), context.encode())
        return f"{_VERSION}:{name}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, context: str) -> str:
        """Raises Invalid("secret_unreadable") with another key, context or a changed text."""
        try:
            _, name, text = sealed.split(":")
            raw = base64.b64decode(text, validate=True)
            return AESGCM(self._key(name)).decrypt(raw[:12], raw[12:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise Invalid("secret_unreadable") from None

    def check_key(self) -> None:
        """Raises Invalid("secret_unreadable") where the chosen key is missing."""
        self._key(self.fingerprint)

    def knows(self, name: str) -> bool:
        """Tell whether the key of this fingerprint is known."""
        try:
            self._key(name)
        except Invalid:
            return False
        return True

    def _key(self, name: str) -> bytes:
        if name not in self._keys and self._read is not None:
            # Known names only come from our own database, so a stranger cannot cause this.
            with suppress(OSError, SettingsError):
                self._know(self._read())
        if name not in self._keys:
            raise Invalid("secret_unreadable")
        return self._keys[name]

    def reload(self) -> None:
        """Read the keys again, after their source was changed."""
        if self._read is not None:
            self._know(self._read())


def sealed_with(name: str) -> str:
    """The beginning of every text that the key of this fingerprint sealed."""
    return f"{_VERSION}:{name}:"


def load_seal(settings: Settings) -> SecretBox:
    """The keys of `UMS_SECRET_KEY`, or of the data folder's key file, created with mode 600.

    Raises SettingsError when either holds something that is not 32 bytes in base64.
    """
    if not settings.secret_key and not (settings.data_dir / KEY_FILE).exists():
        _create(settings.data_dir / KEY_FILE)
    return SecretBox(*read_keys(settings), read=lambda: read_keys(settings))


def read_keys(settings: Settings) -> list[bytes]:
    """All keys, in order: those of the environment with commas between, those of the file one on
    each line. Raises SettingsError, OSError."""
    if settings.secret_key:
        return [_decode(part, "UMS_SECRET_KEY") for part in settings.secret_key.split(",")]
    path = settings.data_dir / KEY_FILE
    lines = path.read_bytes().decode("ascii", "replace").split()
    return [_decode(line, str(path)) for line in lines or [""]]


def write_keys(settings: Settings, keys: Sequence[bytes]) -> None:
    """Replace the key file's content at once and durably."""
    replace_file(settings.data_dir / KEY_FILE, _lines(keys))


def keep_retired(settings: Settings, keys: Sequence[bytes]) -> Path:
    """Append `keys` to the file of retired keys, which older backups need."""
    path = settings.data_dir / RETIRED_FILE
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(_lines(keys))
        stream.flush()
        os.fsync(stream.fileno())
    return path


def _create(path: Path) -> None:
    # Written aside and linked: two processes that start together end up with one key, and a
    # crash leaves either no key file or a whole one.
    aside = write_aside(path, _lines([os.urandom(32)]))
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _lines(keys: Sequence[bytes]) -> bytes:
    return b"".join(base64.b64encode(key) + b"\n" for key in keys)


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SettingsError(f"{where} must hold 32 bytes in base64 (openssl rand -base64 32)")
    return key
