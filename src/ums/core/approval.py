"""Approval: where the channel wants it, an operator lets an API message go or refuses it.

Such a message is stored and not expanded (`messages.halt`): "approval" while it waits, nothing
once it is approved, "refused" when it never goes out (ums-spec 2.4, code 1015023).
"""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import and_, select, text, update

from ums import clock
from ums.core import audit, quiet
from ums.core.content import Content
from ums.core.directory import Channel
from ums.core.models import channels as channels_table
from ums.core.models import messages, operators
from ums.core.paging import Page, cut, page_size
from ums.core.reports import Channels, of_channels
from ums.core.rules import read_rules
from ums.core.scheduling import lifetime
from ums.core.sorting import ByTime, Order
from ums.core.system import System
from ums.db import Tx
from ums.errors import Invalid, NotFound, Refused

WAITS, REFUSED = "approval", "refused"
ASKED = ("v1", "api")  # origins that need it: who sends by hand at the machine needs no leave
_ORDER = Order(messages.c.id)
MAX_WHY = 500

# With the state spelled out, for that is what the index of the unexpanded goes by.
_WAITING = and_(text("messages.state <> 'expanded'"), messages.c.halt == WAITS)
_COLUMNS = (
    *messages.c,
    channels_table.c.key.label("channelkey"),
    channels_table.c.rules,
)
_QUERY = select(*_COLUMNS).join(channels_table, channels_table.c.id == messages.c.channel_id)


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
    channels: Channels = None,
    *,
    sort: ByTime = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[Waiting]:
    """The messages of `channels` that wait, the oldest first unless `sort` says another."""
    query = _ORDER.sort(_QUERY.where(_WAITING, of_channels(channels)), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, _shown, _ORDER.place(sort))


async def approve(system: System, msgid: str, actor: str, channels: Channels = None) -> None:
    """Let the message go. Its lifetime begins now, or when the channel's quiet hours are over; an
    end that its caller named stays where it is.

    Raises NotFound for a message that is not there (or not of `channels`), Invalid for one that
    does not wait.
    """
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channels)
        starts = max(row.starts_at, _start(row, clock.now()))
        values = {"halt": "", "halted_at": None, "starts_at": starts}
        values["expires_at"] = _end(row, starts)
        await _settle(tx, row, values, "message.approve", "", actor)
    system.wake.set()


async def refuse(
    system: System, msgid: str, actor: str, why: str = "", channels: Channels = None
) -> None:
    """Stop the message for good; `why` goes into the audit log. Raises as `approve` does."""
    if len(why) > MAX_WHY or "\x00" in why:
        raise Invalid("bad_value", field="why")
    async with system.database.write() as tx:
        row = await _found(tx, msgid, channels)
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


def _end(row: Any, starts: int) -> int:
    usual = lifetime(broadcast=row.broadcast)
    counted = row.expires_at - max(row.accepted_at, row.starts_at) == usual
    return starts + usual if counted else row.expires_at


async def _found(tx: Tx, msgid: str, channels: Channels) -> Any:
    mine = (messages.c.msgid == msgid) & of_channels(channels)
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
    await audit.note(tx, action, row.msgid, detail, actor=actor)


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
