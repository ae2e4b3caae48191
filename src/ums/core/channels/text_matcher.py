"""Finding words in texts, thousands of them in one pass.

A word whose first or last letter is of an alphabet has to stand alone at that end ("ass" is not
in "password"); Chinese, Japanese, Korean and Thai words, which no blanks part or which endings
join, are found anywhere.
"""

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from ahocorasick_rs import AhoCorasick
from sqlalchemy import select

from ums.core.tables import blocked_words
from ums.db import Database
from ums.mail.mime.html_to_text import html_to_text, is_html

LONGEST = 100
SLICE = 4096  # characters looked through at once, so that matches never fill the memory

_BLANK = re.compile(r"\s+")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_UNPARTED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u2e80-\u31ff\u3400-\u9fff"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def fold(text: str) -> str:
    """What texts that look alike have in common: NFKC, no case, nothing invisible, one blank."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BLANK.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", folded)))


class Lexicon:
    """All words at one revision of the directory, ready to be looked for in one pass."""

    def __init__(self, rows: Iterable[Any] = ()) -> None:
        forbidden: dict[str, set[int | None]] = {}  # word: channels, None for all
        self._exempt: set[tuple[int, str]] = set()
        for row in rows:
            if row.exempt:
                self._exempt.add((row.channel_id, row.word))
            else:
                forbidden.setdefault(row.word, set()).add(row.channel_id)
        self._words = sorted(forbidden)
        self._channels = [forbidden[word] for word in self._words]
        self._held = {channel for some in self._channels for channel in some}
        self._overlap = max(map(len, self._words), default=0) + 1
        self._automaton = AhoCorasick(self._words) if self._words else None

    def applies_to(self, channel: int) -> bool:
        """Whether there is any word to look for in what the channel sends."""
        return None in self._held or channel in self._held

    def search(self, channel: int, texts: Iterable[str]) -> str | None:
        """A word of `texts` that the channel must not use."""
        for text in texts:
            for said in (text, html_to_text(text)) if is_html(text) else (text,):
                for word in self._found(fold(said)):
                    if self._is_forbidden(channel, word):
                        return self._words[word]
        return None

    def _is_forbidden(self, channel: int, word: int) -> bool:
        some = self._channels[word]
        named = None in some or channel in some
        return named and (channel, self._words[word]) not in self._exempt

    def _found(self, text: str) -> Iterator[int]:
        if self._automaton is None:
            return
        for place in range(0, len(text), SLICE):
            start, stop = max(place - self._overlap, 0), place + SLICE + 1
            part = text[start:stop]
            for word, begin, end in self._automaton.find_matches_as_indexes(part, overlapping=True):
                # At a cut its neighbour is not seen here, but in the slice beside it.
                cut = (begin == 0 and start > 0) or (end == len(part) and stop < len(text))
                if not cut and _stands_alone(part, begin, end):
                    yield word


class BlockedWords:
    """The lexicon of this process, read anew when the directory changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lexicon = Lexicon()
        self._revision: str | None = None
        self._loading = asyncio.Lock()

    async def now(self, revision: str) -> Lexicon:
        """The words at `revision` of the directory, or at a later one."""
        if revision != self._revision:
            async with self._loading:
                await self._load(revision)
        return self._lexicon

    async def _load(self, revision: str) -> None:
        if revision == self._revision:  # another did it meanwhile
            return
        async with self._database.read() as tx:
            rows = await tx.rows(select(blocked_words))
        self._lexicon = await asyncio.to_thread(Lexicon, rows)
        self._revision = revision


def _stands_alone(text: str, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin] if begin else "", text[end : end + 1]
    return not (_joins(before, text[begin]) or _joins(text[end - 1], after))


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours are of one word of an alphabet."""
    return _is_letter(left) and _is_letter(right)


def _is_letter(char: str) -> bool:
    return char.isalnum() and _UNPARTED.match(char) is None
