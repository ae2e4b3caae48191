"""The word filter: words that a message's content must not hold (ums-spec 2.4, code 1015034).

A word counts everywhere or for one channel; a channel may be exempt from a word, or from the
filter as a whole (`rules.word_filter`). Case, width and invisible characters make no difference.
How words are found: `core.channels.text_matcher`.
"""

import asyncio
import unicodedata
from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, delete, insert, select

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels.text_matcher import LONGEST, BlockedWords, fold
from ums.core.common.pagination import Page, cut, page_size
from ums.core.common.sorting import Order
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import blocked_words
from ums.errors import Conflict, Invalid, NotFound

WordOrder = Literal["created_at", "-created_at", "word", "-word"]
_ORDER = Order(blocked_words.c.id, (blocked_words.c.word,))
IN_THREAD = 64 * 1024  # characters from which on the event loop must not wait


class Word(Struct, frozen=True):
    """A word as it is looked for; `channelkey` is empty where it counts for every channel."""

    id: int
    word: str
    channelkey: str
    exempt: bool  # the channel may use it
    created_at: str


async def add(
    system: AppContext,
    word: str,
    channel: Channel | None = None,
    *,
    exempt: bool = False,
    actor: str | None = None,
) -> Word:
    """Forbid a word to every channel or to one; with `exempt` allow it to one. Raises Invalid, and
    Conflict for one that is there."""
    folded = _checked(word)
    if exempt and channel is None:
        raise Invalid("missing", field="channel")
    now = clock.now()
    row = {"word": folded, "channel_id": channel and channel.id, "exempt": exempt}
    async with system.directory.change() as tx:
        if await tx.first(select(blocked_words.c.id).where(_is(folded, channel))):
            raise Conflict("word_known", word=folded)
        id = int(
            await tx.value(
                insert(blocked_words).returning(blocked_words.c.id), {**row, "created_at": now}
            )
        )
        action = "word.exempt" if exempt else "word.add"
        subject, after = channel.key if channel else "all", {"word": folded, "exempt": exempt}
        await audit_log.note(tx, action, subject, folded, after=after, actor=actor)
    return Word(id, folded, channel.key if channel else "", exempt, clock.iso(now))


async def remove(
    system: AppContext, word: str, channel: Channel | None = None, *, actor: str | None = None
) -> None:
    """Take back what was added for every channel, or for this one. Raises Invalid."""
    folded = _checked(word)
    async with system.directory.change() as tx:
        gone = delete(blocked_words).where(_is(folded, channel)).returning(blocked_words.c.exempt)
        row = await tx.first(gone)
        if row is None:
            raise Invalid("word_unknown", word=folded)
        subject = channel.key if channel else "all"
        before = {"word": folded, "exempt": bool(row.exempt)}
        await audit_log.note(tx, "word.remove", subject, folded, before=before, actor=actor)


async def word_of(system: AppContext, id: int, channel: Channel | None = None) -> str:
    """The word `id` of those that count for every channel, or of this one's. Raises NotFound."""
    async with system.database.read() as tx:
        word = await tx.value(
            select(blocked_words.c.word).where(blocked_words.c.id == id, _of(channel))
        )
    if word is None:
        raise NotFound("word_unknown", word=id)
    return str(word)


async def list_words(
    system: AppContext,
    channel: Channel | None = None,
    *,
    sort: WordOrder = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[Word]:
    """The words that count for every channel, or those of one channel's own; the oldest first
    unless `sort` says another."""
    query = _ORDER.sort(select(blocked_words).where(_of(channel)), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    key = channel.key if channel else ""

    def shown(row: Any) -> Word:
        return Word(row.id, row.word, key, bool(row.exempt), clock.iso(row.created_at))

    return cut(rows, limit, shown, _ORDER.place(sort))


async def find_word(system: AppContext, channel: Channel, texts: Iterable[str]) -> str | None:
    """Return a word that `channel` must not use and one of `texts` has (1015034).

    What HTML says is looked through as well as how it is written, so that no tag or entity hides
    a word.
    """
    if not channel.rules.word_filter:
        return None
    lexicon = await system.shared(BlockedWords).now((await system.directory.now()).revision)
    if not lexicon.applies_to(channel.id):
        return None
    given = [text for text in texts if text]
    if sum(map(len, given)) > IN_THREAD:
        return await asyncio.to_thread(lexicon.search, channel.id, given)
    return lexicon.search(channel.id, given)


def _checked(word: str) -> str:
    folded = fold(word).strip()
    seen = any(unicodedata.category(char)[0] in "LNPS" for char in folded)
    if not seen or len(folded) > LONGEST or not folded.isprintable():
        raise Invalid("bad_word", limit=LONGEST)
    return folded


def _of(channel: Channel | None) -> ColumnElement[bool]:
    return (
        blocked_words.c.channel_id.is_(None)
        if channel is None
        else blocked_words.c.channel_id == channel.id
    )


def _is(word: str, channel: Channel | None) -> ColumnElement[bool]:
    return (blocked_words.c.word == word) & _of(channel)
