"""Senders: the accounts that mail goes out through (ums-spec 2.3)."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import delete, func, insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels.channels import find
from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.common.pagination import MOST, Page
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import SortKey
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender, touch
from ums.core.senders import audit_details, learned_limits, quota_ledger
from ums.core.senders.validation import check_moved, checks_of, settings_of
from ums.core.tables import channel_senders, channels, senders
from ums.db import Tx
from ums.errors import Conflict, Invalid, NotFound, UmsError
from ums.mail import email_account, send_limits
from ums.mail.email_account import EmailSettings
from ums.mail.outcomes import Encryption
from ums.mail.send_limits import SendLimit

SenderOrder = Literal["code", "-code", "name", "-name", "created_at", "-created_at"]
_CODE = re.compile(r"[A-Za-z0-9]{1,30}")


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
    type: str
    host: str
    port: int
    encryption: Encryption
    account: str
    from_address: str
    from_name: str
    open: bool
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


_ORDER: SortKey[SenderInfo] = SortKey(
    lambda one: one.code,
    {
        "code": lambda one: one.code,
        "name": lambda one: one.name,
        "created_at": lambda one: one.created_at,
    },
)


def secret_context(code: str, settings: EmailSettings) -> str:
    return f"sender:{code}:{email_account.binding(settings)}"


async def create(system: AppContext, given: NewSender, type: str = "email") -> SenderInfo:
    """Make a sender and authorise it for the channels it names. Raises Invalid."""
    _check_code(given.code)
    settings = settings_of(given, free_ports(system), own_port=type != "email")
    row = {
        "code": given.code,
        "name": given.name,
        "type": type,
        "settings": msgspec.json.encode(settings).decode(),
        "secret": system.seal.close(given.password or "", secret_context(given.code, settings)),
        "open": True,
        "created_at": clock.now(),
        **quota_ledger.columns(given.caps, given.urgent_reserve_percent),
    }
    async with system.database.write() as tx:
        await _check_free(tx, given)
        id = await tx.value(insert(senders).returning(senders.c.id), row)
        for key in given.channels:
            await _authorise(tx, id, key)
        approved = _is_approved(system, given)
        after = await audit_details.told(tx, id)
        await audit_details.note(tx, "sender.create", given.code, approved=approved, after=after)
    return await show(system, given.code)


async def change(
    system: AppContext, given: NewSender, expect: Expect = anything, *, open: bool | None = None
) -> SenderInfo:
    """Change the sender of `given.code`. Where mail goes cannot change without its password.

    A port that it has already needs no second approval. Raises Invalid, and what `expect` raises.
    """
    old = await system.directory.sender(given.code)
    before = email_account.read(old.settings)
    own_port = given.port == before.port or old.type != "email"
    settings = settings_of(given, free_ports(system), own_port=own_port)
    check_moved(before, given)
    moved = email_account.binding(before) != email_account.binding(settings)
    values: dict[str, Any] = {
        "name": given.name,
        "settings": msgspec.json.encode(settings).decode(),
        **RESTED,
        **quota_ledger.columns(given.caps, given.urgent_reserve_percent),
        **({} if open is None else {"open": open}),
    }
    if given.password is not None:
        context = secret_context(given.code, settings)
        values["secret"] = system.seal.close(given.password, context)
    async with system.database.write() as tx:
        await _expected(tx, old.id, expect)
        await _check_name(tx, given)
        was = await audit_details.told(tx, old.id)
        await tx.run(update(senders).where(senders.c.id == old.id).values(values))
        if moved:
            await learned_limits.start_anew(tx, old.id)
        for key in given.channels:
            await _authorise(tx, old.id, key)
        after = await audit_details.told(tx, old.id, "" if given.password is None else "new")
        approved = _is_approved(system, given)
        await audit_details.note(
            tx, "sender.change", given.code, approved=approved, before=was, after=after
        )
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
    now = await show(system, code)
    held: dict[str, Any] = {
        name: getattr(now, name) for name in NewSender.__struct_fields__ if hasattr(now, name)
    }
    held |= {"encryption": str(now.encryption), "channels": [], **changes}
    return await change(system, NewSender(**held), expect, open=open)


async def _expected(tx: Tx, id: int, expect: Expect) -> None:
    row = await tx.first(select(senders).where(senders.c.id == id).with_for_update())
    keys = await tx.rows(
        select(channels.c.key)
        .join(channel_senders, channel_senders.c.channel_id == channels.c.id)
        .where(channel_senders.c.sender_id == id)
        .order_by(channels.c.id)
    )
    expect(_describe(row, [key for (key,) in keys]))


async def set_open(system: AppContext, code: str, *, open: bool) -> SenderInfo:
    """Let the sender send, or pause it: its deliveries wait meanwhile."""
    async with system.database.write() as tx:
        mine = senders.c.code == code
        row = await tx.first(select(senders.c.open).where(mine).with_for_update())
        if row is None:
            raise NotFound("sender_unknown", code=code)
        await tx.run(update(senders).where(mine).values(open=open))
        before, after = {"open": bool(row.open)}, {"open": open}
        await audit_log.note(
            tx, "sender.open" if open else "sender.close", code, before=before, after=after
        )
        await touch(tx)
    system.wake.set()
    return await show(system, code)


async def unauthorise(system: AppContext, code: str, key: str) -> SenderInfo:
    """The channel may not use the sender any more; what it has sent already goes on.

    Where it was the channel's default, the oldest of the others is.
    """
    system.directory.forget()
    now = await system.directory.now()
    sender, channel = now.sender_codes.get(code), find(now, key)
    if sender is None:
        raise NotFound("sender_unknown", code=code)
    links = channel_senders
    mine = links.c.channel_id == channel.id
    async with system.database.write() as tx:
        done = await tx.run(delete(links).where(mine, links.c.sender_id == sender.id))
        heir = await tx.value(select(func.min(links.c.sender_id)).where(mine))
        if not await tx.first(select(links.c.sender_id).where(mine, links.c.is_default)):
            await tx.run(update(links).where(mine, links.c.sender_id == heir), {"is_default": True})
        before = {"authorised": done.count > 0}
        after = {"authorised": False}
        await audit_log.note(tx, "sender.unauthorise", code, key, before=before, after=after)
        await touch(tx)
    return await show(system, code)


RESTED: dict[str, Any] = {
    "cooldown_until": None,
    "cooldown_reason": None,
    "cooldown_detail": None,
    "failures": 0,
}
"""The values of a sender that nothing keeps from sending."""


async def list_senders(system: AppContext) -> list[SenderInfo]:
    system.directory.forget()
    now = await system.directory.now()
    async with system.database.read() as tx:
        rows = await tx.rows(select(senders).order_by(senders.c.id))
    users: dict[int, list[str]] = {}
    for channel in sorted(now.channels.values(), key=lambda one: one.id):
        for id in channel.senders:
            users.setdefault(id, []).append(channel.key)
    return [_describe(row, users.get(row.id, [])) for row in rows]


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


def password_of(system: AppContext, sender: Sender) -> str:
    """The sender's password in clear, for the one place that logs in. Raises Invalid."""
    if sender.secret is None:
        return ""
    return system.seal.open(
        sender.secret, secret_context(sender.code, email_account.read(sender.settings))
    )


def free_ports(system: AppContext) -> frozenset[int]:
    """The ports that a sender may use without an approval."""
    return email_account.FREE_PORTS | email_account.read_ports(system.settings.sender_ports)


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code) or code.lower() == "all":
        raise Invalid("code_shape")


async def errors_of(system: AppContext, given: NewSender, *, new: bool) -> list[UmsError]:
    """All that is wrong with a sender that is to be made (`new`) or changed."""
    free = free_ports(system)
    checks: list[Check] = [lambda: _check_code(given.code)] if new else []
    if new:
        checks += checks_of(given, free, own_port=False)
    else:
        old = await system.directory.sender(given.code)
        before = email_account.read(old.settings)
        own_port = given.port == before.port or old.type != "email"
        checks += checks_of(given, free, own_port=own_port)
        checks.append(lambda: check_moved(before, given))
    return [*all_of(checks), *await _taken(system, given, new=new)]


async def _taken(system: AppContext, given: NewSender, *, new: bool) -> list[UmsError]:
    checks = (_check_name, _check_code_free) if new else (_check_name,)
    async with system.database.read() as tx:
        return await all_awaited(check(tx, given) for check in checks)


async def _check_name(tx: Tx, given: NewSender) -> None:
    others = (senders.c.name == given.name) & (senders.c.code != given.code)
    if await tx.first(select(senders.c.id).where(others)):
        raise Conflict("name_taken", name=given.name)


async def _check_free(tx: Tx, given: NewSender) -> None:
    await _check_name(tx, given)
    await _check_code_free(tx, given)


async def _check_code_free(tx: Tx, given: NewSender) -> None:
    codes = {row.code.lower() for row in await tx.rows(select(senders.c.code))}
    keys = {row.key for row in await tx.rows(select(channels.c.key))}
    if given.code.lower() in codes or given.code in keys:
        raise Conflict("code_taken", code=given.code)


async def authorise(
    system: AppContext, code: str, key: str, *, default: bool = False
) -> SenderInfo:
    """Let the channel use the sender; `default` makes it the channel's first choice."""
    sender = await system.directory.sender(code)
    find(await system.directory.now(), key)
    async with system.database.write() as tx:
        before = await audit_details.use(tx, sender.id, key)
        await _authorise(tx, sender.id, key, default=default)
        after = await audit_details.use(tx, sender.id, key)
        await audit_log.note(tx, "sender.authorise", code, key, before=before, after=after)
        await touch(tx)
    return await show(system, code)


async def _authorise(tx: Tx, sender_id: int, key: str, *, default: bool = False) -> None:
    channel_id = await tx.value(select(channels.c.id).where(channels.c.key == key))
    if channel_id is None:
        raise NotFound("channel_unknown", key=key)
    links = channel_senders
    mine = links.c.channel_id == channel_id
    held = [row.sender_id for row in await tx.rows(select(links.c.sender_id).where(mine))]
    default = default or not held
    if default:
        await tx.run(update(links).where(mine).values(is_default=False))
    row = {"channel_id": channel_id, "sender_id": sender_id, "is_default": default}
    if sender_id not in held:
        await tx.run(insert(links), row)
    elif default:
        await tx.run(update(links).where(mine, links.c.sender_id == sender_id).values(row))


def _is_approved(system: AppContext, given: NewSender) -> bool:
    return given.allow_port and given.port not in free_ports(system)


def _later(moment: int | None) -> int | None:
    return moment if moment is not None and moment > clock.now() else None


def _describe(row: Any, keys: list[str]) -> SenderInfo:
    settings = email_account.read(row.settings)
    return SenderInfo(
        code=row.code,
        name=row.name,
        type=row.type,
        open=bool(row.open),
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
        **msgspec.structs.asdict(settings),
    )
