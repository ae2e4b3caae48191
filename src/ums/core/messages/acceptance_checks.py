"""Whether a request may become a message: what has to be looked up for that.

The order is that of the codes a caller would rather know first: the channel and its sender, who
submits, when, to whom, by which way, and what is said; a broadcast's quota last.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import access_lists, broadcast_quota, quiet_hours, strategies
from ums.core.channels.broadcast_quota import Quota
from ums.core.channels.channels import check_channel
from ums.core.channels.content_filter import check_words
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel, Sender
from ums.core.messages import approval
from ums.core.messages.approval import Asking
from ums.core.messages.requests import SendRequest
from ums.core.tables.states import Halt
from ums.core.users import segments
from ums.core.webhooks.outbox import wanted
from ums.errors import Invalid, Refused

_NOBODY = Asking()


class Admission(Struct, frozen=True):
    """On what terms a request becomes a message."""

    sender: Sender
    starts_at: int = 0  # not expanded before
    halt: str = ""  # "approval" where a second person has to let it go
    asking: Asking = _NOBODY
    quota: Quota | None = None  # that it takes from
    failover_allowed: bool = True  # any sender of the channel's route may carry it


async def admit(
    system: AppContext, channel: Channel, request: SendRequest, *, origin: str = "v1"
) -> Admission:
    """Raises Refused or Invalid for a request that the channel's rules do not let through."""
    check_channel(channel)
    sender = (await system.directory.now()).sender_for(channel, request.instance)
    if sender is None:
        raise Refused("no_sender")
    halt, asking = "", _NOBODY
    if approval.is_needed(channel, origin, request.audience):
        halt = Halt.APPROVAL
        async with system.database.read() as tx:
            actor = audit_log.source().actor
            asking = await approval.admit(tx, origin, request.option.owner, actor)
    now = clock.now()
    asked = max(now, request.starts_at)
    begins = quiet_hours.start(
        channel.rules, asked, priority=request.priority, broadcast=request.broadcast
    )
    await _check_ids(system, channel, request)
    await check_words(system, channel, texts_of(request))
    quota = broadcast_quota.quota_of(channel, broadcast=request.broadcast)
    if quota is not None:
        await broadcast_quota.check(system, quota)
    failover_allowed = request.instance != sender.code  # it asked for this one, and gets no other
    return Admission(sender, begins if begins > now else 0, halt, asking, quota, failover_allowed)


async def telling(
    system: AppContext, channel: Channel, request: SendRequest
) -> tuple[int | None, int]:
    """(id, event_mask) of the callback address that is told of the message, (None, 0) for none
    (ums-spec 3.6). Raises Invalid for a URL that is not one of the channel's."""
    url, event_mask = request.callback.url, wanted(channel.rules)
    address = _address(channel, url)
    if url and address is None and system.directory.doubt():
        # Another process may have verified it a moment ago.
        now = await system.directory.now()
        address = _address(now.channel_ids.get(channel.id, channel), url)
    if url and address is None:
        raise Invalid("callback_unknown")
    return (None, 0) if address is None or not event_mask else (address, event_mask)


def _address(channel: Channel, url: str | None) -> int | None:
    """The address of `url`, else the default one."""
    return next(
        (told.id for told in channel.callbacks if (told.url == url if url else told.is_default)),
        None,
    )


async def _check_ids(system: AppContext, channel: Channel, request: SendRequest) -> None:
    """What the request names must be there: lists, a strategy, a segment."""
    black_id, white_id = request.option.black_id, request.option.white_id
    rule_id = 0 if request.audience.direct else request.rule_id
    segment = request.audience.segment
    if not (black_id or white_id or rule_id or segment is not None):
        return
    async with system.database.read() as tx:
        await access_lists.admit(tx, channel, black_id, white_id)
        if rule_id:
            await strategies.admit(tx, channel, rule_id)
        if segment is not None:
            await segments.admit(tx, segment)


def texts_of(request: SendRequest) -> Iterator[str]:
    """Every text that a message says, however deep it lies."""
    yield from _texts(msgspec.to_builtins(request.content))
    for own in request.audience.variables:
        yield from _texts(msgspec.json.decode(own))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
