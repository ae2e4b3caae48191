"""The password policy: what an operator's password has to be, and its hash.

As NIST SP 800-63B has it: long enough, not among the common ones, not like the name; no rules of
composition.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from ums.core import hashing
from ums.errors import Invalid

SHORTEST: Final = 12
LONGEST: Final = 1_000
_FEWEST: Final = 4  # different characters
_PADDING: Final = 8  # characters around a common word that do not make it another password
_RUNS: Final = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1234567890qwertyuiopasdfghjklzxcvbnm",
)
_LEET: Final = str.maketrans("@431!057$", "aaeiiosts")
_LIST: Final = Path(__file__).with_name("common_passwords.txt")


def check(password: str, name: str = "") -> None:
    """Raises Invalid for a password that is too short, common, or like `name`."""
    if len(password) < SHORTEST:
        raise Invalid("short_password", limit=SHORTEST)
    if len(password) > LONGEST or not _storable(password):
        raise Invalid("bad_value", field="password")
    folded = _folded(password)
    if _is_common(folded):
        raise Invalid("common_password", field="password")
    if _is_like(folded, _folded(name)):
        raise Invalid("password_like_name", field="password")


async def hashed(password: str, name: str = "") -> str:
    """The Argon2 hash of a password that `check` lets pass; in a thread, as it takes its time."""
    check(password, name)
    return await hashing.hashed(password)


def _storable(password: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in password)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _is_common(text: str) -> bool:
    if len(set(text)) < _FEWEST or _is_run(text):
        return True
    variants = {text, text.translate(_LEET), re.sub(r"[\s._-]+", "", text)}
    return any(_is_listed(one) or _is_listed(_repeated(one)) for one in variants)


def _is_run(text: str) -> bool:
    """Whether it goes along a row of keys, the alphabet or the digits, to and fro."""
    return any(text in row + row or text in (row + row)[::-1] for row in _RUNS)


def _is_listed(text: str) -> bool:
    """Whether it is common, or a common word with some digits and signs around it."""
    word = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)
    bare = word in _common() and len(text) - len(word) <= _PADDING
    return text in _common() or bare or (len(text) < SHORTEST and _is_run(text))


def _repeated(text: str) -> str:
    """What it is made of where it is one text several times; else itself."""
    unit = (text + text).find(text, 1)
    # Short of the least length nothing that is repeated counts as another password.
    return text[:unit] if unit < len(text) else text


def _is_like(text: str, name: str) -> bool:
    """Whether the name, either way round, makes most of it."""
    if not name:
        return False
    for one in {name, name[::-1], re.sub(r"\W+", "", name)} - {""}:
        if len(one) < 3 and one != _repeated(text):  # two letters stand in many a word
            continue
        rest = text.replace(one, "")
        if rest != text and len(re.sub(r"[\W_]+", "", rest)) < SHORTEST - 4:
            return True
    return False


@cache
def _common() -> frozenset[str]:
    lines = _LIST.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
