"""Channels: the business lines that ask for messages (ums-spec 2.2)."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels.policy import check_rules
from ums.core.common import names
from ums.core.common.field_errors import all_awaited, all_of
from ums.core.common.pagination import MOST, Page
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, SortKey
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy, read_rules
from ums.core.context.directory import Channel, Snapshot, load
from ums.core.identity import grants
from ums.core.identity.credentials import channel_context, need_secret, new_key
from ums.core.tables import channels, senders
from ums.db import Tx, to_json
from ums.errors import Conflict, Invalid, NotFound, Refused, UmsError

_ORDER: SortKey[Channel] = SortKey(
    lambda one: one.id, {"created_at": lambda one: one.id, "name": lambda one: one.name}
)
KEY = "^[A-Za-z0-9]{1,32}$"
_KEY = re.compile(KEY)
OVERLAP = 24 * clock.HOUR


# Rules that protect others from the channel's own people: the addresses that all channels share,
# and what needs a second person.
OF_ADMINISTRATORS = (
    "approval",
    "approval_by_hand",
    "approval_from",
    "bound_replace_shared",
    "key_replaces_shared",
)


class RouteLeg(Struct, frozen=True):
    """A sender's place in a channel's route."""

    sender: Annotated[str, Meta(description="Its code.")]
    rank: Annotated[int, Meta(description="The next rank takes over where none of it can send.")]
    weight: Annotated[int, Meta(description="Its part of what its rank shares.")]


class ChannelInfo(Struct, frozen=True):
    """A channel as it is shown. `mastersecret` stands only in the answer that made it."""

    name: str
    channelkey: str
    open: bool
    senders: list[str]  # codes
    default_sender: str | None
    route: Annotated[
        list[RouteLeg],
        Meta(description="Who carries mail that names no sender, by rank; empty: the default."),
    ]
    created_at: str
    mastersecret: str | UnsetType = UNSET


def check_name(name: str) -> None:
    """Names of channels and senders (ums-spec 2.2, 2.3). Raises Invalid."""
    names.check_name(name, 30)


async def create(
    system: AppContext, name: str, key: str | None = None, *, zone: str = "UTC"
) -> ChannelInfo:
    """Make a channel; `key` chooses its ChannelKey. Raises Invalid, and Forbidden for a caller
    that may not have its MasterSecret."""
    need_secret(None)
    check_name(name)
    rules = ChannelPolicy(zone=zone)
    check_rules(rules)
    key = new_key() if key is None else key
    _check_key(key)
    secret = new_key()
    row = {
        "name": name,
        "key": key,
        "secret": system.seal.close(secret, channel_context(key)),
        "open": True,
        "rules": to_json(rules),
        "created_at": clock.now(),
    }
    async with system.directory.change() as tx:
        await _check_free(tx, name, key)
        await tx.run(insert(channels), row)
        after = {"name": name, "open": True, "zone": zone}
        await audit_log.note(tx, "channel.create", key, after=after)
    return await _shown(system, key, secret)


async def errors_of(
    system: AppContext, name: str, key: str | None = None, *, zone: str = "UTC"
) -> list[UmsError]:
    """All that is wrong with a channel that is to be made."""
    given = [lambda: check_name(name), lambda: check_rules(ChannelPolicy(zone=zone))]
    found = all_of(given if key is None else [*given, lambda: _check_key(key)])
    async with system.database.read() as tx:
        free = (_check_name_free(tx, name), _check_key_free(tx, key or ""))
        return [*found, *await all_awaited(free)]


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key) or key == "all":
        raise Invalid("key_shape")


def check_channel(channel: Channel) -> None:
    """Raise Refused when the channel is closed."""
    if not channel.open:
        raise Refused("channel_closed")


async def _check_free(tx: Tx, name: str, key: str) -> None:
    await _check_name_free(tx, name)
    await _check_key_free(tx, key)


async def _check_name_free(tx: Tx, name: str) -> None:
    if await tx.first(select(channels.c.id).where(channels.c.name == name)):
        raise Conflict("name_taken", name=name)


async def _check_key_free(tx: Tx, key: str) -> None:
    if await tx.first(select(channels.c.id).where(channels.c.key == key)):
        raise Conflict("key_taken", key=key)
    # A bind id is a channel's key or a sender's code, so one word must never mean both.
    if await tx.first(select(senders.c.id).where(senders.c.code == key)):
        raise Conflict("key_taken", key=key)


async def rotate(system: AppContext, key: str, overlap: int = OVERLAP) -> ChannelInfo:
    """Give the channel a new MasterSecret; the old one stays good for `overlap` ms.

    Raises Forbidden for a caller that may not have it.
    """
    need_secret(find(await system.directory.now(), key).id)
    secret = new_key()
    values: dict[str, Any] = {
        "old_secret": channels.c.secret,
        "old_secret_until": clock.now() + overlap,
        "secret": system.seal.close(secret, channel_context(key)),
    }
    async with system.directory.change() as tx:
        done = await tx.run(update(channels).where(channels.c.key == key).values(values))
        if done.count == 0:
            raise NotFound("channel_unknown", key=key)
        before: dict[str, object] = {"mastersecret": "old"}  # that it changed is all that is told
        after = {"mastersecret": "new", "old_good_until": clock.iso(values["old_secret_until"])}
        await audit_log.note(tx, "channel.rotate", key, before=before, after=after)
    return await _shown(system, key, secret)


async def set_open(system: AppContext, key: str, *, open: bool) -> ChannelInfo:
    """Open or close the channel; requests to a closed one fail with 1015005."""
    mine = channels.c.key == key
    async with system.directory.change() as tx:
        row = await tx.first(select(channels.c.open).where(mine).with_for_update())
        if row is None:
            raise NotFound("channel_unknown", key=key)
        await tx.run(update(channels).where(mine).values(open=open))
        before, after = {"open": bool(row.open)}, {"open": open}
        await audit_log.note(
            tx, "channel.open" if open else "channel.close", key, before=before, after=after
        )
    return await _shown(system, key)


async def set_rules(system: AppContext, key: str, rules: ChannelPolicy) -> ChannelPolicy:
    """Settle the rules of the channel, all of them. Raises Invalid."""
    return await change_rules(system, key, lambda _: rules)


async def change_rules(
    system: AppContext,
    key: str,
    change: Callable[[ChannelPolicy], ChannelPolicy],
    *,
    expect: Callable[[ChannelPolicy], None] = anything,
) -> ChannelPolicy:
    """Make new rules of the old. Raises Invalid, what `change` and `expect` raise, and Forbidden
    where a rule of OF_ADMINISTRATORS changes and the caller is none.

    Another process goes by the old ones for a second at most.
    """
    mine = channels.c.key == key
    async with system.directory.change() as tx:
        row = await tx.first(select(channels.c.rules).where(mine).with_for_update())
        if row is None:
            raise NotFound("channel_unknown", key=key)
        before = read_rules(row.rules)
        expect(before)
        rules = change(before)
        check_rules(rules)
        if any(getattr(before, name) != getattr(rules, name) for name in OF_ADMINISTRATORS):
            grants.need(grants.ALL)
        text = to_json(rules)
        await tx.run(update(channels).where(mine).values(rules=text))
        was, now = msgspec.structs.asdict(before), msgspec.structs.asdict(rules)
        await audit_log.note(tx, "channel.rules", key, before=was, after=now)
    return rules


async def rules_of(system: AppContext, key: str) -> ChannelPolicy:
    """The rules of the channel as they are now. Raises Invalid for a key that no channel has."""
    return find(await system.directory.fresh(), key).rules


async def show(system: AppContext, key: str) -> ChannelInfo:
    """Raises Invalid for a key that no channel has."""
    return await _shown(system, key)


async def change(
    system: AppContext,
    key: str,
    *,
    name: str | None = None,
    open: bool | None = None,
    expect: Expect = anything,
) -> ChannelInfo:
    """Give the channel another name, open or close it; None leaves a thing as it is.

    Raises Invalid, and what `expect` raises.
    """
    if name is not None:
        check_name(name)
    given: dict[str, Any] = {"name": name, "open": open}
    values = {field: value for field, value in given.items() if value is not None}
    async with system.directory.change() as tx:
        await tx.run(select(channels.c.id).where(channels.c.key == key).with_for_update())
        snapshot = await load(tx)
        channel = find(snapshot, key)
        expect(describe(channel, snapshot))
        others = (channels.c.name == name) & (channels.c.key != key)
        if await tx.first(select(channels.c.id).where(others)):
            raise Conflict("name_taken", name=name)
        before, told = {field: getattr(channel, field) for field in values}, _told(values)
        await audit_log.note(tx, "channel.change", key, told, before=before, after=values)
        if values:
            await tx.run(update(channels).where(channels.c.key == key).values(values))
    return await _shown(system, key)


def _told(values: dict[str, Any]) -> str:
    return ", ".join(f"{field}: {value}" for field, value in values.items())


async def page_channels(
    system: AppContext,
    ids: frozenset[int] | None = None,
    *,
    open: bool | None = None,
    sort: ByName = "created_at",
    after: str | None = None,
    limit: int = MOST,
) -> Page[ChannelInfo]:
    """The channels with these ids, or all, in the order they were made unless `sort` says
    another."""
    now = await system.directory.fresh()
    found = [c for c in now.channels.values() if ids is None or c.id in ids]
    found = [c for c in found if open is None or c.open == open]
    part = _ORDER.part(found, sort, after, limit)
    return Page([describe(channel, now) for channel in part.items], part.next)


async def list_channels(system: AppContext) -> list[ChannelInfo]:
    now = await system.directory.fresh()
    return [describe(channel, now) for channel in sorted(now.channels.values(), key=lambda c: c.id)]


def find(snapshot: Snapshot, key: str) -> Channel:
    """Raises Invalid for a key that no channel has."""
    channel = snapshot.channels.get(key)
    if channel is None:
        raise NotFound("channel_unknown", key=key)
    return channel


def describe(channel: Channel, snapshot: Snapshot, secret: str | UnsetType = UNSET) -> ChannelInfo:
    default = snapshot.senders.get(channel.default_sender or 0)
    return ChannelInfo(
        name=channel.name,
        channelkey=channel.key,
        open=channel.open,
        senders=[snapshot.senders[id].code for id in channel.senders],
        default_sender=default.code if default else None,
        route=[
            RouteLeg(snapshot.senders[leg.sender].code, leg.rank, leg.weight)
            for leg in channel.route
        ],
        created_at=clock.iso(channel.created_at),
        mastersecret=secret,
    )


async def _shown(system: AppContext, key: str, secret: str | UnsetType = UNSET) -> ChannelInfo:
    now = await system.directory.fresh()
    return describe(find(now, key), now, secret)
