"""Approval: where the channel wants it, a second person lets a message go or refuses it.

Such a message is stored and not expanded (`messages.halt`): "approval" while it waits, nothing
once it is approved, "refused" when it never goes out (ums-spec 2.4, code 1015023). Whoever asked
for it, or is named as its owner, cannot approve it: `core.identity.actors` says who that is.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import and_, select, text, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.channels import quiet_hours
from ums.core.common.channel_scope import Channels, of_channels
from ums.core.common.pagination import Page, cut, page_size
from ums.core.common.sorting import ByTime, Order
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import read_rules
from ums.core.context.directory import Channel
from ums.core.identity import actors
from ums.core.identity.actors import Identity
from ums.core.identity.scopes import OF_ROLE, holds
from ums.core.messages.scheduling import lifetime
from ums.core.tables import channels as channels_table
from ums.core.tables import messages, operators
from ums.core.tables.states import Halt
from ums.core.users.audience import Audience
from ums.db import Tx
from ums.errors import Forbidden, Invalid, NotFound, Refused

ASKED = ("v1", "api")  # origins of programs; all others send by hand
_ORDER = Order(messages.c.id)
MAX_WHY = 500

# With the state spelled out, for that is what the index of the unexpanded goes by.
_WAITING = and_(text("messages.state <> 'expanded'"), messages.c.halt == Halt.APPROVAL)
_COLUMNS = (
    *messages.c,
    channels_table.c.key.label("channelkey"),
    channels_table.c.rules,
)
_QUERY = select(*_COLUMNS).join(channels_table, channels_table.c.id == messages.c.channel_id)


def is_needed(channel: Channel, origin: str, audience: Audience) -> bool:
    """Whether the message waits for a second person.

    Tags, a segment and everyone count as many: they may grow until the message is expanded.
    """
    rules = channel.rules
    if not (rules.approval if origin in ASKED else rules.approval_by_hand):
        return False
    return audience.described or audience.known_size >= rules.approval_from


class Waiting(Struct, frozen=True):
    """A message that waits for an operator."""

    msgid: str
    channelkey: str
    owner: str  # the operator whom the request names
    requested_by: str
    own: Annotated[bool, Meta(description="The caller asked for it: another has to approve it.")]
    subject: str
    broadcast: bool
    audience: int  # how many, as far as that is known already
    accepted_at: str


class _Given(Struct):
    """Of the options stored with a message, what is shown here."""

    owner: str | None = None


async def list_waiting(
    system: AppContext,
    channels: Channels = None,
    *,
    sort: ByTime = "created_at",
    after: str | None = None,
    limit: int = 50,
    viewer: str = "",
) -> Page[Waiting]:
    """The messages of `channels` that wait, the oldest first unless `sort` says another; `viewer`
    is who looks, as an actor of the audit log."""
    query = _ORDER.sort(_QUERY.where(_WAITING, of_channels(channels)), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
        who = await actors.of(tx, viewer)
        own = {row.id for row in rows if await _is_own(tx, row, who)}
    return cut(rows, limit, lambda row: _shown(row, own), _ORDER.place(sort))


async def waits(system: AppContext, msgid: str) -> bool:
    """Whether the message waits for a second person."""
    async with system.database.read() as tx:
        halt = await tx.value(select(messages.c.halt).where(messages.c.msgid == msgid))
    return halt == Halt.APPROVAL


async def is_own(tx: Tx, msgid: str, actor: str) -> bool:
    """Whether `actor` asked for the message or owns it, so that another has to approve it."""
    row = await tx.first(select(messages).where(messages.c.msgid == msgid))
    return row is not None and await _is_own(tx, row, await actors.of(tx, actor))


async def approve(system: AppContext, msgid: str, actor: str, channels: Channels = None) -> None:
    """Let the message go. Its lifetime begins now, or when the channel's quiet hours are over; an
    end that its caller named stays where it is.

    Raises NotFound for a message that is not there (or not of `channels`), Invalid for one that
    does not wait, Forbidden (approval_own) where `actor` asked for it.
    """
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channels)
        if await _is_own(tx, row, await actors.of(tx, actor)):
            raise Forbidden("approval_own")
        starts = max(row.starts_at, _start(row, clock.now()))
        values = {"halt": "", "halted_at": None, "starts_at": starts}
        values |= {"expires_at": _end(row, starts), "approved_by": actor[:60]}
        await _settle(tx, row, values, "message.approve", "", actor)
    system.wake.set()


async def refuse(
    system: AppContext, msgid: str, actor: str, why: str = "", channels: Channels = None
) -> None:
    """Stop the message for good; `why` goes into the audit log. Raises as `approve` does."""
    if len(why) > MAX_WHY or "\x00" in why:
        raise Invalid("bad_value", field="why")
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channels)
        values = {"halt": Halt.REFUSED, "halted_at": clock.now()}
        await _settle(tx, row, values, "message.refuse", why, actor)
    system.wake.set()


class Asking(Struct, frozen=True):
    """The operators behind a request, by id; None where there is none."""

    asker_id: int | None = None
    owner_id: int | None = None


async def admit(tx: Tx, origin: str, owner: str | None, actor: str) -> Asking:
    """Who asks. Raises Refused (1015023) where a program does not name an operator as owner."""
    owner_id = await actors.operator_id(tx, owner) if owner else None
    if origin in ASKED and not owner:
        raise Refused("owner_missing")
    if origin in ASKED and owner_id is None:
        raise Refused("owner_unknown", owner=(owner or "")[:60])
    return Asking((await actors.of(tx, actor)).operator_id, owner_id)


async def approver(tx: Tx, name: str) -> tuple[str, Channels]:
    """The operator `name` as an actor, and the channels it sees. Raises NotFound, and Forbidden
    where its role does not approve."""
    row = await tx.first(select(operators).where(operators.c.name == name))
    if row is None or row.disabled:
        raise NotFound("operator_unknown", name=name[:60])
    if not holds(OF_ROLE[row.role], "messages:approve"):
        raise Forbidden("scope_missing", scope="messages:approve")
    bound = None if row.channels is None else msgspec.json.decode(row.channels, type=list[int])
    return f"operator:{name}"[:60], None if bound is None else frozenset(bound)


async def _is_own(tx: Tx, row: Any, who: Identity) -> bool:
    if who.operator_id is not None and who.operator_id in (row.asker_id, row.owner_id):
        return True
    return bool(row.requested_by) and who.key == (await actors.of(tx, row.requested_by)).key


def _start(row: Any, now: int) -> int:
    """Approval in quiet hours puts the message off, also where a request would be refused."""
    if quiet_hours.is_urgent(priority=row.priority, broadcast=row.broadcast):
        return now
    return quiet_hours.quiet_until(read_rules(row.rules), now) or now


def _end(row: Any, starts: int) -> int:
    usual = lifetime(broadcast=row.broadcast)
    counted = row.expires_at - max(row.accepted_at, row.starts_at) == usual
    return starts + usual if counted else row.expires_at


async def _found(tx: Tx, msgid: str, channels: Channels) -> Any:
    mine = (messages.c.msgid == msgid) & of_channels(channels)
    row = None if "\x00" in msgid else await tx.first(_QUERY.where(mine))
    if row is None:
        raise NotFound("message_unknown")
    if row.halt != Halt.APPROVAL:
        raise Invalid("not_waiting")
    return row


async def _settle(
    tx: Tx, row: Any, values: dict[str, Any], action: str, detail: str, actor: str
) -> None:
    # Once more: another operator may have been quicker.
    mine = (messages.c.id == row.id) & (messages.c.halt == Halt.APPROVAL)
    if (await tx.run(update(messages).where(mine).values(**values))).count != 1:
        raise Invalid("not_waiting")
    before, after = {"halt": row.halt}, {"halt": values["halt"]}
    await audit_log.note(tx, action, row.msgid, detail, before=before, after=after, actor=actor)


def _shown(row: Any, own: set[int]) -> Waiting:
    return Waiting(
        msgid=row.msgid,
        channelkey=row.channelkey,
        owner=msgspec.json.decode(row.options, type=_Given).owner or "",
        requested_by=row.requested_by,
        own=row.id in own,
        subject=msgspec.json.decode(row.content, type=Content).subject,
        broadcast=bool(row.broadcast),
        audience=row.audience_size,
        accepted_at=clock.iso(row.accepted_at),
    )
