"""Search of users by any part of userid, addresses, attributes and tags, whatever the case.

Each user has a row of text for each bind id that something is stored under, so that who is bound
to channels finds nothing by what other channels stored; what belongs to all stands in the row of
`all`, with userid and attributes. The text is folded and indexed by its trigrams: by FTS5 on
SQLite, by pg_trgm on PostgreSQL. Pairs of Chinese, Japanese and Korean characters stand in the
text as words of their own, so that names of two characters are found by the index as well.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, literal, select, text
from sqlalchemy.sql.expression import exists

from ums.core.models import user_search
from ums.core.models import users as table
from ums.core.user_kinds import ALL
from ums.db import Hot, Tx, rows_json

LONGEST: Final = 100  # characters of a search
FEW: Final = 2_000  # so many matches are sorted; of more, users are walked in the page's order

_PUT = Hot("""
    INSERT INTO user_search (user_id, bind_id, text)
    SELECT r.id, r.bind_id, r.text FROM $rows(r: id bigint, bind_id text, text text) WHERE true
    ON CONFLICT (user_id, bind_id) DO UPDATE SET text = excluded.text
    WHERE user_search.text <> excluded.text
""")
_REMOVE = Hot("""
    DELETE FROM user_search WHERE (user_id, bind_id) IN (
        SELECT r.id, r.bind_id FROM $rows(r: id bigint, bind_id text))
""")


def fold(given: str) -> str:
    """A text as it is compared: compatibility forms, case and blanks do not count."""
    return " ".join(unicodedata.normalize("NFKC", given).casefold().split())


def text_of(parts: Iterable[str]) -> str:
    """What is indexed of `parts`."""
    folded = sorted({fold(part) for part in parts} - {""})
    pairs = sorted({pair for part in folded for pair in _pairs(part)})
    return " " + "\n".join(folded) + "\n " + " ".join(pairs) + " " if folded else ""


def _pairs(folded: str) -> Iterator[str]:
    return (one + two for one, two in pairwise(folded) if _is_ideograph(one) and _is_ideograph(two))


def _is_ideograph(char: str) -> bool:
    return "\u3040" <= char <= "\ud7ff" or "\U00020000" <= char <= "\U0003ffff"


def texts_of(
    userid: str, attributes: str, slots: Mapping[tuple[str, str], Iterable[str]]
) -> dict[str, str]:
    """Bind id -> the text of a user; `attributes` is JSON, a slot is (kind or "tag", bind id)."""
    values: dict[str, Any] = msgspec.json.decode(attributes)
    parts = {ALL: [userid, *(one for one in values.values() if isinstance(one, str))]}
    for (_, bind_id), held in slots.items():
        parts.setdefault(bind_id, []).extend(held)
    return {bind_id: text_of(each) for bind_id, each in parts.items()}


async def store(tx: Tx, rows: Iterable[tuple[int, Mapping[str, str]]]) -> None:
    """Keep the texts of users, given by id and bind id; an empty one is removed."""
    given = [(id, bind_id, each) for id, texts in rows for bind_id, each in sorted(texts.items())]
    put = [row for row in given if row[2]]
    gone = [row[:2] for row in given if not row[2]]
    if put:
        await tx.run(_PUT, {"r": rows_json(put)})
    if gone:
        await tx.run(_REMOVE, {"r": rows_json(gone)})


async def matching(tx: Tx, given: str, visible: frozenset[str] | None) -> ColumnElement[bool]:
    """The condition on `users` that a user matches `given` by what `visible` bind ids hold.

    Where few match, their ids are looked up in the index. Where many do, the users of the page
    are soon found by walking in its order and looking at each one's text.
    """
    sought = _sought(given)
    mine = _holds(tx, sought)
    if visible is not None:
        mine = and_(mine, user_search.c.bind_id.in_(sorted(visible)))
    indexed = _indexed(tx, sought)
    if indexed is not None:
        few = select(user_search.c.user_id).where(indexed, mine).limit(FEW + 1)
        if await _count(tx, few) <= FEW:
            return table.c.id.in_(select(user_search.c.user_id).where(indexed, mine))
    return exists().where(user_search.c.user_id == table.c.id, mine)


async def _count(tx: Tx, query: Select[Any]) -> int:
    return int(await tx.value(select(func.count()).select_from(query.subquery())) or 0)


def _sought(given: str) -> str:
    folded = fold(given)[:LONGEST]
    is_pair = len(folded) == 2 and all(map(_is_ideograph, folded))
    return f" {folded} " if is_pair else folded


def _holds(tx: Tx, sought: str) -> ColumnElement[bool]:
    column = user_search.c.text
    if tx.dialect == "sqlite":
        return func.instr(column, sought) > 0
    # The default escape, as an explicit one keeps PostgreSQL from its index.
    escaped = sought.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(f"%{escaped}%")


def _indexed(tx: Tx, sought: str) -> ColumnElement[bool] | None:
    """The condition that the index answers; None for what is too short for it."""
    if len(sought) < 3:
        return None
    if tx.dialect != "sqlite":
        return literal(True)  # the trigrams of the text's own index
    grams = dict.fromkeys(sought[at : at + 3] for at in range(len(sought) - 2))
    words = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in grams)
    found = "SELECT rowid FROM user_search_index WHERE user_search_index MATCH :grams"
    return user_search.c.id.in_(text(found).bindparams(grams=words).columns(user_search.c.id))
