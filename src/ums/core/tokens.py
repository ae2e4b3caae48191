"""API tokens: what a program shows instead of a channel's key, with just the rights it needs.

A token is `ums_` and 256 random bits. The database has only its SHA-256, which needs no salt and
no slow hash for a secret that nobody can guess.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.core import audit
from ums.core.directory import Snapshot
from ums.core.models import tokens
from ums.core.moments import milliseconds
from ums.core.paging import MOST, Page, cut
from ums.core.scopes import SCOPES, Scope
from ums.core.sorting import ByName, Order
from ums.core.system import System
from ums.db import Tx
from ums.errors import Invalid, NotFound

PREFIX = "ums_"
_ORDER = Order(tokens.c.id, (tokens.c.name,))
USED_EVERY = clock.MINUTE  # how exact `last_used_at` is


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new token is to be."""

    name: Annotated[str, Meta(min_length=1, max_length=40, description="What it is for.")]
    scopes: Annotated[list[Scope], Meta(min_length=1, description="What it may do.")]
    channels: Annotated[
        list[str] | None,
        Meta(description="The keys of the channels it is bound to; null: every channel."),
    ] = None
    expires_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="When it ends; null: never.")
    ] = None


class TokenInfo(Struct, frozen=True):
    """A token as it is shown. `token` stands only in the answer that made it."""

    id: int
    name: str
    hint: Annotated[str, Meta(description="Its last characters, to know it again by.")]
    scopes: list[str]
    channels: Annotated[list[str] | None, Meta(description="Keys; null: every channel.")]
    created_by: str
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


async def create(system: System, given: NewToken, created_by: str = audit.LOCAL) -> TokenInfo:
    """Make a token. Raises Invalid, NotFound for a channel that is not there."""
    _check(given)
    snapshot = await system.directory.now()
    token = PREFIX + secrets.token_urlsafe(32)
    row = {
        "name": given.name,
        "digest": digest(token),
        "hint": token[-4:],
        "scopes": msgspec.json.encode(sorted(set(given.scopes))).decode(),
        "channels": msgspec.json.encode(_ids(given.channels, snapshot)).decode(),
        "created_by": created_by,
        "created_at": clock.now(),
        "expires_at": _end(given),
    }
    async with system.database.write() as tx:
        id = await tx.value(insert(tokens).returning(tokens.c.id), row)
        await audit.note(tx, "token.create", str(id), f"{given.name}: {' '.join(given.scopes)}")
        found = await _row(tx, id)
    return msgspec.structs.replace(_info(found, snapshot), token=token)


def _check(given: NewToken) -> None:
    if not given.name.isprintable() or given.name.strip() != given.name or not given.name:
        raise Invalid("bad_value", field="name")
    unknown = sorted(set(given.scopes) - SCOPES)
    if unknown:
        raise Invalid("scope_unknown", field="scopes", scope=unknown[0][:40])
    if not given.scopes:
        raise Invalid("missing", field="scopes")
    if given.channels == []:
        raise Invalid("too_many", field="channels", limit=1000)
    end = _end(given)
    if end is not None and end <= clock.now():
        raise Invalid("past", field="expires_at")


def _ids(keys: list[str] | None, snapshot: Snapshot) -> list[int] | None:
    if keys is None:
        return None
    for key in keys:
        if key not in snapshot.channels:
            raise NotFound("channel_unknown", key=key[:40])
    return sorted({snapshot.channels[key].id for key in keys})


def _end(given: NewToken) -> int | None:
    return None if given.expires_at is None else milliseconds(given.expires_at, "expires_at")


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


async def authenticate(system: System, given: str) -> Token | None:
    """The token `given` if it is good, which is noted as used."""
    now = clock.now()
    async with system.database.read() as tx:
        row = await tx.first(select(tokens).where(tokens.c.digest == digest(given)))
    if row is None or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= now:
        return None
    if (row.used_at or 0) < now - USED_EVERY:
        await _use(system, row.id, now)
    channels: list[int] | None = msgspec.json.decode(row.channels)
    bound = None if channels is None else frozenset(channels)
    return Token(row.id, row.name, frozenset(msgspec.json.decode(row.scopes)), bound)


async def _use(system: System, id: int, now: int) -> None:
    async with system.database.write() as tx:
        await tx.run(update(tokens).where(tokens.c.id == id).values(used_at=now))


async def list_tokens(
    system: System,
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


async def show(system: System, id: int) -> TokenInfo:
    """Raises NotFound."""
    snapshot = await system.directory.now()
    async with system.database.read() as tx:
        return _info(await _row(tx, id), snapshot)


async def revoke(system: System, id: int) -> TokenInfo:
    """End the token, from the next request on. To revoke one again changes nothing."""
    async with system.database.write() as tx:
        await _row(tx, id)
        good = (tokens.c.id == id) & tokens.c.revoked_at.is_(None)
        done = await tx.run(update(tokens).where(good).values(revoked_at=clock.now()))
        if done.count:
            await audit.note(tx, "token.revoke", str(id))
    return await show(system, id)


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
        created_at=clock.iso(row.created_at),
        expires_at=clock.iso_or_none(row.expires_at),
        last_used_at=clock.iso_or_none(row.used_at),
        revoked_at=clock.iso_or_none(row.revoked_at),
    )
