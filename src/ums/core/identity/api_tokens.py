"""API tokens: what a program shows instead of a channel's key, with just the rights it needs.

A token is `ums_` and 256 random bits. The database has only its digest.
"""

import secrets
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.bounds import Name40, said
from ums.core.audit import audit_log
from ums.core.common.encryption import token_digest
from ums.core.common.field_errors import Check, all_of
from ums.core.common.names import check_name
from ums.core.common.pagination import MOST, Page, cut
from ums.core.common.sorting import ByName, Order
from ums.core.common.timestamps import milliseconds
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Snapshot
from ums.core.identity import authority, grants
from ums.core.identity.grants import Rights
from ums.core.identity.scopes import SCOPES, Scope
from ums.core.tables import tokens
from ums.db import Tx, to_json
from ums.errors import Conflict, Invalid, NotFound, UmsError

PREFIX = "ums_"
LONGEST = 40  # characters of a name
_ORDER = Order(tokens.c.id, (tokens.c.name,))
USED_EVERY = clock.MINUTE  # how exact `last_used_at` is


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new token is to be."""

    name: Annotated[Name40, Meta(description="What it is for.")]
    scopes: Annotated[list[Scope], Meta(min_length=1, description="What it may do.")]
    channels: Annotated[
        Annotated[list[str], said(minItems=1)] | None,
        Meta(description="The keys of the channels it is bound to; null: every channel."),
    ] = None
    expires_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="When it ends, or when the token it is made with does; null: never."),
    ] = None


class TokenInfo(Struct, frozen=True):
    """A token as it is shown. `token` stands only in the answer that made it."""

    id: int
    name: str
    hint: Annotated[str, Meta(description="Its last characters, to know it again by.")]
    scopes: list[str]
    channels: Annotated[list[str] | None, Meta(description="Keys; null: every channel.")]
    created_by: str
    parent: Annotated[int | None, Meta(description="The token it was made with, and ends with.")]
    created_at: str
    expires_at: str | None
    last_used_at: Annotated[str | None, Meta(description="Exact to a minute.")]
    revoked_at: str | None
    token: Annotated[str | UnsetType, Meta(description="Shown this once.")] = UNSET


class Token(Struct, frozen=True):
    """A token that was shown and is good."""

    id: int
    name: str
    scopes: frozenset[str]
    channels: frozenset[int] | None  # ids; None: every channel


async def create(
    system: AppContext, given: NewToken, created_by: str = audit_log.LOCAL
) -> TokenInfo:
    """Make a token. It ends with the token, or the operator, that it is made by.

    Raises Invalid, NotFound for a channel that is not there, and Forbidden for rights that the
    caller has not itself.
    """
    for check in _checks(given):
        check()
    snapshot, maker = await system.directory.now(), grants.grantor()
    ids = _ids(given.channels, snapshot)
    grants.need(Rights(frozenset(given.scopes), None if ids is None else frozenset(ids)))
    token = PREFIX + secrets.token_urlsafe(32)
    row = {
        "name": given.name,
        "digest": token_digest(token),
        "hint": token[-4:],
        "scopes": to_json(sorted(set(given.scopes))),
        "channels": to_json(ids),
        "created_by": created_by,
        "parent_id": maker.token_id,
        "operator_id": maker.operator_id,
        "created_at": clock.now(),
    }
    async with system.database.write() as tx:
        row["expires_at"] = await _end_of(tx, given, maker.token_id)
        id = await tx.value(insert(tokens).returning(tokens.c.id), row)
        made = _info(await _row(tx, id), snapshot)
        told = f"{given.name}: {' '.join(given.scopes)}"
        await audit_log.note(tx, "token.create", str(id), told, after=_noted(made))
    return msgspec.structs.replace(made, token=token)


def _noted(made: TokenInfo) -> dict[str, object]:
    """What the audit log tells of a token: all but what it is."""
    return {name: getattr(made, name) for name in ("name", "scopes", "channels", "expires_at")}


async def errors_of(system: AppContext, given: NewToken) -> list[UmsError]:
    """All that is wrong with a token that is to be made."""
    snapshot = await system.directory.now()
    return all_of([*_checks(given), lambda: _ids(given.channels, snapshot)])


def _checks(given: NewToken) -> list[Check]:
    """A check for each field."""
    return [
        lambda: check_name(given.name, LONGEST),
        lambda: _check_scopes(given.scopes),
        lambda: _check_channels(given.channels),
        lambda: _check_end(given),
    ]


def _check_scopes(scopes: list[Scope]) -> None:
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise Invalid(
            "scope_unknown",
            field="scopes",
            scope=unknown[0][:40],
            known=", ".join(sorted(SCOPES)),
        )
    if not scopes:
        raise Invalid("missing", field="scopes")


def _check_channels(keys: list[str] | None) -> None:
    if keys == []:
        raise Invalid("too_many", field="channels", limit=1000)


def _check_end(given: NewToken) -> None:
    end = _end(given)
    if end is not None and end <= clock.now():
        raise Invalid("past", field="expires_at")


async def _end_of(tx: Tx, given: NewToken, parent_id: int | None) -> int | None:
    """When it ends: no later than its parent. Raises Conflict where too many stand above it."""
    if await authority.depth(tx, parent_id) >= authority.DEEPEST:
        raise Conflict("token_depth", limit=authority.DEEPEST)
    above = select(tokens.c.expires_at).where(tokens.c.id == parent_id)
    ends = [_end(given), None if parent_id is None else await tx.value(above)]
    return min((end for end in ends if end is not None), default=None)


def _ids(keys: list[str] | None, snapshot: Snapshot) -> list[int] | None:
    if keys is None:
        return None
    for key in keys:
        if key not in snapshot.channels:
            raise NotFound("channel_unknown", field="channels", key=key[:40])
    return sorted({snapshot.channels[key].id for key in keys})


def _end(given: NewToken) -> int | None:
    return None if given.expires_at is None else milliseconds(given.expires_at, "expires_at")


async def authenticate(system: AppContext, given: str) -> Token | None:
    """The token `given` if it and whoever made it are good, which is noted as used."""
    now = clock.now()
    async with system.database.read() as tx:
        row = await tx.first(select(tokens).where(tokens.c.digest == token_digest(given)))
        rights = None if row is None else await authority.of_token(tx, row)
    if row is None or rights is None:
        return None
    if (row.last_used_at or 0) < now - USED_EVERY:
        await _use(system, row.id, now)
    return Token(row.id, row.name, rights.scopes, rights.channels)


async def _use(system: AppContext, id: int, now: int) -> None:
    async with system.database.write() as tx:
        await tx.run(update(tokens).where(tokens.c.id == id).values(last_used_at=now))


async def list_tokens(
    system: AppContext,
    *,
    sort: ByName = "-created_at",
    after: str | None = None,
    limit: int = MOST,
) -> Page[TokenInfo]:
    """All tokens, the newest first unless `sort` says another, those that are over too."""
    snapshot = await system.directory.now()
    query = _ORDER.sort(select(tokens), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(limit + 1))
    return cut(rows, limit, lambda row: _info(row, snapshot), _ORDER.place(sort))


async def show(system: AppContext, id: int) -> TokenInfo:
    """Raises NotFound."""
    snapshot = await system.directory.now()
    async with system.database.read() as tx:
        return _info(await _row(tx, id), snapshot)


async def revoke(system: AppContext, id: int) -> TokenInfo:
    """End the token, and those that were made with it, from the next request on. To revoke one
    again changes nothing. Raises Forbidden for a token of more rights than the caller has."""
    snapshot = await system.directory.now()
    async with system.database.write() as tx:
        rights = await authority.of_token(tx, await _row(tx, id))
        if rights is not None:
            grants.need_over(rights)
        revoked = 0
        for each in await _family(tx, id):
            good = (tokens.c.id == each) & tokens.c.revoked_at.is_(None)
            done = await tx.run(update(tokens).where(good).values(revoked_at=clock.now()))
            if done.count:
                held = _info(await _row(tx, each), snapshot)
                before = _noted(held)
                await audit_log.note(tx, "token.revoke", str(each), held.name, before=before)
            revoked += done.count
        if not revoked:
            await audit_log.note(tx, "token.revoke", str(id), before={}, after={})
    return await show(system, id)


async def _family(tx: Tx, id: int) -> list[int]:
    """The token, and those made with it, and so on."""
    found, last = [id], [id]
    while last:
        rows = await tx.rows(select(tokens.c.id).where(tokens.c.parent_id.in_(last)))
        last = [row.id for row in rows]
        found += last
    return found


async def _row(tx: Tx, id: int) -> Any:
    row = await tx.first(select(tokens).where(tokens.c.id == id))
    if row is None:
        raise NotFound("token_unknown", id=id)
    return row


def _info(row: Any, snapshot: Snapshot) -> TokenInfo:
    channels: list[int] | None = msgspec.json.decode(row.channels)
    known = snapshot.channel_ids
    keys = None if channels is None else [known[id].key for id in channels if id in known]
    return TokenInfo(
        id=row.id,
        name=row.name,
        hint=row.hint,
        scopes=msgspec.json.decode(row.scopes),
        channels=keys,
        created_by=row.created_by,
        parent=row.parent_id,
        created_at=clock.iso(row.created_at),
        expires_at=clock.iso_or_none(row.expires_at),
        last_used_at=clock.iso_or_none(row.last_used_at),
        revoked_at=clock.iso_or_none(row.revoked_at),
    )
