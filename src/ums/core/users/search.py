"""Search of users by any part of userid, addresses, attributes and tags, whatever the case.

Each user has a row of text for each bind id that something is stored under, so that who is bound
to channels finds nothing by what other channels stored; what belongs to all stands in the row of
`all`, with userid and attributes. The text is folded and indexed by its trigrams: by FTS5 on
SQLite, by pg_trgm on PostgreSQL. Characters beyond ASCII stand in it spelled out in letters:
so the index knows them in every locale of PostgreSQL, and finds even one Chinese character.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    TextClause,
    and_,
    any_,
    case,
    cast,
    exists,
    func,
    select,
    text,
)
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from ums.core.tables import user_search
from ums.core.tables import users as table
from ums.core.users.fields import ALL
from ums.db import Statement, Tx, rows_json

LONGEST: Final = 100  # characters of a search
FEW: Final = 10_000  # so many matches are sorted; of more, users are walked in the page's order
NEAR: Final = 20_000  # users that are walked before the index is asked for all matches
TERMS: Final = 100  # of the index, that begin with what is too short for it
_LETTERS: Final = "GHIJKLMNOPQRSTUVWXYZ"
_BY_FOUR: Final = 5 * 20**4  # codes that a first letter and four more can tell
_HAS_TRIGRAM = re.compile(r"[^\W_]{3}|[^\W_]{2}[\W_]|[\W_][^\W_]", re.ASCII).search
_INDEX = sql_table("user_search_index", sql_column("rowid"))
_TERMS = text(
    f"SELECT term FROM user_search_terms WHERE term >= :low AND term < :high LIMIT {TERMS + 1}"
)

_PUT = Statement("""
    INSERT INTO user_search (user_id, bind_id, text)
    SELECT r.id, r.bind_id, r.text FROM $rows(r: id bigint, bind_id text, text text) WHERE true
    ON CONFLICT (user_id, bind_id) DO UPDATE SET text = excluded.text
    WHERE user_search.text <> excluded.text
""")
_REMOVE = Statement("""
    DELETE FROM user_search WHERE (user_id, bind_id) IN (
        SELECT r.id, r.bind_id FROM $rows(r: id bigint, bind_id text))
""")


def fold(given: str) -> str:
    """A text as it is compared: compatibility forms, case and blanks do not count."""
    return " ".join(unicodedata.normalize("NFKC", given).casefold().split())


def text_of(parts: Iterable[str]) -> str:
    """What is indexed of `parts`. Each character has two behind it: so a trigram begins with it."""
    folded = sorted({spell(fold(part)) for part in parts} - {""})
    return "\n".join(folded) + "\n\n" if folded else ""


def spell(folded: str) -> str:
    """The same in ASCII. Characters beyond it are spelled in capitals, of which folded text has
    none, each with a first letter that stands nowhere else: so a part of the text is a part of
    its spelling, and nothing else is."""
    return folded if folded.isascii() else "".join(map(_spelled, folded))


def _spelled(char: str) -> str:
    if char.isascii():
        return char
    code = ord(char)
    if code >= _BY_FOUR:
        return "F" + _in_letters(code, 5)
    rest, first = divmod(code, 5)
    return "ABCDE"[first] + _in_letters(rest, 4)


def _in_letters(number: int, count: int) -> str:
    return "".join(_LETTERS[number // 20**at % 20] for at in range(count))


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


class Few(Struct, frozen=True):
    """The users that rows are of, where they are FEW at most."""

    ids: str | None  # as JSON
    many: bool  # they are more; where neither is known, users have many of the rows each


class Match(Struct, frozen=True):
    """The conditions on `users` that a search is matched."""

    walked: ColumnElement[bool]  # looks at the texts of one user
    indexed: ColumnElement[bool] | None  # looks all up; None where the index does not know them
    few: TextClause | None  # those that were found
    found: Few

    @property
    def condition(self) -> ColumnElement[bool] | TextClause:
        return self.walked if self.few is None else self.few


async def matching(tx: Tx, given: str, visible: frozenset[str] | None) -> Match:
    """What matches `given` by what `visible` bind ids hold.

    Where few match, they are looked up in the index. Where many do, the users of the page are
    soon found by walking in its order and looking at each one's text.
    """
    sought = spell(fold(given)[:LONGEST])
    holds = _holds(tx, sought)
    if visible is not None:
        holds = and_(holds, user_search.c.bind_id.in_(sorted(visible)))
    walked = exists().where(user_search.c.user_id == table.c.id, holds)
    rows = await _indexed(tx, sought)
    if rows is None:
        return Match(walked, None, None, Few(None, many=False))
    rows = rows.where(holds)
    found = await few_of(tx, rows)
    everyone = table.c.id.in_(rows)
    if tx.dialect == "postgresql":  # else it walks all users beside the matches
        everyone = table.c.id == any_(func.array(rows.scalar_subquery()))
    few = None if found.ids is None else among(tx, found.ids, "matched")
    return Match(walked, everyone, few, found)


async def few_of(tx: Tx, rows: Select[Any]) -> Few:
    """Which users `rows` are of, which give `user_id`."""
    listed = func.json_group_array
    if tx.dialect == "postgresql":
        listed = func.json_agg
        # It plans without the values otherwise, and so wrongly.
        await tx.run(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    most = 2 * FEW + 2
    some = rows.limit(most).subquery()
    each = select(some.c.user_id, func.count().label("rows")).group_by(some.c.user_id)
    found = each.limit(FEW + 1).subquery()
    ids = case((func.count() <= FEW, cast(listed(found.c.user_id), Text)))
    whole = func.coalesce(func.sum(found.c.rows), 0) < most
    seen = await tx.first(select(func.count() > FEW, whole, ids).select_from(found))
    many, is_whole, given = seen
    return Few((given or "[]") if is_whole and not many else None, bool(many))


def among(tx: Tx, ids: str, name: str) -> TextClause:
    """The condition that a user is one of `ids`, JSON that is bound as `name`."""
    held = f"IN (SELECT value FROM json_each(:{name}))"
    if tx.dialect == "postgresql":  # as an array, which it takes for short and begins with
        numbers = f"SELECT CAST(v AS bigint) FROM json_array_elements_text(CAST(:{name} AS json))"
        held = f"= ANY(ARRAY({numbers} AS t(v)))"
    return text(f"users.id {held}").bindparams(**{name: ids})


async def _indexed(tx: Tx, sought: str) -> Select[Any] | None:
    """The rows that the index finds; None for what it does not know or has too much of."""
    rows = select(user_search.c.user_id)
    if tx.dialect == "sqlite":
        words = await _words(tx, sought)
        if words is None:
            return None
        matched = text("user_search_index MATCH :words").bindparams(words=words)
        return rows.join(_INDEX, _INDEX.c.rowid == user_search.c.id).where(matched)
    if len(sought) == 2 and sought.isalnum():
        return rows.where(user_search.c.text.regexp_match(f"{sought}[\n -~]"))
    return rows if _HAS_TRIGRAM(sought) else None


async def _words(tx: Tx, sought: str) -> str | None:
    """What FTS5 is asked for; None for what begins too many of its terms."""
    if len(sought) >= 3:
        grams = dict.fromkeys(sought[at : at + 3] for at in range(len(sought) - 2))
        return " AND ".join(map(_quoted, grams))
    bound = {"low": sought, "high": sought[:-1] + chr(ord(sought[-1]) + 1)}
    terms = [row.term for row in await tx.rows(_TERMS, bound)]
    if len(terms) > TERMS:
        return None
    return " OR ".join(map(_quoted, terms)) or _quoted("\n\n\n")  # which no text has


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _holds(tx: Tx, sought: str) -> ColumnElement[bool]:
    column = user_search.c.text
    if tx.dialect == "sqlite":
        return func.instr(column, sought) > 0
    # The default escape, as an explicit one keeps PostgreSQL from its index.
    escaped = sought.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(f"%{escaped}%")
