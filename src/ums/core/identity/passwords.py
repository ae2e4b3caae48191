"""The password policy: what an operator's password has to be, and its hash.

As NIST SP 800-63B has it: long enough, not among the common ones, not made of words that stand
near, such as the operator's name; no rules of composition.
"""

import asyncio
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from ums.bounds import is_storable
from ums.core.context.app_context import AppContext
from ums.core.identity import password_hashing
from ums.errors import Invalid

SHORTEST: Final = 12
LONGEST: Final = 1_000
FEWEST_TRIES: Final = 30_000_000_000
"""As many guesses a password stands at least; 12 random characters stand 30 times as many."""
_READ: Final = 72  # characters that are estimated: with more of them it takes ever longer
_PRODUCT: Final = ("ums", "unified", "messaging", "system")
_LIST: Final = Path(__file__).with_name("common_passwords.txt")
_one_at_a_time = Lock()


def check(password: str, name: str = "", words: Iterable[str] = _PRODUCT) -> None:
    """Raises Invalid for a password that is too short, easily guessed, or made of `name`.

    `words` are what guessers try here besides what is common everywhere.
    """
    if len(password) < SHORTEST:
        raise Invalid("short_password", limit=SHORTEST)
    if len(password) > LONGEST or not is_storable(password):
        raise Invalid("bad_value", field="password")
    folded = _folded(password)
    if not folded:  # nothing but blanks
        raise Invalid("common_password", field="password")
    bare, named = _tries(folded, words), _tries(folded, [*words, name])
    if named < min(bare, FEWEST_TRIES):
        raise Invalid("password_like_name", field="password")
    if folded in _common() or bare < FEWEST_TRIES:
        raise Invalid("common_password", field="password")


async def hashed(system: AppContext, password: str, name: str) -> str:
    """The Argon2 hash of a password that `check_new` lets pass."""
    await check_new(system, password, name)
    return await password_hashing.hashed(password)


async def check_new(system: AppContext, password: str, name: str) -> None:
    """`check` with the words of this installation; in a thread, as it takes its time."""
    words = (*_PRODUCT, *await _of_installation(system))
    await asyncio.to_thread(check, password, name, words)


async def _of_installation(system: AppContext) -> tuple[str, str]:
    """Its name, and that of its host."""
    brand = (await system.directory.now()).brand.name
    return brand, urlsplit(system.settings.public_url).hostname or ""


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _tries(folded: str, words: Iterable[str]) -> float:
    """In about how many guesses somebody hits on it who knows what people choose: words and names,
    also reversed or with digits for letters, repetitions, rows of keys, dates."""
    from zxcvbn import zxcvbn  # noqa: PLC0415  (14 MB of words, for the few who set a password)

    with _one_at_a_time:  # it keeps the words of a call where the next one finds them
        return float(zxcvbn(folded[:_READ], _parts(words))["guesses"])


def _parts(words: Iterable[str]) -> list[str]:
    """Each word folded, whole, without signs, and what stands between its signs."""
    found = [_folded(word) for word in words]
    parts = [part for one in found for part in (one, re.sub(r"\W", "", one), *re.split(r"\W", one))]
    return [part for part in parts if len(part) > 1]


@cache
def _common() -> frozenset[str]:
    lines = _LIST.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
