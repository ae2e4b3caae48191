"""Whom a message would reach, before it is sent: the same rules as when it is expanded.

What only shows then is left out: a frequency cap goes by what else is sent until then, and users
may come and go.
"""

from typing import Any, Final

from msgspec import Struct

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.messages.requests import SendRequest
from ums.core.templates.cache import TemplateCache
from ums.core.templates.missing_variables_sql import Lacking, lacking
from ums.core.users.audience import Audience
from ums.core.users.segment_conditions import read
from ums.core.users.segment_sql import compile_conditions
from ums.core.users.segments import conditions_of
from ums.db import Statement, Tx, rows_json

_BOUND = (
    "(SELECT a.value FROM addresses a WHERE a.user_id = u.id AND a.kind = 'email'"
    " AND a.bind_id = {key} LIMIT 1)"
)
_SHARED = _BOUND.format(key="'all'")
_ADDRESS = f"COALESCE({_BOUND.format(key=':key')}, {_SHARED}, '')"
_MEMBER = (
    "(:everyone OR EXISTS (SELECT 1 FROM tags t JOIN $rows(g: bind_id text, tag text)"
    " ON g.bind_id = t.bind_id AND g.tag = t.tag WHERE t.user_id = u.id){segment})"
)
_MEMBERS = (
    f"SELECT u.userid, {_ADDRESS} AS address, true AS known{{lacks}} FROM users u WHERE {_MEMBER}"
)
_NAMED = (
    f"SELECT n.userid, {_ADDRESS} AS address, u.id IS NOT NULL AS known"
    " FROM $rows(n: userid text) LEFT JOIN users u ON u.userid = n.userid"
    " UNION ALL SELECT '' AS userid, d.address, true AS known FROM $rows(d: address text)"
)
_ON = (
    "EXISTS (SELECT 1 FROM list_entries e WHERE e.list_id = :{list} AND ((e.kind = 'address'"
    " AND e.value = t.address) OR (e.kind = 'userid' AND e.value = t.userid)))"
)
LOSSES: Final = (
    "no_user",
    "no_address",
    "blocked",
    "not_allowed",
    "suppressed",
    "variable_missing",
    "duplicate",
)
_SUPPRESSED = (
    "EXISTS (SELECT 1 FROM suppressions s WHERE s.channel_id = :channel"
    " AND s.address = t.address AND (s.expires_at IS NULL OR s.expires_at > :at))"
)
_COUNTED = (
    "SELECT f.problem, count(*) AS number, count(DISTINCT f.address) AS addresses{sums} FROM"
    " (SELECT t.*, CASE WHEN NOT t.known THEN 'no_user' WHEN t.address = '' THEN 'no_address'"
    f" {{blocked}}{{allowed}}WHEN {_SUPPRESSED} THEN 'suppressed' {{lacking}} ELSE '' END"
    " AS problem FROM ({targets}) t) f GROUP BY f.problem"
)
_SUMS = ", sum(f.{lack}), min(CASE WHEN f.{lack} = 1 THEN f.userid END)"
_OWN_TAGS = Statement(
    "SELECT g.tag FROM $rows(g: tag text)"
    " WHERE EXISTS (SELECT 1 FROM tags t WHERE t.bind_id = :key AND t.tag = g.tag)"
)


class Lack(Struct, frozen=True):
    """A variable that users of the audience have no value for."""

    name: str
    users: int
    userid: str  # one of them


class Reach(Struct, frozen=True):
    """How many a message would go to, and how many not, by reason (`LOSSES`); they add up to
    `audience`."""

    audience: int
    goes: int
    losses: dict[str, int]
    lacks: list[Lack] = []  # of the loss `variable_missing`; a user may lack several


async def reach(system: AppContext, channel: Channel, asked: SendRequest) -> Reach:
    """Count them now, for a request that passed every check."""
    audience, option = asked.audience, asked.option
    needs = await _needs(system, asked)
    async with system.database.read() as tx:
        segment, bound = await _segment(tx, audience)
        tags = await _scoped(tx, channel.key, audience.tags)
        members = audience.described
        lacks = needs.columns(tx.dialect) if needs and members else {}
        statement = _COUNTED.format(
            targets=_members(segment, lacks) if members else _NAMED,
            sums="".join(_SUMS.format(lack=lack) for lack in lacks),
            lacking=_lost(lacks),
            blocked=_listed(option.black_id, "block", "WHEN {} THEN 'blocked' "),
            allowed=_listed(option.white_id, "allow", "WHEN NOT {} THEN 'not_allowed' "),
        )
        bound |= {"key": channel.key, "channel": channel.id, "at": clock.now()}
        if members:
            bound["everyone"] = audience.everyone or bound.pop("everyone", False)
            bound["g"] = rows_json(tags)
        else:
            bound["n"] = rows_json((userid,) for userid in audience.userids)
            bound["d"] = rows_json((address,) for address in audience.addresses)
        if lacks and needs:
            bound |= needs.bound(tx.dialect)
        if option.black_id is not None:
            bound["block"] = option.black_id
        if option.white_id is not None:
            bound["allow"] = option.white_id
        rows = await tx.rows(Statement(statement), bound)
    return _sum(rows, needs if lacks else None)


async def example(system: AppContext, channel: Channel, asked: SendRequest) -> str:
    """The userid of somebody whom a described audience reaches; "" where there is nobody."""
    async with system.database.read() as tx:
        segment, bound = await _segment(tx, asked.audience)
        bound["everyone"] = asked.audience.everyone or bound.pop("everyone", False)
        bound |= {"key": channel.key}
        bound["g"] = rows_json(await _scoped(tx, channel.key, asked.audience.tags))
        members = _members(segment, {})
        first = Statement(f"SELECT t.userid FROM ({members}) t WHERE t.address <> '' LIMIT 1")
        return str(await tx.value(first, bound) or "")


async def _needs(system: AppContext, asked: SendRequest) -> Lacking | None:
    """What the template needs of users; what they bring of their own is checked on acceptance."""
    if asked.template_id is None:
        return None
    version = await system.shared(TemplateCache).version(
        asked.template_id, asked.template_version or 0
    )
    return lacking(version, asked.content.para) if version else None


def _members(segment: str, lacks: dict[str, str]) -> str:
    columns = "".join(f", {lack} AS {name}" for name, lack in lacks.items())
    return _MEMBERS.format(segment=segment, lacks=columns)


def _lost(lacks: dict[str, str]) -> str:
    any_of = " + ".join(f"t.{name}" for name in lacks)
    return f"WHEN {any_of} > 0 THEN 'variable_missing' " if lacks else ""


def _sum(rows: Any, needs: Lacking | None) -> Reach:
    total, goes, losses = 0, 0, dict[str, int]()
    lacks: list[Lack] = []
    for row in rows:
        total += row.number
        if needs and row.problem == "variable_missing":
            found = [Lack(name, *row[3 + 2 * i : 5 + 2 * i]) for i, name in enumerate(needs)]
            lacks = [lack for lack in found if lack.users]
        if row.problem not in ("", "suppressed"):
            losses[row.problem] = row.number
            continue
        if row.problem:
            losses[row.problem] = row.addresses
        else:
            goes = row.addresses
        twice = row.number - row.addresses
        if twice:
            losses["duplicate"] = losses.get("duplicate", 0) + twice
    return Reach(total, goes, losses, lacks)


def _listed(id: int | None, name: str, words: str) -> str:
    return "" if id is None else words.format(_ON.format(list=name))


async def _segment(tx: Tx, audience: Audience) -> tuple[str, dict[str, Any]]:
    if audience.segment is None:
        return "", {}
    conditions = await conditions_of(tx, audience.segment)
    if conditions is None:
        return "", {}
    if conditions == {}:
        return "", {"everyone": True}
    compiled = compile_conditions(read(conditions), tx.dialect, clock.now())
    return f" OR {compiled.sql}", dict(compiled.params)


async def _scoped(tx: Tx, key: str, tags: list[str]) -> list[tuple[str, str]]:
    """As `expansion` does: a tag is the channel's own where any user has it there, else `all`'s."""
    rows = await tx.rows(_OWN_TAGS, {"g": rows_json((tag,) for tag in tags), "key": key})
    own = {row.tag for row in rows}
    return [(key if tag in own else "all", tag) for tag in tags]
