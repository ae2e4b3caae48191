"""Hand-written set-based statements, written once and fitted to either dialect.

A template holds five kinds of marks:

    $rows(r: id bigint, name text)   a table made of the JSON array of arrays bound as :r
    $among(d.id, r)                  d.id is the first column of a row of :r (a hint to look up
                                     by index; PostgreSQL guesses wrong about small tables)
    $domain(d.address)               what stands behind the @ of an address
    $now                             the time in ms that leases go by
    $skip_locked, $lock(m)           how a claim passes over rows another worker is claiming

One statement over many rows costs one round trip and one plan, where a statement per row costs
as many as there are rows (speed.md, The database).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from sqlalchemy import TextClause, text

_LOCK = re.compile(r"\$lock\((\w+)\)")
_DOMAIN = re.compile(r"\$domain\(([\w.]+)\)")
_AMONG = re.compile(r"\$among\(([\w.]+), (\w+)\)")
_ROWS = re.compile(r"\$rows\((\w+):\s*([^)]+)\)")


class Statement:
    """A statement template; `on(dialect)` gives the SQL of that dialect."""

    def __init__(self, template: str) -> None:
        self.template = template

    def on(self, dialect: str) -> TextClause:
        return _fit(self.template, dialect)


def to_json(value: object) -> str:
    """`value` as JSON text, as a column of the database holds it."""
    return msgspec.json.encode(value).decode()


def rows_json(rows: Iterable[tuple[object, ...]]) -> str:
    """`rows` as the JSON that a `$rows` mark reads."""
    return to_json(list(rows))


_IDS = (
    r"\1 = ANY(ARRAY(SELECT CAST(v->>0 AS bigint)"
    r" FROM json_array_elements(CAST(:\2 AS json)) AS t(v)))"
)


@lru_cache(maxsize=1000)  # those of segments are made at run time, and need not stay
def _fit(template: str, dialect: str) -> TextClause:
    postgres = dialect == "postgresql"
    sql = _ROWS.sub(lambda mark: _table(mark[1], mark[2], postgres), template)
    # Several machines' clocks may differ, so on PostgreSQL leases go by the database's own.
    now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)" if postgres else ":now"
    sql = sql.replace("$now", now)
    domain = r"split_part(\1, '@', 2)" if postgres else r"substr(\1, instr(\1 || '@', '@') + 1)"
    sql = _DOMAIN.sub(domain, sql)
    sql = _AMONG.sub(_IDS if postgres else "true", sql)
    sql = _LOCK.sub(r"FOR UPDATE OF \1 SKIP LOCKED" if postgres else "", sql)
    return text(sql.replace("$skip_locked", "FOR UPDATE SKIP LOCKED" if postgres else ""))


def _table(alias: str, columns: str, postgres: bool) -> str:
    pairs = [column.split() for column in columns.split(",")]
    if postgres:
        fields = ", ".join(f"CAST(v->>{i} AS {kind}) AS {n}" for i, (n, kind) in enumerate(pairs))
        source = f"json_array_elements(CAST(:{alias} AS json)) AS t(v)"
    else:
        fields = ", ".join(
            f"json_extract(value, '$[{i}]') AS {n}" for i, (n, _) in enumerate(pairs)
        )
        source = f"json_each(:{alias})"
    return f"(SELECT {fields} FROM {source}) AS {alias}"
