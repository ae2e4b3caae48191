"""Verbs of channels, senders and keys."""

from collections.abc import AsyncGenerator
from typing import Any

from msgspec import Struct

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import channels
from ums.core.channels.policy import show, with_changes
from ums.core.context.app_context import AppContext
from ums.core.deliveries import mailbox_polling
from ums.core.identity import credentials
from ums.core.messages import auto_pause
from ums.core.messages.intake import Intake
from ums.core.senders import (
    connection_test,
    mailboxes,
    quota_ledger,
    routing,
    senders,
    warm_up,
    webhook_senders,
)
from ums.core.senders.mailboxes import NewMailbox
from ums.core.senders.senders import NewSender
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.verbs.base import Hours, Nothing, Verb
from ums.mail.send_limits import SendLimit
from ums.mail.warm_up_plan import WarmUp


class ChannelCreate(Struct):
    name: str
    key: str | None = None
    zone: str = "UTC"


class ChannelKey(Struct):
    key: str


class ChannelRotate(Struct):
    key: str
    overlap_hours: Hours = 24.0


class ChannelRules(Struct):
    key: str
    changes: dict[str, Any] | None = None  # those that change, by name; none: only show


class SenderTest(Struct):
    code: str
    to: str | None = None


class SenderCode(Struct):
    code: str


class SenderRotate(Struct):
    code: str
    overlap_hours: Hours = 24.0


class SenderWarmUp(Struct):
    code: str
    plan: WarmUp | None = None
    end: bool = False


class SenderMailbox(Struct):
    code: str
    mailbox: NewMailbox | None = None
    remove: bool = False
    look: bool = False


class SenderCaps(Struct):
    code: str
    caps: list[SendLimit] | None = None
    urgent_reserve_percent: int | None = None


class Authorise(Struct):
    code: str
    channel: str
    default: bool = False
    rank: int | None = None
    weight: int | None = None


async def _channel_create(system: AppContext, _: Intake, p: ChannelCreate) -> object:
    return await channels.create(system, p.name, p.key, zone=p.zone)


async def _channel_list(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await channels.list_channels(system)


async def _channel_rotate(system: AppContext, _: Intake, p: ChannelRotate) -> object:
    return await channels.rotate(system, p.key, round(p.overlap_hours * clock.HOUR))


async def _channel_rules(system: AppContext, _: Intake, p: ChannelRules) -> object:
    changes = p.changes
    if changes is None:
        audit_log.look()
        return show(await channels.rules_of(system, p.key))
    return show(
        await channels.change_rules(system, p.key, lambda rules: with_changes(rules, changes))
    )


async def _channel_open(system: AppContext, _: Intake, p: ChannelKey) -> object:
    return await channels.set_open(system, p.key, open=True)


async def _channel_close(system: AppContext, _: Intake, p: ChannelKey) -> object:
    return await channels.set_open(system, p.key, open=False)


async def _accesskey_create(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await credentials.create_access_key(system)


async def _sender_create(system: AppContext, _: Intake, p: NewSender) -> object:
    return await senders.create(system, p)


async def _sender_change(system: AppContext, _: Intake, p: NewSender) -> object:
    return await senders.change(system, p)


async def _webhook_create(system: AppContext, _: Intake, p: NewWebhookSender) -> object:
    return await webhook_senders.create(system, p)


async def _webhook_change(system: AppContext, _: Intake, p: NewWebhookSender) -> object:
    return await webhook_senders.change(system, p)


async def _sender_rotate(system: AppContext, _: Intake, p: SenderRotate) -> object:
    return await webhook_senders.rotate(system, p.code, round(p.overlap_hours * clock.HOUR))


async def _sender_list(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await senders.list_senders(system)


async def _sender_test(system: AppContext, _: Intake, p: SenderTest) -> object:
    return await connection_test.run(system, p.code, p.to)


async def _sender_steps(system: AppContext, p: SenderTest) -> AsyncGenerator[object]:
    return await connection_test.begin(system, p.code, p.to)


async def _sender_caps(system: AppContext, _: Intake, p: SenderCaps) -> object:
    """Change them where any are given; how far each is used."""
    given = {"caps": p.caps, "urgent_reserve_percent": p.urgent_reserve_percent}
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        await senders.edit(system, p.code, changes)
    else:
        audit_log.look()
    return await quota_ledger.caps_of(system, p.code)


async def _sender_confirm(system: AppContext, _: Intake, p: SenderCode) -> object:
    await auto_pause.confirm(system, p.code)
    return await senders.show(system, p.code)


async def _sender_warm_up(system: AppContext, _: Intake, p: SenderWarmUp) -> object:
    """Begin, end, or only show."""
    if p.end:
        await warm_up.end(system, p.code)
    elif p.plan is not None:
        await warm_up.begin(system, p.code, p.plan)
    else:
        audit_log.look()
    return await warm_up.show(system, p.code)


async def _sender_mailbox(system: AppContext, _: Intake, p: SenderMailbox) -> object:
    """Set, remove, look at once, or only show."""
    if p.remove:
        await mailboxes.remove(system, p.code)
    elif p.mailbox is not None:
        await mailboxes.set_mailbox(system, p.code, p.mailbox)
    elif not p.look:
        audit_log.look()
    if p.look:
        async with system.database.write() as tx:
            await audit_log.note(tx, "sender.mailbox_look", p.code)
        return await mailbox_polling.look_now(system, p.code)
    return await mailboxes.show(system, p.code)


async def _sender_authorise(system: AppContext, _: Intake, p: Authorise) -> object:
    shown = await senders.authorise(system, p.code, p.channel, default=p.default)
    await routing.set_leg(system, p.channel, p.code, rank=p.rank, weight=p.weight)
    return shown


VERBS = {
    "channel.create": Verb(ChannelCreate, _channel_create),
    "channel.list": Verb(Nothing, _channel_list),
    "channel.rotate": Verb(ChannelRotate, _channel_rotate),
    "channel.rules": Verb(ChannelRules, _channel_rules),
    "channel.open": Verb(ChannelKey, _channel_open),
    "channel.close": Verb(ChannelKey, _channel_close),
    "accesskey.create": Verb(Nothing, _accesskey_create),
    "sender.create": Verb(NewSender, _sender_create),
    "sender.change": Verb(NewSender, _sender_change),
    "sender.webhook_create": Verb(NewWebhookSender, _webhook_create),
    "sender.webhook_change": Verb(NewWebhookSender, _webhook_change),
    "sender.rotate": Verb(SenderRotate, _sender_rotate),
    "sender.list": Verb(Nothing, _sender_list),
    "sender.test": Verb(SenderTest, _sender_test, steps=_sender_steps),
    "sender.caps": Verb(SenderCaps, _sender_caps),
    "sender.confirm": Verb(SenderCode, _sender_confirm),
    "sender.warm_up": Verb(SenderWarmUp, _sender_warm_up),
    "sender.mailbox": Verb(SenderMailbox, _sender_mailbox),
    "sender.authorise": Verb(Authorise, _sender_authorise),
}
