"""Names of operators: what one may be, and which two are taken for the same by a reader."""

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta
from sqlalchemy import Select, case, select

from ums.bounds import NAME, said
from ums.core.tables import operators
from ums.errors import Invalid

LONGEST: Final = 50  # so that the audit log names the whole of it
_PATTERN: Final = NAME.replace("[^", "[^:/")
OperatorName = Annotated[
    str,
    Meta(min_length=1, max_length=LONGEST, description="Without colons and slashes."),
    said(pattern=_PATTERN),
]
_TABLE: Final = Path(__file__).with_name("confusables.txt")
# Characters that nobody sees although they count as printable.
_INVISIBLE: Final = dict.fromkeys(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    ]
)
_ALPHABETS: Final = ("LATIN ", "GREEK ", "CYRILLIC ")
_KANA: Final = ("HIRAGANA", "KATAKANA")
_VOICED: Final = "\u3099\u309a"


def check(name: str) -> None:
    """Raises Invalid."""
    good = len(name) <= LONGEST and name.isprintable() and re.search(_PATTERN, name)
    if not good or not _skeleton(name):
        raise Invalid("bad_value", field="name")


def key(name: str) -> str:
    """The same for names that differ in case, in blanks, in accents, or in characters that look
    alike; the database has it unique. A digest, as some characters become many."""
    return hashlib.sha256(_skeleton(name).encode("utf-8", "surrogatepass")).hexdigest()


def meant(name: str) -> Select[Any]:
    """The operators that somebody who types `name` may mean, the likeliest first: one who is called
    just so, then the one of the same `key`."""
    exact = operators.c.name == name
    found = select(operators).where(exact | (operators.c.name_key == key(name)))
    return found.order_by(case((exact, 0), else_=1))


def _skeleton(name: str) -> str:
    """As in UTS #39, of the folded name (https://www.unicode.org/reports/tr39/)."""
    letters = _without_marks(_folded(name)).translate(_INVISIBLE)
    return "".join("".join(map(_read_as, letters)).split())


def _folded(name: str) -> str:
    """Taken apart into letters and marks."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())


def _without_marks(letters: str) -> str:
    """Put together again, without accents: marks that are of another script than their letter.

    Vowels of Hindi and Thai or the voiced sounds of Japanese are marks as well, of their own
    scripts, and make other letters."""
    kept, script = [], ""
    for letter in letters:
        if unicodedata.category(letter) not in ("Mn", "Me"):
            script = _script(letter)
        elif _script(letter) != script and not (letter in _VOICED and script in _KANA):
            continue
        kept.append(letter)
    return unicodedata.normalize("NFC", "".join(kept))


def _script(letter: str) -> str:
    """The first word of the letter's name, which is that of its script."""
    return unicodedata.name(letter, "").partition(" ")[0]


def _read_as(letter: str) -> str:
    """The letter as which a reader takes it: d for a d with a stroke."""
    known = _confusables().get(ord(letter))
    if known is not None:
        return known
    plain, with_, _ = unicodedata.name(letter, "").partition(" WITH ")
    if not with_ or not plain.startswith(_ALPHABETS):
        return letter
    try:
        found = unicodedata.lookup(plain)
    except KeyError:
        return letter
    return _confusables().get(ord(found), found)


@cache
def _confusables() -> dict[int, str]:
    lines = [line for line in _TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    pairs = (line.split(" ") for line in lines)
    return {ord(source): target for target, sources in pairs for source in sources}
