"""Who may send through what: channels, senders and keys, read once and kept in memory.

Every request and every delivery asks for them and they change a few times a year, so a process
keeps a snapshot. Whoever changes one calls `touch` in the same transaction; other processes see
the new revision within a second.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, func, select

from ums.core.context.branding_data import Brand
from ums.core.context.branding_data import load as load_brand
from ums.core.context.channel_policy import ChannelPolicy, read_rules
from ums.core.context.setting_overrides import load as load_adjusted
from ums.core.tables import (
    access_keys,
    callback_addresses,
    channel_senders,
    channels,
    meta,
    reply_rules,
    senders,
)
from ums.db import Database, Statement, Tx
from ums.errors import NotFound
from ums.mail.reply_classifier import OwnRule
from ums.mail.send_limits import SendLimit
from ums.mail.send_limits import read as read_caps
from ums.mail.warm_up_plan import caps_with

REVISION = "directory_revision"
SEALING_KEY = "sealing_key"  # the fingerprint of the key that seals
CHECK_EVERY = 1.0  # seconds
DOUBT_EVERY = 0.1

_TOUCH = Statement(
    "INSERT INTO meta (name, value) VALUES (:name, '1') ON CONFLICT (name) "
    "DO UPDATE SET value = CAST(CAST(meta.value AS bigint) + 1 AS text)"
)
_TOLD = (
    select(
        callback_addresses.c.id,
        callback_addresses.c.channel_id,
        callback_addresses.c.url,
        callback_addresses.c.is_default,
    )
    .where(callback_addresses.c.state != "deleted")
    .order_by(callback_addresses.c.id)
)

_RULES = select(reply_rules.c.text, reply_rules.c.reason, reply_rules.c.code).order_by(
    reply_rules.c.id.desc()
)


_SEALING_KEY = select(meta.c.value).where(meta.c.name == SEALING_KEY)
_NONE: dict[str, Any] = {}


class WebhookEndpoint(Struct, frozen=True):
    """An address where a channel's systems are told what became of its messages."""

    id: int
    url: str
    is_default: bool


class RouteEntry(Struct, frozen=True):
    """A sender's place in a channel's route: the mail of one rank is shared by weight, and the
    next rank takes over where none of it can send."""

    sender: int
    rank: int
    weight: int


class Channel(Struct, frozen=True):
    """A business line that asks for messages."""

    id: int
    name: str
    key: str
    secret: str  # sealed
    old_secret: str | None  # sealed
    old_secret_until: int | None
    open: bool
    rules: ChannelPolicy
    created_at: int
    senders: tuple[int, ...]  # ids, authorised
    default_sender: int | None
    callbacks: tuple[WebhookEndpoint, ...] = ()
    route: tuple[RouteEntry, ...] = ()  # by rank; empty where all mail goes by one sender


class Sender(Struct, frozen=True):
    """A configured way out."""

    id: int
    code: str
    name: str
    type: str
    settings: str  # JSON of the sender type
    secret: str | None  # sealed
    open: bool
    created_at: int
    caps: tuple[SendLimit, ...] = ()
    urgent_reserve_percent: int = 0  # % of each cap that is kept for urgent mail
    throttled_until: int | None = None
    suspended_at: int | None = None


class AccessKey(Struct, frozen=True):
    """The account-wide key pair of user management."""

    id: int
    key: str
    secret: str  # sealed
    created_at: int


class Snapshot(Struct, frozen=True):
    """The directory at one revision."""

    revision: str
    channels: dict[str, Channel]  # by key
    channel_ids: dict[int, Channel]
    senders: dict[int, Sender]
    sender_codes: dict[str, Sender]
    access_keys: dict[str, AccessKey]
    brand: Brand = Brand()
    reply_rules: tuple[OwnRule, ...] = ()  # in the order they are tried in
    settings: dict[str, Any] = {}  # that were changed while UMS runs
    sealing_key: str = ""  # its fingerprint; empty: the first one known

    def sender_for(self, channel: Channel, instance: str = "") -> Sender | None:
        """The sender of a message: the one `instance` names when the channel may use it, else
        the channel's default, else the only open one (ums-spec 3.4)."""
        own = [self.senders[i] for i in channel.senders if self.senders[i].open]
        named = [sender for sender in own if sender.code == instance]
        default = [sender for sender in own if sender.id == channel.default_sender]
        return (named or default or own or [None])[0]


class Directory:
    """The snapshot of this process, kept fresh."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshot: Snapshot | None = None
        self._checked = 0.0
        self._changes = 0
        self._loading = asyncio.Lock()

    @property
    def reply_rules(self) -> tuple[OwnRule, ...]:
        """As they were read last, for whoever cannot wait."""
        return () if self._snapshot is None else self._snapshot.reply_rules

    @property
    def settings(self) -> dict[str, Any]:
        """The same of the settings that were changed."""
        return _NONE if self._snapshot is None else self._snapshot.settings

    @property
    def sealing_key(self) -> str:
        """The same of the key that seals."""
        return "" if self._snapshot is None else self._snapshot.sealing_key

    def forget(self) -> None:
        """The next `now` looks again; call it after a change of this process's own."""
        self._checked = 0.0
        self._changes += 1

    def doubt(self) -> bool:
        """Let the next `now` look again unless it has looked just now; whether it will.

        For strangers' requests: they must not make us read the directory each time.
        """
        if time.monotonic() - self._checked < DOUBT_EVERY:
            return False
        self.forget()
        return True

    async def now(self) -> Snapshot:
        """The directory, at most a second old."""
        if self._snapshot is not None and time.monotonic() - self._checked < CHECK_EVERY:
            return self._snapshot
        async with self._loading:
            if self._snapshot is None or time.monotonic() - self._checked >= CHECK_EVERY:
                changes = self._changes
                async with self._database.read() as tx:
                    self._snapshot = await load(tx, self._snapshot)
                # What was read before the change that `forget` tells of is not fresh.
                self._checked = time.monotonic() if changes == self._changes else 0.0
        return self._snapshot

    async def fresh(self) -> Snapshot:
        """The directory as it is now."""
        self.forget()
        return await self.now()

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[Tx]:
        """A transaction that changes what the directory holds: when it is over, every process
        reads the directory again."""
        try:
            async with self._database.write() as tx:
                yield tx
                await touch(tx)
        finally:
            self.forget()

    async def sender(self, code: str) -> Sender:
        """The sender of this code, as it is now. Raises NotFound."""
        self.forget()
        found = (await self.now()).sender_codes.get(code)
        if found is None:
            raise NotFound("sender_unknown", code=code)
        return found

    async def channel(self, id: int) -> Channel:
        """The channel of this id, which another process may have made a moment ago."""
        now = await self.now()
        if id not in now.channel_ids:
            self.forget()
            now = await self.now()
        return now.channel_ids[id]


async def touch(tx: Tx) -> None:
    """Tell every process that the directory changed."""
    await tx.run(_TOUCH, {"name": REVISION})


async def load(tx: Tx, known: Snapshot | None = None) -> Snapshot:
    """The directory as this transaction sees it; `known` itself when nothing changed since."""
    value = select(func.coalesce(func.max(meta.c.value), "0")).where(meta.c.name == REVISION)
    revision = str(await tx.value(value))
    if known is not None and known.revision == revision:
        return known
    links = await tx.rows(select(channel_senders).order_by(channel_senders.c.sender_id))
    told = await tx.rows(_TOLD)
    own = [_channel(row, links, told) for row in await tx.rows(select(channels))]
    out = [_sender(row) for row in await tx.rows(select(senders))]
    keys = [AccessKey(*row) for row in await tx.rows(select(access_keys))]
    return Snapshot(
        revision=revision,
        channels={channel.key: channel for channel in own},
        channel_ids={channel.id: channel for channel in own},
        senders={sender.id: sender for sender in out},
        sender_codes={sender.code: sender for sender in out},
        access_keys={key.key: key for key in keys},
        brand=await load_brand(tx),
        reply_rules=tuple(OwnRule(*row) for row in await tx.rows(_RULES)),
        settings=await load_adjusted(tx),
        sealing_key=str(await tx.value(_SEALING_KEY) or ""),
    )


def _channel(row: Row[Any], links: Any, told: Any) -> Channel:
    mine = [link for link in links if link.channel_id == row.id]
    return Channel(
        id=row.id,
        name=row.name,
        key=row.key,
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_until=row.old_secret_until,
        open=bool(row.open),
        rules=read_rules(row.rules),
        created_at=row.created_at,
        senders=tuple(link.sender_id for link in mine),
        default_sender=next((link.sender_id for link in mine if link.is_default), None),
        route=_route(mine),
        callbacks=tuple(
            WebhookEndpoint(each.id, each.url, bool(each.is_default))
            for each in told
            if each.channel_id == row.id
        ),
    )


def _route(links: list[Any]) -> tuple[RouteEntry, ...]:
    """The default sender is the first where nothing else is said."""
    if not any(link.rank for link in links):
        return ()
    legs = [RouteEntry(one.sender_id, one.rank or int(one.is_default), one.weight) for one in links]
    return tuple(sorted((leg for leg in legs if leg.rank), key=lambda leg: (leg.rank, leg.sender)))


def _sender(row: Row[Any]) -> Sender:
    return Sender(
        id=row.id,
        code=row.code,
        name=row.name,
        type=row.type,
        settings=row.settings,
        secret=row.secret,
        open=bool(row.open),
        created_at=row.created_at,
        caps=caps_with(read_caps(row.caps), row.warm_up, row.warm_up_count),
        urgent_reserve_percent=row.urgent_reserve_percent,
        throttled_until=row.throttled_until,
        suspended_at=row.suspended_at,
    )
