"""Users for people who look after them: searched, shown, replaced, changed and deleted one by one.

Whoever is bound to channels sees of a user what is bound to `all`, to these channels and to their
senders, and changes nothing else.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Column, ColumnElement, select

from ums import clock
from ums.bounds import said
from ums.core.audit import audit_log
from ums.core.common.identifiers import Tag
from ums.core.common.pagination import MOST, Page, number, plain
from ums.core.common.preconditions import Expect, anything
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.identity.principals import Principal
from ums.core.tables import users as table
from ums.core.users import search as user_search
from ums.core.users import users
from ums.core.users.bulk_upsert import apply
from ums.core.users.entry_parser import Entry, Rights, parse
from ums.core.users.entry_shape import ADDRESSES, BIND_IDS
from ums.core.users.fields import ALL, KINDS, read_userid
from ums.core.users.filters import Found, Where, where_of
from ums.core.users.users import User
from ums.db import Tx
from ums.errors import Invalid, NotFound

Bound = dict[str, list[str]]
UserOrder = Literal["created_at", "-created_at", "userid", "-userid"]


class UserInfo(Struct, frozen=True):
    """A user as it is shown."""

    userid: str
    attributes: dict[str, Any]
    addresses: Annotated[
        dict[str, Bound], Meta(description="By kind and bind id: `email`, `phone`, `app`...")
    ]
    tags: Annotated[Bound, Meta(description="By bind id.")]
    created_at: str
    updated_at: Annotated[str, Meta(description="When it was last written, changed or not.")]


class UserPage(Page[UserInfo], frozen=True):
    """Part of the users that were searched for."""

    previous: Annotated[
        str | None, Meta(description="The `before` of the page in front; null on the first.")
    ] = None


class UserDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """All of a user: what is left out is empty afterwards."""

    attributes: dict[str, Any] = {}
    addresses: Annotated[dict[str, Bound], said(**ADDRESSES)] = {}
    tags: Annotated[dict[str, list[Tag]], said(**BIND_IDS)] = {}


def rights_of(caller: Principal) -> Rights:
    own = channels_of(caller)
    return Rights(caller.snapshot, own, replaces_shared=_replaces_shared(caller, own))


def _replaces_shared(caller: Principal, own: Sequence[Channel] | None) -> bool:
    """Whether it may replace and remove addresses that all channels use."""
    if own is None:
        return True
    if isinstance(caller.account, Channel):
        return caller.account.rules.key_replaces_shared
    # Each channel uses what would be lost, so that the consent of one is not that of the others.
    return bool(own) and all(one.rules.bound_replace_shared for one in own)


def channels_of(caller: Principal) -> Sequence[Channel] | None:
    """The channels the caller is bound to; None: to none, so it may write everything."""
    if caller.channels is None:
        return None
    known = caller.snapshot.channel_ids
    return [known[id] for id in sorted(caller.channels) if id in known]


async def search(
    tx: Tx,
    caller: Principal,
    found: Found,
    *,
    sort: UserOrder = "created_at",
    after: str | None = None,
    before: str | None = None,
    limit: int = MOST,
) -> UserPage:
    """The users of a page, after or before a place.

    Raises Invalid, and Forbidden for a bound caller's segment, which goes by what it may not see.
    """
    where = await where_of(tx, caller, found)
    return await page(tx, caller, where, sort=sort, after=after, before=before, limit=limit)


async def page(
    tx: Tx,
    caller: Principal,
    where: Where,
    *,
    sort: UserOrder = "created_at",
    after: str | None = None,
    before: str | None = None,
    limit: int = MOST,
) -> UserPage:
    """The same of users that are looked for already."""
    backwards = before is not None
    place = before if backwards else after
    beyond = [] if place is None else [_beyond(sort, place, backwards=backwards)]
    column = _sorted_by(sort)
    downwards = sort.startswith("-") != backwards
    rows = await _rows(tx, where, beyond, column, limit=limit, downwards=downwards)
    more, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    users_of = {user.id: user for user in await users.gather(tx, rows)}
    ends = [str(getattr(row, column.name)) for row in (*rows[:1], *rows[-1:])] or [None, None]
    return UserPage(
        [_shown(users_of[row.id], caller) for row in rows],
        next=ends[1] if more or backwards else None,
        previous=ends[0] if (more if backwards else after is not None) else None,
    )


async def _rows(
    tx: Tx,
    where: Where,
    beyond: list[ColumnElement[bool]],
    column: Column[Any],
    *,
    limit: int,
    downwards: bool,
) -> list[Any]:
    """The first rows beyond the place, one more than `limit`."""
    order = column.desc() if downwards else column.asc()
    match = where.match
    rows = select(table).where(*where.conditions, *beyond).order_by(order).limit(limit + 1)
    if match is None or match.indexed is None or where.few:
        return list(await tx.rows(rows))
    # Many match, mostly everywhere. Where they lie together far away, the index is faster.
    walk = select(column).where(*beyond).order_by(order).offset(user_search.NEAR).limit(1)
    end = await tx.value(walk)
    if end is None:
        return list(await tx.rows(rows))
    near = list(await tx.rows(rows.where(column >= end if downwards else column <= end)))
    if len(near) > limit:
        return near
    all_of = select(table).where(*where.others, match.indexed, *beyond)
    return list(await tx.rows(all_of.order_by(order).limit(limit + 1)))


def _sorted_by(sort: UserOrder) -> Column[Any]:
    # Ids are given in the order of creation.
    return table.c.userid if sort.endswith("userid") else table.c.id


def _beyond(sort: UserOrder, given: str, *, backwards: bool) -> ColumnElement[bool]:
    column, field = _sorted_by(sort), "before" if backwards else "after"
    place = plain(given, field) if sort.endswith("userid") else number(given, field)
    return column < place if sort.startswith("-") != backwards else column > place


async def show(tx: Tx, caller: Principal, userid: str) -> UserInfo:
    """Raises NotFound."""
    user = await users.find(tx, plain(userid, "userid"))
    if user is None:
        raise NotFound("user_unknown")
    return _shown(user, caller)


async def put(
    system: AppContext, caller: Principal, userid: str, given: UserDraft, expect: Expect = anything
) -> tuple[UserInfo, bool]:
    """Make the user what `given` says, as far as the caller sees it: (the user, is it new).

    Raises Invalid, and what `expect` raises; it gets None for a user that is not there.
    """
    read_userid(userid)
    rights = rights_of(caller)
    async with system.database.write() as tx:
        held = await _held(tx, userid)
        expect(None if held is None else _shown(held, caller))
        raw = _raw(userid, given, None if held is None else _shown(held, caller))
        await _apply(tx, parse(raw, rights))
        found = await users.find(tx, userid)
        await _note(tx, "user.put", userid, held, found)
    return _shown(found, caller) if found else _gone(), held is None


async def patch(
    system: AppContext,
    caller: Principal,
    userid: str,
    changes: dict[str, Any],
    expect: Expect = anything,
) -> UserInfo:
    """Change the user by an entry as `/v1/user/opt` takes it. Raises NotFound, Invalid."""
    if "userid" in changes and changes["userid"] != userid:
        raise Invalid("bad_value", field="userid")
    entry = parse({**changes, "userid": userid}, rights_of(caller))
    async with system.database.write() as tx:
        held = await _held(tx, userid)
        if held is None:
            raise NotFound("user_unknown")
        expect(_shown(held, caller))
        await _apply(tx, entry)
        found = await users.find(tx, userid)
        await _note(tx, "user.change", userid, held, found)
    return _shown(found, caller) if found else _gone()


async def delete(
    system: AppContext, userid: str, caller: Principal, expect: Expect = anything
) -> None:
    """Delete the user and all it holds. Raises NotFound, and Forbidden for a bound caller."""
    caller.unbound()
    async with system.database.write() as tx:
        held = await _held(tx, userid)
        if held is None:
            raise NotFound("user_unknown")
        expect(_shown(held, caller))
        await users.remove(tx, {userid})


async def _note(tx: Tx, action: str, userid: str, before: User | None, after: User | None) -> None:
    was, now = (None if user is None else msgspec.structs.asdict(user) for user in (before, after))
    await audit_log.note(tx, action, userid, before=was, after=now)


async def _held(tx: Tx, userid: str) -> User | None:
    # Locked first: what `expect` sees stays so until the commit.
    await tx.rows(select(table.c.id).where(table.c.userid == userid).with_for_update())
    return await users.find(tx, userid)


async def _apply(tx: Tx, entry: Entry) -> None:
    for outcome in await apply(tx, [entry]):
        if isinstance(outcome, Invalid):
            raise outcome


def _raw(userid: str, given: UserDraft, held: UserInfo | None) -> dict[str, Any]:
    """The entry that turns what the caller sees of the user into `given`."""
    setting: dict[str, Any] = {}
    before = {"tag": held.tags, **held.addresses} if held else {}
    wanted = {"tag": given.tags, **given.addresses}
    for kind in {**before, **wanted}:
        if kind not in KINDS or (kind == "tag" and kind in given.addresses):
            raise Invalid("unknown_field", field=f"addresses.{kind[:40]}")
        new = wanted.get(kind, {})
        binds = {*before.get(kind, {}), *new}
        values = {bind: _value(kind, bind, new.get(bind, [])) for bind in binds}
        if KINDS[kind].scope == ALL and set(values) - {ALL}:
            raise Invalid("bad_bind_id", kind=kind, bind_id=min(set(values) - {ALL})[:64])
        setting[kind] = values.get(ALL) if KINDS[kind].scope == ALL else values
    attributes = dict.fromkeys(held.attributes, None) if held else {}
    return {"userid": userid, "set": {**setting, "attributes": {**attributes, **given.attributes}}}


def _value(kind: str, bind_id: str, values: list[str]) -> object:
    if KINDS[kind].many:
        return values
    if len(values) > 1:
        raise Invalid("one_value", field=f"addresses.{kind}.{bind_id[:64]}")
    return values[0] if values else ""


def _shown(user: User, caller: Principal) -> UserInfo:
    visible = caller.bind_ids()
    kinds = {kind: _seen(bound, visible) for kind, bound in user.addresses.items()}
    return UserInfo(
        userid=user.userid,
        attributes=user.attributes,
        addresses={kind: bound for kind, bound in kinds.items() if bound},
        tags=_seen(user.tags, visible),
        created_at=clock.iso(user.created_at),
        updated_at=clock.iso(user.updated_at),
    )


def _seen(bound: Bound, visible: frozenset[str] | None) -> Bound:
    return {key: values for key, values in bound.items() if visible is None or key in visible}


def _gone() -> UserInfo:
    raise NotFound("user_unknown")
