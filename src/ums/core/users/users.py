"""Users: people we can reach, their addresses, tags and attributes (ums-spec 3.10, 3.11)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from ums.core.channels.channels import check_channel
from ums.core.context.app_context import AppContext
from ums.core.context.directory import AccessKey, Channel
from ums.core.tables import addresses, tags, users
from ums.core.users.bulk_upsert import REMOVE_USERS, Difference, apply
from ums.core.users.change_log import UserChange, note_users, of_difference
from ums.core.users.entry_parser import Entry, Rights, parse
from ums.core.users.fields import read_userid, show_userid
from ums.core.users.shared_addresses import note_removed
from ums.db import Tx, rows_json
from ums.errors import Forbidden, Invalid

MAX_ENTRIES = 1_000

Caller = Channel | AccessKey
"""Who asks: a channel writes its own data and what is for all; the access key writes any."""


class Failure(Struct, frozen=True):
    """An entry that was not applied. `errcode` is a string on the wire (ums-spec 3.10)."""

    userid: str
    errcode: str
    errmsg: str


class Report(Struct, frozen=True):
    """What became of the entries: one userid or failure for each, in their order."""

    success: list[str]
    fail: list[Failure]


class User(Struct, frozen=True):
    """A user as stored. Times are milliseconds since 1970."""

    id: int
    userid: str
    attributes: dict[str, Any]
    addresses: dict[str, dict[str, list[str]]]  # kind -> bind id -> values, sorted
    tags: dict[str, list[str]]  # bind id -> tags, sorted
    created_at: int
    updated_at: int  # the last time a write of this user was taken, changed or not


async def opt(system: AppContext, caller: Caller, body: object, language: str = "en") -> Report:
    """Create and change users: `POST /v1/user/opt` (ums-spec 3.10).

    `body` is the decoded JSON. Each entry succeeds or fails alone. Raises Invalid
    ("not_array", "batch_size") when the request as a whole cannot be read, Refused for a closed
    channel.
    """
    if isinstance(caller, Channel):
        check_channel(caller)
    snapshot = await system.directory.now()
    own = caller if isinstance(caller, Channel) else None
    replaces = own is None or own.rules.key_replaces_shared
    rights = Rights(snapshot, own, replaces_shared=replaces)
    return await opt_with(system, rights, body, language)


async def opt_with(
    system: AppContext, rights: Rights, body: object, language: str = "en"
) -> Report:
    """The same for whoever has `rights`."""
    given = _entries(body)
    results = [_read(raw, rights) for raw in given]
    entries = [result for result in results if isinstance(result, Entry)]
    names = [_named(raw) for raw in given]
    async with system.database.write() as tx:
        changed: list[Difference] = []
        outcomes = iter(await apply(tx, entries, changed))
        await note_users(tx, "user.put", names, [of_difference(one) for one in changed])
    if entries:
        results = [next(outcomes) if isinstance(one, Entry) else one for one in results]
    return _report(names, results, language)


async def delete(system: AppContext, caller: Caller, body: object, language: str = "en") -> Report:
    """Delete users and all they hold: `POST /v1/user/delete` (ums-spec 3.11).

    Raises Forbidden for a channel's key, Invalid as `opt` does.
    """
    if isinstance(caller, Channel):
        raise Forbidden("access_key_only")
    given = _entries(body)
    results: list[object] = [_read_userid(one) for one in given]
    wanted = {one for one in results if isinstance(one, str)}
    names = [show_userid(one) for one in given]
    if not wanted:
        async with system.database.write() as tx:
            await note_users(tx, "user.delete", names, ())
    else:
        async with system.database.write() as tx:
            known = await remove(tx, wanted)
        for number, one in enumerate(results):
            if isinstance(one, str) and one not in known:
                results[number] = Invalid("user_unknown")
            elif isinstance(one, str):
                known.remove(one)  # the same userid again: it is not there any more
    return _report(names, results, language)


async def find(tx: Tx, userid: str) -> User | None:
    """The user `userid` with all that is known of it."""
    row = await tx.first(select(users).where(users.c.userid == userid))
    return (await gather(tx, [row]))[0] if row is not None else None


async def gather(tx: Tx, rows: Sequence[Any]) -> list[User]:
    """The users of `rows` of their table, with all that is known of each."""
    ids = [row.id for row in rows]
    kinds: dict[int, dict[str, dict[str, list[str]]]] = {}
    of_these = addresses.c.user_id.in_(ids)
    for id, kind, bind_id, value in await tx.rows(
        select(addresses).where(of_these).order_by(*addresses.c)
    ):
        values = kinds.setdefault(id, {}).setdefault(kind, {})
        values.setdefault(bind_id, []).append(value)
    labels: dict[int, dict[str, list[str]]] = {}
    for id, bind_id, tag in await tx.rows(
        select(tags).where(tags.c.user_id.in_(ids)).order_by(*tags.c)
    ):
        labels.setdefault(id, {}).setdefault(bind_id, []).append(tag)
    return [_user(row, kinds.get(row.id, {}), labels.get(row.id, {})) for row in rows]


def _user(row: Any, kinds: dict[str, dict[str, list[str]]], labels: dict[str, list[str]]) -> User:
    held = row.attributes
    attributes = msgspec.json.decode(held) if isinstance(held, str) else held
    return User(row.id, row.userid, attributes, kinds, labels, row.created_at, row.updated_at)


def _entries(body: object) -> list[object]:
    if not isinstance(body, list):
        raise Invalid("not_array")
    entries: list[object] = body
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise Invalid("batch_size", limit=MAX_ENTRIES)
    return entries


def _read(raw: object, rights: Rights) -> object:
    try:
        return parse(raw, rights)
    except Invalid as error:
        return error


def _read_userid(given: object) -> object:
    try:
        return read_userid(given)
    except Invalid as error:
        return error


def _named(raw: object) -> str:
    return show_userid(raw.get("userid")) if isinstance(raw, dict) else ""


async def remove(tx: Tx, userids: set[str]) -> set[str]:
    """Delete these users, with all that they had in the audit log; the userids of those that were
    there."""
    # Locked in one order, the one `apply` takes: see there.
    held = select(users).where(users.c.userid.in_(sorted(userids)))
    rows = await tx.rows(held.order_by(users.c.userid).with_for_update())
    gone = [_deleted(user) for user in await gather(tx, rows)]
    await note_users(tx, "user.delete", sorted(userids), gone)
    await note_removed(tx, [row.id for row in rows])
    await tx.run(REMOVE_USERS, {"r": rows_json((row.id,) for row in rows)})
    return {row.userid for row in rows}


def _deleted(user: User) -> UserChange:
    held: dict[str, object] = {
        f"{kind} {bind}": values
        for kind, bound in {**user.addresses, "tag": user.tags}.items()
        for bind, values in bound.items()
    }
    return UserChange(user.userid, {**held, "attributes": user.attributes}, None)


def _report(names: list[str], results: list[object], language: str) -> Report:
    report = Report([], [])
    for name, result in zip(names, results, strict=True):
        if isinstance(result, Invalid):
            report.fail.append(Failure(name, str(result.code), result.words(language)))
        else:
            report.success.append(name)
    return report


async def any_there(tx: Tx) -> bool:
    """Whether there is any user at all."""
    return await tx.first(select(users.c.id).limit(1)) is not None
