"""Approval: where the channel wants it, an operator lets an API message go or refuses it.

Such a message is stored and not expanded (`messages.halt`): "approval" while it waits, nothing
once it is approved, "refused" when it never goes out (ums-spec 2.4, code 1015023).
"""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, select, text, update

from ums import clock
from ums.core import audit, quiet
from ums.core.content import Content
from ums.core.directory import Channel
from ums.core.models import channels, messages, operators
from ums.core.paging import Page, after_id, page_size
from ums.core.rules import read_rules
from ums.core.system import System
from ums.db import Tx
from ums.errors import Invalid, NotFound, Refused

WAITS, REFUSED = "approval", "refused"
ASKED = ("v1", "api")  # origins that need it: who sends by hand at the machine needs no leave
MAX_WHY = 500

# With the state spelled out, for that is what the index of the unexpanded goes by.
_WAITING = and_(text("messages.state <> 'expanded'"), messages.c.halt == WAITS)
_COLUMNS = (*messages.c, channels.c.key.label("channelkey"), channels.c.rules)
_QUERY = select(*_COLUMNS).join(channels, channels.c.id == messages.c.channel_id)


def is_needed(channel: Channel, origin: str) -> bool:
    """Whether the channel's messages of this origin wait for an operator."""
    return channel.rules.approval and origin in ASKED


class Waiting(Struct, frozen=True):
    """A message that waits for an operator."""

    msgid: str
    channelkey: str
    owner: str  # who submitted it
    subject: str
    broadcast: bool
    audience: int  # how many, as far as that is known already
    accepted_at: str


class _Given(Struct):
    """Of the options stored with a message, what is shown here."""

    owner: str | None = None


async def list_waiting(
    system: System,
    channel: Channel | None = None,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page:
    """The messages that wait, of one channel or of all, the oldest first."""
    query = _QUERY.where(_WAITING, messages.c.id > after_id(after))
    if channel is not None:
        query = query.where(messages.c.channel_id == channel.id)
    async with system.database.read() as tx:
        rows = await tx.rows(query.order_by(messages.c.id).limit(page_size(limit) + 1))
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return Page([_shown(row) for row in rows[:limit]], following)


async def approve(system: System, msgid: str, actor: str, channel: Channel | None = None) -> None:
    """Let the message go. Its lifetime begins now, or when the channel's quiet hours are over.

    Raises NotFound for a message that is not there (or not `channel`'s), Invalid for one that
    does not wait.
    """
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channel)
        starts = max(row.starts_at, _start(row, clock.now()))
        life = row.expires_at - max(row.accepted_at, row.starts_at)
        values = {"halt": "", "halted_at": None, "starts_at": starts, "expires_at": starts + life}
        await _settle(tx, row, values, "message.approve", "", actor)
    system.wake.set()


async def refuse(
    system: System, msgid: str, actor: str, why: str = "", channel: Channel | None = None
) -> None:
    """Stop the message for good; `why` goes into the audit log. Raises as `approve` does."""
    if len(why) > MAX_WHY or "\x00" in why:
        raise Invalid("bad_value", field="why")
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channel)
        values = {"halt": REFUSED, "halted_at": clock.now()}
        await _settle(tx, row, values, "message.refuse", why, actor)
    system.wake.set()


async def admit(tx: Tx, owner: str | None) -> None:
    """Raises Refused (1015023) unless `owner` names an operator."""
    if not owner:
        raise Refused("owner_missing")
    if await tx.first(select(operators.c.id).where(operators.c.name == owner)) is None:
        raise Refused("owner_unknown", owner=owner[:60])


def _start(row: Any, now: int) -> int:
    """Approval in quiet hours puts the message off, also where a request would be refused."""
    if quiet.is_urgent(priority=row.priority, broadcast=row.broadcast):
        return now
    return quiet.quiet_until(read_rules(row.rules), now) or now


async def _found(tx: Tx, msgid: str, channel: Channel | None) -> Any:
    mine: ColumnElement[bool] = messages.c.msgid == msgid
    if channel is not None:
        mine = mine & (messages.c.channel_id == channel.id)
    row = None if "\x00" in msgid else await tx.first(_QUERY.where(mine))
    if row is None:
        raise NotFound("message_unknown")
    if row.halt != WAITS:
        raise Invalid("not_waiting")
    return row


async def _settle(
    tx: Tx, row: Any, values: dict[str, Any], action: str, detail: str, actor: str
) -> None:
    # Once more: another operator may have been quicker.
    mine = (messages.c.id == row.id) & (messages.c.halt == WAITS)
    if (await tx.run(update(messages).where(mine).values(**values))).count != 1:
        raise Invalid("not_waiting")
    await audit.note(tx, action, row.msgid, detail, actor)


def _shown(row: Any) -> Waiting:
    return Waiting(
        msgid=row.msgid,
        channelkey=row.channelkey,
        owner=msgspec.json.decode(row.options, type=_Given).owner or "",
        subject=msgspec.json.decode(row.content, type=Content).subject,
        broadcast=bool(row.broadcast),
        audience=row.size,
        accepted_at=clock.iso(row.accepted_at),
    )
