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
from ums.core.channels.content_filter import find_word
from ums.core.common.field_errors import ErrorList, all_awaited
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel, Sender
from ums.core.messages import approval
from ums.core.messages.approval import Asking
from ums.core.messages.requests import SendRequest
from ums.core.tables.states import Halt
from ums.core.users import segments
from ums.core.webhooks.outbox import wanted
from ums.errors import Invalid, Refused, UmsError

_NOBODY = Asking()


class Admission(Struct, frozen=True):
    """On what terms a request becomes a message."""

    sender: Sender
    starts_at: int = 0  # not expanded before
    halt: str = ""  # "approval" where a second person has to let it go
    asking: Asking = _NOBODY
    quota: Quota | None = None  # that it takes from
    failover_allowed: bool = True  # any sender of the channel's route may carry it


class PolicyFacts(Struct, frozen=True):
    """All that the policy of a channel is checked against, looked up once."""

    channel: Channel
    sender: Sender | None
    approval_needed: bool
    unapproved: UmsError | None  # the request lacks what an approval asks for
    begins_at: int  # when its channel's quiet hours let it begin
    quiet: UmsError | None  # the quiet hours refuse it
    unknown: list[UmsError]  # lists, a strategy, a segment that it names and that are not there
    blocked_word: str | None
    quota: Quota | None
    quota_used: int


def policy_errors(facts: PolicyFacts) -> list[UmsError]:
    """All that keeps a request from becoming a message, in the order of the module's docstring."""
    found: list[UmsError | None] = [
        None if facts.channel.open else Refused("channel_closed"),
        Refused("no_sender") if facts.sender is None else None,
        facts.unapproved,
        facts.quiet,
        *facts.unknown,
        Refused("sensitive_word", word=facts.blocked_word) if facts.blocked_word else None,
    ]
    if facts.quota is not None and facts.quota_used >= facts.quota.limit:
        found.append(Refused("broadcast_quota", limit=facts.quota.limit))
    return [error for error in found if error is not None]


async def look_up(
    system: AppContext, channel: Channel, request: SendRequest, *, origin: str
) -> tuple[PolicyFacts, Asking]:
    """What `policy_errors` needs to know, and the operators behind the request."""
    sender = (await system.directory.now()).sender_for(channel, request.instance)
    needed, asking = approval.is_needed(channel, origin, request.audience), _NOBODY
    lacks = ErrorList()
    if needed:
        with lacks.collecting():
            async with system.database.read() as tx:
                actor = audit_log.source().actor
                asking = await approval.admit(tx, origin, request.option.owner, actor)
    begins, quiet = max(clock.now(), request.starts_at), ErrorList()
    with quiet.collecting():
        begins = quiet_hours.start(
            channel.rules, begins, priority=request.priority, broadcast=request.broadcast
        )
    quota = broadcast_quota.quota_of(channel, broadcast=request.broadcast)
    facts = PolicyFacts(
        channel=channel,
        sender=sender,
        approval_needed=needed,
        unapproved=lacks[0] if lacks else None,
        begins_at=begins,
        quiet=quiet[0] if quiet else None,
        unknown=await _unknown(system, channel, request),
        blocked_word=await find_word(system, channel, texts_of(request)),
        quota=quota,
        quota_used=0 if quota is None else await broadcast_quota.used(system, quota),
    )
    return facts, asking


async def admit(
    system: AppContext, channel: Channel, request: SendRequest, *, origin: str = "v1"
) -> Admission:
    """Raises Refused or Invalid for a request that the channel's policy does not let through."""
    check_channel(channel)
    facts, asking = await look_up(system, channel, request, origin=origin)
    errors = policy_errors(facts)
    if facts.sender is None or errors:
        raise errors[0]
    return Admission(
        facts.sender,
        facts.begins_at if facts.begins_at > clock.now() else 0,
        Halt.APPROVAL if facts.approval_needed else "",
        asking,
        facts.quota,
        # Who asked for a sender gets no other.
        failover_allowed=request.instance != facts.sender.code,
    )


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


async def _unknown(system: AppContext, channel: Channel, request: SendRequest) -> list[UmsError]:
    """What the request names and is not there: lists, a strategy, a segment."""
    black_id, white_id = request.option.black_id, request.option.white_id
    rule_id = 0 if request.audience.direct else request.rule_id
    segment = request.audience.segment
    if not (black_id or white_id or rule_id or segment is not None):
        return []
    async with system.database.read() as tx:
        checks = [access_lists.admit(tx, channel, black_id, white_id)]
        if rule_id:
            checks.append(strategies.admit(tx, channel, rule_id))
        if segment is not None:
            checks.append(segments.admit(tx, segment))
        return await all_awaited(checks)


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
