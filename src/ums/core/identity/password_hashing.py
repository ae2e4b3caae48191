"""Slow hashes (argon2), a few at a time.

Each takes tens of milliseconds and 64 MB. They have threads of their own: a flood of passwords
queues here and takes no thread that anything else waits for, and of a queue that is too long the
rest is refused. Who is known has another queue than strangers: a browser in which the operator has
signed in before, an open session, whoever has given the right password or an invitation.
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

from ums.errors import Busy

T = TypeVar("T")


class Lane:
    """Threads that hash, and the queue before them."""

    def __init__(self, name: str, at_once: int, longest: int) -> None:
        self.at_once, self.longest = at_once, longest
        self._length = 0
        self._threads = ThreadPoolExecutor(at_once, name)

    async def run(self, work: Callable[[], T]) -> T:
        """Raises Busy where the queue is too long."""
        if self._length >= self.longest:
            raise Busy("busy")
        self._length += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._leave)  # also of a caller that has left
        return await future

    def _leave(self, _: object) -> None:
        self._length -= 1


STRANGERS: Final = Lane("argon2", 2, 200)
KNOWN: Final = Lane("argon2-known", 1, 100)
HELD: Final = Lane("argon2-held", 1, 100)  # tries that are held back, and looked at all the same
_hasher = PasswordHasher()


async def hashed(password: str) -> str:
    """The hash to store. Raises Busy."""
    return await KNOWN.run(lambda: _hasher.hash(password))


async def verify(stored: str | None, password: str, *, lane: Lane = STRANGERS) -> bool:
    """Whether it is the password; takes as long where nothing is stored. Raises Busy."""
    return await lane.run(lambda: _verify(stored, password)) and stored is not None


async def digests(texts: list[str], salt: bytes) -> list[str]:
    """Digests of random texts, by which they can be found and not guessed. Raises Busy."""
    return await KNOWN.run(lambda: [_digest(text, salt) for text in texts])


def new_salt() -> bytes:
    return os.urandom(16)


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
