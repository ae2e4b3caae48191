"""Senders: the accounts that mail goes out through (ums-spec 2.3)."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import delete, func, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels.channels import check_name, find
from ums.core.common import metadata
from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.common.pagination import MOST, Page
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import SortKey
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.senders import audit_details, sender_rows
from ums.core.senders.sender_rows import SenderRow, check_code, secret_context
from ums.core.senders.status import SenderStatus, standing_of
from ums.core.senders.validation import check_moved, checks_of, settings_of
from ums.core.tables import channel_senders, channels, senders
from ums.core.transports import accounts
from ums.core.transports.accounts import WEBHOOK
from ums.core.transports.webhook_settings import Authentication
from ums.db import Tx, to_json
from ums.errors import Invalid, NotFound, UmsError
from ums.mail import email_account, send_limits
from ums.mail.email_account import EmailSettings
from ums.mail.outcomes import Encryption
from ums.mail.send_limits import SendLimit

SenderOrder = Literal["code", "-code", "name", "-name", "created_at", "-created_at"]


class NewSender(Struct, frozen=True, kw_only=True):
    """What an administrator gives to make or to change a sender."""

    code: str
    name: str
    host: str
    port: int
    encryption: str
    account: str = ""
    password: str | None = None  # None keeps the one that is stored
    from_address: str
    from_name: str = ""
    channels: list[str] = []
    allow_port: bool = False
    caps: list[SendLimit] | None = None  # None keeps those that are stored
    urgent_reserve_percent: int | None = (
        None  # % of each cap that is kept for urgent mail; None: the same
    )


class SenderInfo(Struct, frozen=True):
    """A sender as it is shown: everything but its password."""

    code: str
    name: str
    type: Annotated[str, Meta(description="`email`, `webhook` or `sandbox`.")]
    host: Annotated[str, Meta(description="Of a webhook sender its URL's, as are the next two.")]
    port: int
    encryption: Encryption
    account: str
    from_address: Annotated[str, Meta(description="Empty for a webhook sender.")]
    from_name: str
    url: Annotated[str | None, Meta(description="Of a webhook sender.")]
    authentication: Annotated[
        Authentication | None, Meta(description="How a webhook sender logs in.")
    ]
    deduplicates: Annotated[
        bool, Meta(description="The receiver of a webhook sender takes no `webhook-id` twice.")
    ]
    open: bool
    status: Annotated[SenderStatus, Meta(description="Whether it sends; if not, the first reason.")]
    status_reason: Annotated[
        str, Meta(description="Of a cooldown: the reason of the failed attempt; else empty.")
    ]
    status_until: Annotated[
        str | None,
        Meta(description="When the status ends by itself; null where somebody has to act."),
    ]
    channels: list[str]  # keys
    cooldown_until: str | None
    cooldown_reason: str | None
    cooldown_detail: str | None
    caps: Annotated[list[SendLimit], Meta(description="How many mails it may send in a time.")]
    urgent_reserve_percent: Annotated[
        int, Meta(description="Percent of each cap that only urgent mail may use.")
    ]
    cap_reached_until: Annotated[str | None, Meta(description="A cap is reached until then.")]
    throttled_until: Annotated[
        str | None, Meta(description="One session until then: too many of its mails are in doubt.")
    ]
    suspended_at: Annotated[
        str | None,
        Meta(
            description="Since when it sends nothing to several people, as too many of its mails"
            " went to addresses that do not exist; until it is confirmed."
        ),
    ]
    created_at: str
    signing_secret: Annotated[
        str | UnsetType,
        Meta(description="Of a webhook sender, in the answer that made it and in no other."),
    ] = UNSET


ANY_TYPE: Final = {"name", "caps", "urgent_reserve_percent"}
"""The fields that senders of every type have."""
_ORDER: SortKey[SenderInfo] = SortKey(
    lambda one: one.code,
    {
        "code": lambda one: one.code,
        "name": lambda one: one.name,
        "created_at": lambda one: one.created_at,
    },
)


async def create(system: AppContext, given: NewSender, type: str = "email") -> SenderInfo:
    """Make a sender and authorise it for the channels it names. Raises Invalid."""
    check_code(given.code)
    settings = settings_of(given, free_ports(system), own_port=type != "email")
    secret = system.seal.close(given.password or "", secret_context(given.code, settings))
    await sender_rows.add(system, _row(system, given, type, settings, secret))
    return await show(system, given.code)


async def change(
    system: AppContext, given: NewSender, expect: Expect = anything, *, open: bool | None = None
) -> SenderInfo:
    """Change the sender of `given.code`. Where mail goes cannot change without its password.

    A port that it has already needs no second approval. Raises Invalid, and what `expect` raises.
    """
    old = await _email(system, given.code)
    before = email_account.read(old.settings)
    own_port = given.port == before.port or old.type != "email"
    settings = settings_of(given, free_ports(system), own_port=own_port)
    check_moved(before, given)
    moved = email_account.binding(before) != email_account.binding(settings)
    secret = None
    if given.password is not None:
        secret = system.seal.close(given.password, secret_context(given.code, settings))
    row = _row(system, given, old.type, settings, secret, moved=moved)
    async with system.directory.change() as tx:
        await check_expected(tx, old.id, expect)
        noted = "" if given.password is None else "new"
        await sender_rows.change(tx, old, row, open=open, secret_note=noted)
    return await show(system, given.code)


async def edit(
    system: AppContext,
    code: str,
    changes: dict[str, Any],
    open: bool | None = None,
    expect: Expect = anything,
) -> SenderInfo:
    """Change the fields of NewSender that `changes` names; `open` also pauses or resumes.

    Raises Invalid, NotFound, and what `expect` raises.
    """
    old = await system.directory.sender(code)
    if old.type == WEBHOOK and changes.keys() <= ANY_TYPE:
        return await _edit_any(system, old, changes, open, expect)
    now = await show(system, code)
    held: dict[str, Any] = {
        name: getattr(now, name) for name in NewSender.__struct_fields__ if hasattr(now, name)
    }
    held |= {"encryption": str(now.encryption), "channels": [], **changes}
    return await change(system, NewSender(**held), expect, open=open)


async def _edit_any(
    system: AppContext, old: Sender, changes: dict[str, Any], open: bool | None, expect: Expect
) -> SenderInfo:
    """Change what a sender of any type has."""
    row = SenderRow(
        code=old.code,
        name=changes.get("name", old.name),
        type=old.type,
        settings=old.settings,
        secret=None,
        caps=changes.get("caps"),
        urgent_reserve_percent=changes.get("urgent_reserve_percent"),
    )
    check_name(row.name)
    async with system.directory.change() as tx:
        await check_expected(tx, old.id, expect)
        await sender_rows.change(tx, old, row, open=open)
    return await show(system, old.code)


async def _email(system: AppContext, code: str) -> Sender:
    sender = await system.directory.sender(code)
    if sender.type == WEBHOOK:
        raise Invalid("sender_type_other", code=code, type=sender.type)
    return sender


def _row(
    system: AppContext,
    given: NewSender,
    type: str,
    settings: EmailSettings,
    secret: str | None,
    *,
    moved: bool = False,
) -> SenderRow:
    return SenderRow(
        code=given.code,
        name=given.name,
        type=type,
        settings=to_json(settings),
        secret=secret,
        channels=given.channels,
        caps=given.caps,
        urgent_reserve_percent=given.urgent_reserve_percent,
        port_approved=_is_approved(system, given),
        moved=moved,
    )


async def check_expected(tx: Tx, id: int, expect: Expect) -> None:
    row = await tx.first(select(senders).where(senders.c.id == id).with_for_update())
    keys = await tx.rows(
        select(channels.c.key)
        .join(channel_senders, channel_senders.c.channel_id == channels.c.id)
        .where(channel_senders.c.sender_id == id)
        .order_by(channels.c.id)
    )
    held = await metadata.is_held(tx)
    expect(_describe(row, [key for (key,) in keys], held=held))


async def set_open(system: AppContext, code: str, *, open: bool) -> SenderInfo:
    """Let the sender send, or pause it: its deliveries wait meanwhile."""
    async with system.directory.change() as tx:
        mine = senders.c.code == code
        row = await tx.first(select(senders.c.open).where(mine).with_for_update())
        if row is None:
            raise NotFound("sender_unknown", code=code)
        await tx.run(update(senders).where(mine).values(open=open))
        before, after = {"open": bool(row.open)}, {"open": open}
        await audit_log.note(
            tx, "sender.open" if open else "sender.close", code, before=before, after=after
        )
    system.wake.set()
    return await show(system, code)


async def unauthorise(system: AppContext, code: str, key: str) -> SenderInfo:
    """The channel may not use the sender any more; what it has sent already goes on.

    Where it was the channel's default, the oldest of the others is.
    """
    now = await system.directory.fresh()
    sender, channel = now.sender_codes.get(code), find(now, key)
    if sender is None:
        raise NotFound("sender_unknown", code=code)
    links = channel_senders
    mine = links.c.channel_id == channel.id
    async with system.directory.change() as tx:
        done = await tx.run(delete(links).where(mine, links.c.sender_id == sender.id))
        heir = await tx.value(select(func.min(links.c.sender_id)).where(mine))
        if not await tx.first(select(links.c.sender_id).where(mine, links.c.is_default)):
            await tx.run(update(links).where(mine, links.c.sender_id == heir), {"is_default": True})
        before = {"authorised": done.count > 0}
        after = {"authorised": False}
        await audit_log.note(tx, "sender.unauthorise", code, key, before=before, after=after)
    return await show(system, code)


async def list_senders(system: AppContext) -> list[SenderInfo]:
    now = await system.directory.fresh()
    async with system.database.read() as tx:
        rows = await tx.rows(select(senders).order_by(senders.c.id))
        held = await metadata.is_held(tx)
    users: dict[int, list[str]] = {}
    for channel in sorted(now.channels.values(), key=lambda one: one.id):
        for id in channel.senders:
            users.setdefault(id, []).append(channel.key)
    return [_describe(row, users.get(row.id, []), held=held) for row in rows]


async def page_senders(
    system: AppContext,
    *,
    open: bool | None = None,
    sort: SenderOrder = "code",
    after: str | None = None,
    limit: int = MOST,
) -> Page[SenderInfo]:
    """All senders in the order of their codes unless `sort` says another."""
    every = await list_senders(system)
    found = [one for one in every if open is None or one.open == open]
    return _ORDER.part(found, sort, after, limit)


async def show(system: AppContext, code: str) -> SenderInfo:
    for sender in await list_senders(system):
        if sender.code == code:
            return sender
    raise NotFound("sender_unknown", code=code)


def secret_of(system: AppContext, sender: Sender) -> str:
    """The sender's secret in clear, as its type has it (an email account's is its password), for
    the one place that logs in. Raises Invalid."""
    if sender.secret is None:
        return ""
    return system.seal.open(
        sender.secret, secret_context(sender.code, accounts.read(sender.type, sender.settings))
    )


def free_ports(system: AppContext) -> frozenset[int]:
    """The ports that a sender may use without an approval."""
    return email_account.FREE_PORTS | email_account.read_ports(system.settings.sender_ports)


async def errors_of(system: AppContext, given: NewSender, *, new: bool) -> list[UmsError]:
    """All that is wrong with a sender that is to be made (`new`) or changed."""
    free = free_ports(system)
    checks: list[Check] = [lambda: check_code(given.code)] if new else []
    if new:
        checks += checks_of(given, free, own_port=False)
    else:
        old = await _email(system, given.code)
        before = email_account.read(old.settings)
        own_port = given.port == before.port or old.type != "email"
        checks += checks_of(given, free, own_port=own_port)
        checks.append(lambda: check_moved(before, given))
    return [*all_of(checks), *await _taken(system, given, new=new)]


async def _taken(system: AppContext, given: NewSender, *, new: bool) -> list[UmsError]:
    async with system.database.read() as tx:
        checks = [sender_rows.check_name_free(tx, given.code, given.name)]
        checks += [sender_rows.check_code_free(tx, given.code)] if new else []
        return await all_awaited(checks)


async def authorise(
    system: AppContext, code: str, key: str, *, default: bool = False
) -> SenderInfo:
    """Let the channel use the sender; `default` makes it the channel's first choice."""
    sender = await system.directory.sender(code)
    find(await system.directory.now(), key)
    async with system.directory.change() as tx:
        before = await audit_details.use(tx, sender.id, key)
        await sender_rows.authorise(tx, sender.id, key, default=default)
        after = await audit_details.use(tx, sender.id, key)
        await audit_log.note(tx, "sender.authorise", code, key, before=before, after=after)
    return await show(system, code)


def _is_approved(system: AppContext, given: NewSender) -> bool:
    return given.allow_port and given.port not in free_ports(system)


def _later(moment: int | None) -> int | None:
    return moment if moment is not None and moment > clock.now() else None


def _describe(row: Any, keys: list[str], *, held: bool) -> SenderInfo:
    facts = accounts.facts(accounts.read(row.type, row.settings))
    standing = standing_of(row, held=held)
    return SenderInfo(
        code=row.code,
        name=row.name,
        type=row.type,
        open=bool(row.open),
        status=standing.status,
        status_reason=standing.reason,
        status_until=clock.iso_or_none(standing.until),
        channels=keys,
        cooldown_until=None if row.cooldown_until is None else clock.iso(row.cooldown_until),
        cooldown_reason=row.cooldown_reason,
        cooldown_detail=row.cooldown_detail,
        caps=list(send_limits.read(row.caps)),
        urgent_reserve_percent=row.urgent_reserve_percent,
        cap_reached_until=clock.iso_or_none(_later(row.cap_reached_until)),
        throttled_until=clock.iso_or_none(_later(row.throttled_until)),
        suspended_at=clock.iso_or_none(row.suspended_at),
        created_at=clock.iso(row.created_at),
        **msgspec.structs.asdict(facts),
    )
