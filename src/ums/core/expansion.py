"""From an audience to deliveries: one row per recipient, in chunks, never doubled.

Each chunk is one transaction that inserts its rows and moves the message's cursor, so a process
may die between any two of them. The row of the message is locked for the chunk's time; any
worker may do the next one.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row

from ums import clock
from ums.core.messages import read_audience
from ums.core.requests import Audience
from ums.db import Database, Hot, Tx, rows_json

SMALL_AT_ONCE = 300  # messages
CHUNK = 10_000  # users

_MESSAGE = (
    "SELECT m.id, m.audience, m.plan, m.cursor, m.priority, m.sender_id, c.key AS channelkey"
    " FROM messages m JOIN channels c ON c.id = m.channel_id"
)
_UNPLANNED = Hot(_MESSAGE + " WHERE m.id = :id AND m.state <> 'expanded' AND m.plan IS NULL")
_OPEN = Hot(
    _MESSAGE
    + " WHERE m.state <> 'expanded' AND (m.plan IS NOT NULL) = :large AND m.halt <> 'approval'"
    # What is stopped for good need not wait for its time to be accounted for.
    " AND (m.starts_at <= :at OR m.halt IN ('cancelled', 'retracted', 'refused'))"
    " ORDER BY m.priority, m.id LIMIT :limit $lock(m)"
)

# The checks every way to a delivery shares: an address, and each address once per message.
_CHECKED = (
    " INSERT INTO deliveries (message_id, sender_id, userid, address, state, reason, priority,"
    " due_at, epoch, charged, tries, doubts, created_at, updated_at)"
    " SELECT f.message_id, m.sender_id, f.userid, f.address,"
    " CASE WHEN f.reason <> '' THEN 'invalid' WHEN m.halt = '' THEN 'queued'"
    " WHEN m.halt = 'paused' THEN 'paused' ELSE 'cancelled' END,"
    " CASE WHEN f.reason <> '' OR m.halt IN ('', 'paused') THEN f.reason"
    " WHEN m.halt = 'refused' THEN 'not_approved' ELSE m.halt END, m.priority,"
    " :at, 0, 0, 0, 0, :at, :at"
    " FROM (SELECT w.message_id, w.place, w.userid, w.address, CASE"
    " WHEN NOT w.known THEN 'no_user'"
    " WHEN w.address = '' THEN 'no_address'"
    " WHEN w.copy > 1 THEN 'duplicate'"
    " WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = w.message_id"
    " AND d.address = w.address AND d.state <> 'invalid') THEN 'duplicate'"
    " ELSE '' END AS reason FROM (SELECT t.*,"
    " row_number() OVER (PARTITION BY t.message_id, t.address ORDER BY t.place) AS copy"
    " FROM target t) w) f"
    " JOIN messages m ON m.id = f.message_id ORDER BY f.message_id, f.place"
)
# One look-up by the primary key for each user. As joins PostgreSQL runs them as nested loops over
# whole tables while it has no statistics, so right after an import: 12 s for 10,000 users.
_BOUND = (
    "(SELECT a.value FROM addresses a WHERE a.user_id = u.id AND a.kind = 'email'"
    " AND a.bind_id = {key} LIMIT 1)"
)
_SHARED = _BOUND.format(key="'all'")
_ADDRESS = f" COALESCE({_BOUND}, {_SHARED}, '') AS address,"
_DIRECT = Hot(
    "WITH target AS (SELECT r.message_id, r.place, '' AS userid, r.address, true AS known"
    " FROM $rows(r: message_id bigint, place int, address text))" + _CHECKED
)
_LISTED = Hot(
    "WITH target AS (SELECT r.message_id, r.place, r.userid,"
    + _ADDRESS.format(key="r.channelkey")
    + " u.id IS NOT NULL AS known"
    " FROM $rows(r: message_id bigint, place int, userid text, channelkey text)"
    " LEFT JOIN users u ON u.userid = r.userid)" + _CHECKED
)
_MEMBER = (
    " u.id <= :last AND (:everyone"
    " OR EXISTS (SELECT 1 FROM tags t JOIN $rows(g: bind_id text, tag text)"
    " ON g.bind_id = t.bind_id AND g.tag = t.tag WHERE t.user_id = u.id)"
    " OR u.userid IN (SELECT n.userid FROM $rows(n: userid text)))"
)
_COUNT = Hot("SELECT count(*) FROM users u WHERE" + _MEMBER)
_STRANGERS = Hot(
    "SELECT n.userid FROM $rows(n: userid text)"
    " WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.userid = n.userid AND u.id <= :last)"
)
_END = Hot(
    "SELECT max(id), count(*) FROM (SELECT u.id FROM users u WHERE u.id > :cursor AND"
    + _MEMBER
    + " ORDER BY u.id LIMIT :limit) AS chunk"
)
_MEMBERS = Hot(
    "WITH target AS (SELECT CAST(:message AS bigint) AS message_id, u.id AS place, u.userid,"
    + _ADDRESS.format(key=":key")
    + " true AS known FROM users u"
    " WHERE u.id > :cursor AND u.id <= :end AND" + _MEMBER + ")" + _CHECKED
)
_OWN_TAGS = Hot(
    "SELECT g.tag FROM $rows(g: tag text)"
    " WHERE EXISTS (SELECT 1 FROM tags t WHERE t.bind_id = :key AND t.tag = g.tag)"
)
_DONE = Hot(
    "UPDATE messages SET state = 'expanded', size = (SELECT count(*) FROM deliveries d"
    " WHERE d.message_id = messages.id) WHERE id IN (SELECT r.id FROM $rows(r: id bigint))"
)
_PLANNED = Hot("UPDATE messages SET plan = :plan, size = :size WHERE id = :id")
_MOVED = Hot("UPDATE messages SET cursor = :cursor WHERE id = :id")
_LAST_USER = Hot("SELECT COALESCE(max(id), 0) FROM users")


class Plan(Struct, frozen=True):
    """What is settled when the expansion of a large audience starts, so that users and tags
    which come later neither join nor leave in its middle."""

    last: int  # the newest user who belongs to it
    everyone: bool
    tags: list[tuple[str, str]]  # (bind id, tag)
    userids: list[str]


async def expand(database: Database) -> bool:
    """Expand what was accepted: all small messages that wait, and a chunk of one large.

    False when there was nothing to do.
    """
    async with database.write() as tx:
        small = await _expand_small(tx)
    async with database.write() as tx:
        large = await _expand_chunk(tx)
    return small or large


async def _expand_small(tx: Tx) -> bool:
    rows = await tx.rows(_OPEN, {"large": False, "limit": SMALL_AT_ONCE, "at": clock.now()})
    if not rows:
        return False
    direct: list[tuple[object, ...]] = []
    listed: list[tuple[object, ...]] = []
    done: list[tuple[int]] = []
    for row in rows:
        if len(direct) + len(listed) >= CHUNK:
            break  # the others come next; no transaction may keep the writers waiting for long
        audience = read_audience(row.audience)
        if _is_large(audience):
            await _plan(tx, row, audience)
            continue
        done.append((row.id,))
        direct += [(row.id, i, address) for i, address in enumerate(audience.addresses)]
        listed += [(row.id, i, id, row.channelkey) for i, id in enumerate(audience.userids)]
    await _insert(tx, _DIRECT, direct)
    await _insert(tx, _LISTED, listed)
    await tx.run(_DONE, {"r": rows_json(done)})
    return True


async def measure(tx: Tx, message: int) -> None:
    """Settle now who belongs to a message that may be expanded, so that they can be counted. The
    caller has locked the message's row."""
    row = await tx.first(_UNPLANNED, {"id": message})
    if row is None:
        return
    audience = read_audience(row.audience)
    if _is_large(audience):
        await _plan(tx, row, audience)


def _is_large(audience: Audience) -> bool:
    return audience.everyone or bool(audience.tags) or audience.segment is not None


async def _insert(tx: Tx, statement: Hot, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await tx.run(statement, {"r": rows_json(rows), "at": clock.now()})


async def _plan(tx: Tx, row: Row[Any], audience: Audience) -> None:
    last = int(await tx.value(_LAST_USER))
    plan = Plan(
        last=last,
        # A segment has no conditions yet, and without conditions it is everyone.
        everyone=audience.everyone or audience.segment is not None,
        tags=await _scoped(tx, row.channelkey, audience.tags),
        userids=audience.userids,
    )
    strangers = await tx.rows(_STRANGERS, _bound(plan))
    listed = [(row.id, -1, stranger.userid, row.channelkey) for stranger in strangers]
    await _insert(tx, _LISTED, listed)
    size = int(await tx.value(_COUNT, _bound(plan))) + len(listed)
    text = msgspec.json.encode(plan).decode()
    await tx.run(_PLANNED, {"id": row.id, "plan": text, "size": size})


async def _scoped(tx: Tx, key: str, tags: list[str]) -> list[tuple[str, str]]:
    """Each tag under the channel's own key when any user has it there, else under `all`."""
    rows = await tx.rows(_OWN_TAGS, {"g": rows_json((tag,) for tag in tags), "key": key})
    own = {row.tag for row in rows}
    return [(key if tag in own else "all", tag) for tag in tags]


async def _expand_chunk(tx: Tx) -> bool:
    row = await tx.first(_OPEN, {"large": True, "limit": 1, "at": clock.now()})
    if row is None:
        return False
    plan = msgspec.json.decode(row.plan, type=Plan)
    bound = {**_bound(plan), "cursor": row.cursor}
    end, count = (await tx.rows(_END, {**bound, "limit": CHUNK}))[0]
    if not count:
        await tx.run(_DONE, {"r": rows_json([(row.id,)])})
        return True
    chunk = {"message": row.id, "key": row.channelkey, "end": end, "at": clock.now()}
    await tx.run(_MEMBERS, {**bound, **chunk})
    await tx.run(_MOVED, {"id": row.id, "cursor": end})
    return True


def _bound(plan: Plan) -> dict[str, object]:
    return {
        "last": plan.last,
        "everyone": plan.everyone,
        "g": rows_json(plan.tags),
        "n": rows_json((userid,) for userid in plan.userids),
    }
