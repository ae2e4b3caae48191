"""The rows of senders, whatever their type: made and changed in one transaction with the audit
log."""

import re
from typing import Any

from msgspec import Struct
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.senders import audit_details, learned_limits, quota_ledger
from ums.core.tables import channel_senders, channels, senders
from ums.core.transports import accounts
from ums.core.transports.accounts import Account
from ums.db import Tx
from ums.errors import Conflict, Invalid, NotFound
from ums.mail.send_limits import SendLimit

_CODE = re.compile(r"[A-Za-z0-9]{1,30}")
RESTED: dict[str, Any] = {
    "cooldown_until": None,
    "cooldown_reason": None,
    "cooldown_detail": None,
    "failures": 0,
}
"""The values of a sender that nothing keeps from sending."""


class SenderRow(Struct, frozen=True, kw_only=True):
    """What is stored of a sender that is made or changed."""

    code: str
    name: str
    type: str
    settings: str  # JSON
    secret: str | None  # sealed; None keeps the one that is stored
    channels: list[str] = []  # keys
    caps: list[SendLimit] | None = None  # None keeps those that are stored
    urgent_reserve_percent: int | None = None
    port_approved: bool = False
    moved: bool = False  # to another server

    @property
    def limits(self) -> dict[str, Any]:
        return quota_ledger.columns(self.caps, self.urgent_reserve_percent)


async def add(system: AppContext, row: SenderRow) -> None:
    """Store a new sender and authorise it for its channels. Raises Conflict, NotFound."""
    values = {
        "code": row.code,
        "name": row.name,
        "type": row.type,
        "settings": row.settings,
        "secret": row.secret,
        "open": True,
        "created_at": clock.now(),
        **row.limits,
    }
    async with system.directory.change() as tx:
        await check_name_free(tx, row.code, row.name)
        await check_code_free(tx, row.code)
        id = await tx.value(insert(senders).returning(senders.c.id), values)
        for key in row.channels:
            await authorise(tx, id, key)
        after = await audit_details.told(tx, id)
        await audit_details.note(
            tx, "sender.create", row.code, approved=row.port_approved, after=after
        )


async def change(
    tx: Tx, old: Sender, row: SenderRow, *, open: bool | None = None, secret_note: str = ""
) -> None:
    """Store a sender as it is now; that ends a cooldown. `secret_note` says of its secret what the
    audit log may. Raises Conflict, NotFound."""
    values = {
        "name": row.name,
        "settings": row.settings,
        **RESTED,
        **row.limits,
        **({} if row.secret is None else {"secret": row.secret}),
        **({} if open is None else {"open": open}),
    }
    await check_name_free(tx, row.code, row.name)
    was = await audit_details.told(tx, old.id)
    await tx.run(update(senders).where(senders.c.id == old.id).values(values))
    if row.moved:
        await learned_limits.start_anew(tx, old.id)
    for key in row.channels:
        await authorise(tx, old.id, key)
    after = await audit_details.told(tx, old.id, secret_note)
    await audit_details.note(
        tx, "sender.change", row.code, approved=row.port_approved, before=was, after=after
    )


async def authorise(tx: Tx, sender_id: int, key: str, *, default: bool = False) -> None:
    """Let a channel use a sender; its first is its default. Raises NotFound."""
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


def secret_context(code: str, account: Account) -> str:
    """What the sealed secret is bound to."""
    return f"sender:{code}:{accounts.binding(account)}"


def check_code(code: str) -> None:
    if not _CODE.fullmatch(code) or code.lower() == "all":
        raise Invalid("code_shape")


async def check_name_free(tx: Tx, code: str, name: str) -> None:
    others = (senders.c.name == name) & (senders.c.code != code)
    if await tx.first(select(senders.c.id).where(others)):
        raise Conflict("name_taken", name=name)


async def check_code_free(tx: Tx, code: str) -> None:
    codes = {row.code.lower() for row in await tx.rows(select(senders.c.code))}
    keys = {row.key for row in await tx.rows(select(channels.c.key))}
    if code.lower() in codes or code in keys:
        raise Conflict("code_taken", code=code)
