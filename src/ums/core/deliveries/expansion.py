"""Expansion of an audience into deliveries: one row per recipient, in chunks, without duplicates.

Each chunk is one transaction that inserts its rows and moves the message's cursor, so a process
may crash between any two chunks. The transaction locks the row of the message; any worker may do
the next chunk.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row

from ums import clock
from ums.core.deliveries import frequency_cap
from ums.core.deliveries.frequency_cap import Terms, terms_json, terms_of
from ums.core.users.audience import Audience, read_audience
from ums.core.users.segment_conditions import read
from ums.core.users.segment_sql import compile_conditions
from ums.core.users.segments import Conditions, conditions_of
from ums.core.webhooks import outbox
from ums.db import Database, Statement, Tx, rows_json, to_json

SMALL_AT_ONCE = 300  # messages
CHUNK = 10_000  # users

_MESSAGE = (
    "SELECT m.id, m.audience, m.plan, m.cursor, m.priority, m.sender_id, m.channel_id,"
    " m.broadcast, m.callback_id, c.key AS channelkey, c.rules"
    " FROM messages m JOIN channels c ON c.id = m.channel_id"
)
_UNPLANNED = Statement(_MESSAGE + " WHERE m.id = :id AND m.state <> 'expanded' AND m.plan IS NULL")
_OPEN = Statement(
    _MESSAGE
    + " WHERE m.state <> 'expanded' AND (m.plan IS NOT NULL) = :large AND m.halt <> 'approval'"
    # A message that is stopped for good is expanded without waiting for its scheduled time.
    " AND (m.starts_at <= :at OR m.halt IN ('cancelled', 'retracted', 'refused'))"
    " ORDER BY m.priority, m.id LIMIT :limit $lock(m)"
)

_ON = (
    "(EXISTS (SELECT 1 FROM list_entries e WHERE e.list_id = m.{list}"
    " AND e.kind = 'address' AND e.value = t.address)"
    " OR EXISTS (SELECT 1 FROM list_entries e WHERE e.list_id = m.{list}"
    " AND e.kind = 'userid' AND e.value = t.userid))"
)
# The available senders of each channel with several: those of the first rank that has an available
# sender, each with its share of the deliveries by weight (core.senders.routing).
_ROUTE = (
    ", ready AS (SELECT l.channel_id, l.sender_id, l.weight,"
    " CASE WHEN l.rank = 0 THEN 1 ELSE l.rank END AS rank"
    " FROM channel_senders l JOIN senders s ON s.id = l.sender_id"
    " WHERE (l.rank > 0 OR l.is_default) AND s.open"
    " AND COALESCE(s.cooldown_until, 0) <= :at AND COALESCE(s.cap_reached_until, 0) <= :at"
    " AND EXISTS (SELECT 1 FROM channel_senders x WHERE x.channel_id = l.channel_id"
    " AND x.rank > 0)), route AS MATERIALIZED (SELECT r.channel_id, r.sender_id,"
    " sum(r.weight) OVER (PARTITION BY r.channel_id ORDER BY r.sender_id) AS high,"
    " sum(r.weight) OVER (PARTITION BY r.channel_id ORDER BY r.sender_id) - r.weight AS low,"
    " sum(r.weight) OVER (PARTITION BY r.channel_id) AS total FROM ready r WHERE r.rank ="
    " (SELECT min(f.rank) FROM ready f WHERE f.channel_id = r.channel_id))"
)
# The checks of every delivery, however its recipient is named: an address, the message's lists, no
# duplicate address within a message, the channel's suppressions and frequency cap. `o` has the
# frequency cap and due time of each message that has its own.
_CHECKED = (
    _ROUTE
    + " INSERT INTO deliveries (message_id, sender_id, userid, address, state, reason, priority,"
    " due_at, epoch, counted_tries, tries, unknown_count, variables, created_at, updated_at)"
    " SELECT f.message_id, COALESCE(p.sender_id, f.sender_id), f.userid, f.address,"
    " CASE WHEN f.problem NOT IN ('', 'suppressed') OR f.copy > 1 THEN 'invalid'"
    " WHEN f.problem <> '' THEN 'suppressed' WHEN f.halt = '' THEN 'queued'"
    " WHEN f.halt = 'paused' THEN 'paused' ELSE 'cancelled' END,"
    " CASE WHEN f.problem IN ('', 'suppressed') AND f.copy > 1 THEN 'duplicate'"
    " WHEN f.problem <> '' THEN f.problem"
    " WHEN f.halt IN ('', 'paused') THEN '' WHEN f.halt = 'refused' THEN 'not_approved'"
    " ELSE f.halt END, f.priority,"
    " COALESCE(f.due_at, :at), 0, 0, 0, 0, f.variables, :at, :at"
    # Duplicates are counted among recipients with the same problem: a blocked user does not make
    # the delivery of another user with the same address a duplicate.
    " FROM (SELECT w.*, row_number() OVER (PARTITION BY w.message_id, w.address, w.problem"
    " ORDER BY w.place) AS copy FROM (SELECT t.message_id, t.place, t.userid, t.address,"
    " t.variables, m.sender_id, m.channel_id, m.failover_allowed, m.priority, m.halt, o.due_at,"
    " CASE"
    " WHEN NOT t.known THEN 'no_user'"
    " WHEN t.address = '' THEN 'no_address'"
    f" WHEN m.black_id IS NOT NULL AND {_ON.format(list='black_id')} THEN 'blocked'"
    f" WHEN m.white_id IS NOT NULL AND NOT {_ON.format(list='white_id')} THEN 'not_allowed'"
    " WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = t.message_id"
    " AND d.address = t.address AND d.state <> 'invalid') THEN 'duplicate'"
    " WHEN EXISTS (SELECT 1 FROM suppressions s WHERE s.channel_id = m.channel_id"
    " AND s.address = t.address AND (s.expires_at IS NULL OR s.expires_at > :at))"
    " THEN 'suppressed'"
    " WHEN o.most IS NOT NULL AND (SELECT count(*) FROM frequency_cap_log k WHERE k.channel_id ="
    " m.channel_id AND k.address = t.address AND k.at > o.since) >= o.most THEN 'frequency_cap'"
    " ELSE '' END AS problem FROM target t JOIN messages m ON m.id = t.message_id LEFT JOIN"
    " $rows(o: message_id bigint, most int, since bigint, due_at bigint)"
    " ON o.message_id = t.message_id) w) f LEFT JOIN route p ON f.failover_allowed"
    " AND p.channel_id = f.channel_id AND (f.place + f.message_id) % p.total >= p.low"
    " AND (f.place + f.message_id) % p.total < p.high ORDER BY f.message_id, f.place"
)
_TOLD = " RETURNING message_id, address, state"
# One look-up by primary key per user. As joins, PostgreSQL runs them as nested loops over whole
# tables while it has no statistics, that is, right after an import: 12 s for 10,000 users.
_BOUND = (
    "(SELECT a.value FROM addresses a WHERE a.user_id = u.id AND a.kind = 'email'"
    " AND a.bind_id = {key} LIMIT 1)"
)
_SHARED = _BOUND.format(key="'all'")
_ADDRESS = f" COALESCE({_BOUND}, {_SHARED}, '') AS address,"
# Materialized, because SQLite would otherwise look an address up again for each check.
_DIRECT = (
    "WITH target AS MATERIALIZED (SELECT r.message_id, r.place, '' AS userid, r.address,"
    " true AS known, r.variables"
    " FROM $rows(r: message_id bigint, place int, address text, variables text))" + _CHECKED
)
_LISTED = (
    "WITH target AS MATERIALIZED (SELECT r.message_id, r.place, r.userid,"
    + _ADDRESS.format(key="r.channelkey")
    + " u.id IS NOT NULL AS known, r.variables FROM"
    " $rows(r: message_id bigint, place int, userid text, channelkey text, variables text)"
    " LEFT JOIN users u ON u.userid = r.userid)" + _CHECKED
)
_MEMBER = (
    " u.id <= :last AND (:everyone"
    " OR EXISTS (SELECT 1 FROM tags t JOIN $rows(g: bind_id text, tag text)"
    " ON g.bind_id = t.bind_id AND g.tag = t.tag WHERE t.user_id = u.id)"
    " OR u.userid IN (SELECT n.userid FROM $rows(n: userid text)){segment})"
)
_COUNT = "SELECT count(*) FROM users u WHERE"
_STRANGERS = Statement(
    "SELECT n.userid FROM $rows(n: userid text)"
    " WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.userid = n.userid AND u.id <= :last)"
)
_END = Statement(
    "SELECT max(id), count(*) FROM (SELECT u.id FROM users u WHERE u.id > :cursor AND"
    + _MEMBER.format(segment="")
    + " ORDER BY u.id LIMIT :limit) AS chunk"
)
# With a segment, a chunk limits the users examined, not the users found: if ten of a million
# users match, finding a full chunk would examine them all while other writers wait.
_SPAN = Statement(
    "SELECT max(id), count(*) FROM (SELECT u.id FROM users u WHERE u.id > :cursor"
    " AND u.id <= :last ORDER BY u.id LIMIT :limit) AS chunk"
)
_MEMBERS = (
    "WITH target AS MATERIALIZED (SELECT CAST(:message AS bigint) AS message_id, u.id AS place,"
    " u.userid," + _ADDRESS.format(key=":key") + " true AS known, CAST(NULL AS text) AS variables"
    " FROM users u"
    " WHERE u.id > :cursor AND u.id <= :end AND" + _MEMBER + ")" + _CHECKED
)
_OWN_TAGS = Statement(
    "SELECT g.tag FROM $rows(g: tag text)"
    " WHERE EXISTS (SELECT 1 FROM tags t WHERE t.bind_id = :key AND t.tag = g.tag)"
)
# The second statement of each pair returns the inserted rows, for channels with a frequency cap.
_BY_ADDRESS = (Statement(_DIRECT), Statement(_DIRECT + _TOLD))
_BY_USERID = (Statement(_LISTED), Statement(_LISTED + _TOLD))
_DONE = Statement(
    "UPDATE messages SET state = 'expanded', audience_size = (SELECT count(*) FROM deliveries d"
    " WHERE d.message_id = messages.id) WHERE id IN (SELECT r.id FROM $rows(r: id bigint))"
)
_PLANNED = Statement(
    "UPDATE messages SET plan = :plan, audience_size = :size WHERE id = :id AND state <> 'expanded'"
)
_MOVED = Statement("UPDATE messages SET cursor = :cursor WHERE id = :id")
_LAST_USER = Statement("SELECT COALESCE(max(id), 0) FROM users")


class Plan(Struct, frozen=True):
    """Snapshot of a large audience's definition.

    Taken when expansion starts, so that users and tags that are added later do not change the
    audience during expansion.
    """

    last: int  # id of the newest user who can belong to the audience
    everyone: bool
    tags: list[tuple[str, str]]  # (bind id, tag)
    userids: list[str]
    conditions: Conditions | None = None  # of the segment when planned; None for no segment
    at: int = 0  # reference time (ms) of the conditions that count days
    counted: bool = True


class _Uncounted(Struct, frozen=True):
    """A planned message whose audience has not been counted yet."""

    id: int
    plan: Plan


class _Small(Struct, frozen=True):
    """A message that lists its recipients itself."""

    row: Row[Any]
    audience: Audience
    terms: Terms | None

    @property
    def capped(self) -> bool:
        return self.terms is not None and self.terms.most is not None


async def expand(database: Database) -> bool:
    """Expand a batch of small messages that wait, and one chunk of a large message.

    Return False if there was nothing to do.
    """
    async with database.write() as tx:
        small = await _expand_small(tx)
    async with database.write() as tx:
        large = await _expand_chunk(tx)
    if isinstance(large, _Uncounted):
        await _count(database, large)
    return small or bool(large)


async def _expand_small(tx: Tx) -> bool:
    at = clock.now()
    rows = await tx.rows(_OPEN, {"large": False, "limit": SMALL_AT_ONCE, "at": at})
    free: list[_Small] = []
    capped: list[_Small] = []
    size = 0
    for row in rows:
        if size >= CHUNK:
            break  # leave the rest to the next call: a long transaction keeps other writers waiting
        audience = read_audience(row.audience)
        if audience.described:
            await _plan(tx, row, audience)
            continue
        small = _Small(row, audience, terms_of(row, at))
        (capped if small.capped else free).append(small)
        size += audience.known_size
    async with outbox.expanding(tx, _told([small.row for small in free + capped])):
        await _insert(tx, free)
        await _insert_capped(tx, capped)
    await tx.run(_DONE, {"r": rows_json((small.row.id,) for small in free + capped)})
    return bool(rows)


async def measure(tx: Tx, message: int) -> None:
    """Plan the audience of a message before its expansion, so that its size can be counted.

    The caller must have locked the message's row.
    """
    row = await tx.first(_UNPLANNED, {"id": message})
    if row is None:
        return
    audience = read_audience(row.audience)
    if audience.described:
        await _plan(tx, row, audience, count=True)


async def _insert_capped(tx: Tx, messages: list[_Small]) -> None:
    if messages:
        await frequency_cap.hold(tx, (small.row.channel_id for small in messages))
    for small in messages:
        made = await _insert(tx, [small], told=True)
        await frequency_cap.note(tx, small.row.channel_id, made)


async def _insert(tx: Tx, messages: list[_Small], *, told: bool = False) -> list[Any]:
    direct: list[tuple[object, ...]] = []
    listed: list[tuple[object, ...]] = []
    for small in messages:
        row = small.row
        audience, own = small.audience, _own(small.audience)
        direct += [(row.id, i, one, next(own)) for i, one in enumerate(audience.addresses)]
        listed += [
            (row.id, i, one, row.channelkey, next(own)) for i, one in enumerate(audience.userids)
        ]
    terms = [small.terms for small in messages if small.terms]
    made: list[Any] = []
    for statement, rows in ((_BY_ADDRESS[told], direct), (_BY_USERID[told], listed)):
        if rows:
            bound = {"r": rows_json(rows), "o": terms_json(terms), "at": clock.now()}
            made += await tx.rows(statement, bound)
    return made


def _own(audience: Audience) -> Iterator[str | None]:
    """Yield the JSON of each recipient's own variables (None for none), then None forever."""
    for given in audience.variables:
        text = bytes(given).decode()
        yield None if text == "null" else text
    yield from repeat(None)


def _told(rows: Sequence[Row[Any]]) -> list[int]:
    """Return the ids of those of these messages that have a callback."""
    return [row.id for row in rows if row.callback_id is not None]


async def _plan(tx: Tx, row: Row[Any], audience: Audience, *, count: bool = False) -> None:
    last = int(await tx.value(_LAST_USER))
    conditions = None
    if audience.segment is not None:  # a segment deleted meanwhile selects no users
        conditions = await conditions_of(tx, audience.segment)
    everyone = audience.everyone or conditions == {}
    plan = Plan(
        last=last,
        everyone=everyone,
        tags=await _scoped(tx, row.channelkey, audience.tags),
        userids=audience.userids,
        conditions=None if everyone else conditions,
        at=clock.now(),
        counted=count or everyone or conditions is None,
    )
    strangers = await tx.rows(_STRANGERS, _bound(plan))
    listed = [(row.id, -1, stranger.userid, row.channelkey, None) for stranger in strangers]
    if listed:
        async with outbox.expanding(tx, _told([row])):
            await tx.run(_BY_USERID[0], {"r": rows_json(listed), "o": "[]", "at": clock.now()})
    # A segment's users take long to count; they are counted when no writer has to wait for it.
    size = len(listed) + (await _size(tx, plan) if plan.counted else 0)
    text = to_json(plan)
    await tx.run(_PLANNED, {"id": row.id, "plan": text, "size": size})


async def _size(tx: Tx, plan: Plan) -> int:
    segment, bound = _members(plan, tx.dialect)
    return int(await tx.value(Statement(_COUNT + _MEMBER.format(segment=segment)), bound))


async def _count(database: Database, message: _Uncounted) -> None:
    async with database.read() as tx:
        size = await _size(tx, message.plan)
        strangers = await tx.rows(_STRANGERS, _bound(message.plan))
    text = to_json(msgspec.structs.replace(message.plan, counted=True))
    async with database.write() as tx:
        counted = {"id": message.id, "plan": text, "size": size + len(strangers)}
        await tx.run(_PLANNED, counted)


async def _scoped(tx: Tx, key: str, tags: list[str]) -> list[tuple[str, str]]:
    """Each tag under the channel's own key when any user has it there, else under `all`."""
    rows = await tx.rows(_OWN_TAGS, {"g": rows_json((tag,) for tag in tags), "key": key})
    own = {row.tag for row in rows}
    return [(key if tag in own else "all", tag) for tag in tags]


async def _expand_chunk(tx: Tx) -> _Uncounted | bool:
    at = clock.now()
    row = await tx.first(_OPEN, {"large": True, "limit": 1, "at": at})
    if row is None:
        return False
    plan = msgspec.json.decode(row.plan, type=Plan)
    if not plan.counted:
        return _Uncounted(row.id, plan)
    segment, bound = _members(plan, tx.dialect)
    reach = {"cursor": row.cursor, "limit": CHUNK}
    end, count = (await tx.rows(_SPAN if segment else _END, {**bound, **reach}))[0]
    if not count:
        await tx.run(_DONE, {"r": rows_json([(row.id,)])})
        return True
    terms = terms_of(row, at)
    chunk = {"message": row.id, "key": row.channelkey, "cursor": row.cursor, "end": end, "at": at}
    chunk["o"] = terms_json([terms] if terms else [])
    statement = _MEMBERS.format(segment=segment)
    async with outbox.expanding(tx, _told([row])):
        if terms is None or terms.most is None:
            await tx.run(Statement(statement), {**bound, **chunk})
        else:
            await frequency_cap.hold(tx, [row.channel_id])
            made = await tx.rows(Statement(statement + _TOLD), {**bound, **chunk})
            await frequency_cap.note(tx, row.channel_id, made)
    await tx.run(_MOVED, {"id": row.id, "cursor": end})
    return True


def _members(plan: Plan, dialect: str) -> tuple[str, dict[str, object]]:
    """What a segment adds to `_MEMBER`, and all that is bound there."""
    if plan.conditions is None:
        return "", _bound(plan)
    compiled = compile_conditions(read(plan.conditions), dialect, plan.at)
    return f" OR {compiled.sql}", {**compiled.params, **_bound(plan)}


def _bound(plan: Plan) -> dict[str, object]:
    return {
        "last": plan.last,
        "everyone": plan.everyone,
        "g": rows_json(plan.tags),
        "n": rows_json((userid,) for userid in plan.userids),
    }
