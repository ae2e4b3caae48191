"""Slow hashes (argon2), a few at a time.

Each takes tens of milliseconds and 64 MB. They have threads of their own: a flood of passwords
queues here and takes no thread that anything else waits for, and of a queue that is too long the
rest is refused.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw
from msgspec import Struct

from ums.errors import Busy

T = TypeVar("T")


class _Queue(Struct):
    """How many hashes are wanted at the moment."""

    length: int = 0

    def leave(self) -> None:
        self.length -= 1


AT_ONCE: Final = 2
LONGEST_QUEUE: Final = 200
_hasher = PasswordHasher()
_queue = _Queue()
_threads = ThreadPoolExecutor(AT_ONCE, "argon2")


async def hashed(password: str) -> str:
    """The hash to store. Raises Busy."""
    return await _run(lambda: _hasher.hash(password))


async def verify(stored: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where nothing is stored. Raises Busy."""
    return await _run(lambda: _verify(stored, password)) and stored is not None


async def digests(texts: list[str], salt: bytes) -> list[str]:
    """Digests of random texts, by which they can be found and not guessed. Raises Busy."""
    return await _run(lambda: [_digest(text, salt) for text in texts])


def new_salt() -> bytes:
    return os.urandom(16)


async def _run(work: Callable[[], T]) -> T:
    if _queue.length >= LONGEST_QUEUE:
        raise Busy("busy")
    _queue.length += 1
    future = asyncio.get_running_loop().run_in_executor(_threads, work)
    future.add_done_callback(lambda _: _queue.leave())  # also of a caller that has left
    return await future


@cache
def _dummy(hasher: PasswordHasher) -> str:
    # Not when the module is loaded: it takes as long as it is meant to.
    return hasher.hash(secrets.token_hex(16))


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _dummy(_hasher), password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(text: str, salt: bytes) -> str:
    """argon2id with the parameters of RFC 9106's second choice, less memory."""
    secret = text.encode("utf-8", "surrogatepass")
    return hash_secret_raw(secret, salt, 2, 19 * 1024, 1, 32, Type.ID).hex()
