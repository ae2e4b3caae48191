"""What became of messages: counts, deliveries, attempts."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, func, select

from ums import clock
from ums.core.content import Content
from ums.core.models import attempts, channels, deliveries, messages, senders
from ums.core.paging import Page
from ums.core.paging import check_limit as _limit
from ums.core.paging import number as _number
from ums.core.queue import FINAL, HELD, WAITING
from ums.db import Tx
from ums.errors import Invalid, NotFound

STATES = (*WAITING, *HELD, *FINAL)


class MessageInfo(Struct, frozen=True):
    """A message with what its deliveries add up to."""

    msgid: str
    channelkey: str
    sender: str
    state: str  # accepted | expanding | sending | done
    subject: str
    priority: int
    on_doubt: str
    accepted_at: str
    expires_at: str
    audience: int
    counts: dict[str, int]  # by state; with "pending", not yet expanded, they make the audience


class DeliveryInfo(Struct, frozen=True):
    """One message to one address."""

    id: int
    userid: str
    address: str
    state: str
    reason: str
    sender: str
    tries: int
    due_at: str | None  # when it is tried next
    created_at: str
    updated_at: str


class AttemptInfo(Struct, frozen=True):
    """One try of a delivery."""

    number: int
    sender: str
    started_at: str
    duration_ms: int
    stage: str
    verdict: str
    reason: str
    code: int
    enhanced: str
    reply: str


class DeliveryHistory(DeliveryInfo, frozen=True):
    """A delivery with all its attempts."""

    msgid: str
    attempts: list[AttemptInfo]


_MESSAGE = (
    select(messages, channels.c.key.label("channelkey"), senders.c.code.label("sender"))
    .join(channels, channels.c.id == messages.c.channel_id)
    .join(senders, senders.c.id == messages.c.sender_id)
)
_DELIVERY = (
    select(deliveries, senders.c.code.label("sender"), messages.c.msgid)
    .join(messages, messages.c.id == deliveries.c.message_id)
    .join(senders, senders.c.id == deliveries.c.sender_id)
)


async def message(tx: Tx, msgid: str, channel_id: int | None = None) -> MessageInfo:
    """Raises NotFound for a message that does not exist, or is not `channel_id`'s."""
    row = await _message_row(tx, msgid, channel_id)
    counts = await _counts(tx, [row.id])
    return _message(row, counts.get(row.id, {}))


async def list_messages(
    tx: Tx, channel_id: int, *, after: str | None = None, limit: int = 50
) -> Page[MessageInfo]:
    """The channel's messages, the newest first."""
    query = _MESSAGE.where(messages.c.channel_id == channel_id)
    if after is not None:
        query = query.where(messages.c.id < _number(after, "after"))
    rows = await tx.rows(query.order_by(messages.c.id.desc()).limit(_limit(limit) + 1))
    page = rows[:limit]
    counts = await _counts(tx, [row.id for row in page])
    items = [_message(row, counts.get(row.id, {})) for row in page]
    return Page(items, str(page[-1].id) if len(rows) > limit else None)


async def list_deliveries(
    tx: Tx,
    msgid: str,
    channel_id: int | None = None,
    *,
    state: str | None = None,
    reason: str | None = None,
    userid: str | None = None,
    address: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[DeliveryInfo]:
    """The message's deliveries in the order they were made."""
    row = await _message_row(tx, msgid, channel_id)
    query: Select[Any] = _DELIVERY.where(deliveries.c.message_id == row.id)
    if state is not None and state not in STATES:
        raise Invalid("bad_filter", field="state", detail="one of " + ", ".join(STATES))
    for column, value in (
        (deliveries.c.state, state),
        (deliveries.c.reason, reason),
        (deliveries.c.userid, userid),
        (deliveries.c.address, address),
    ):
        if value is not None:
            if "\x00" in value:
                raise Invalid("bad_filter", field=column.name, detail="it holds a null byte")
            query = query.where(column == value)
    if after is not None:
        query = query.where(deliveries.c.id > _number(after, "after"))
    rows = await tx.rows(query.order_by(deliveries.c.id).limit(_limit(limit) + 1))
    items = [DeliveryInfo(**_delivery(found)) for found in rows[:limit]]
    return Page(items, str(items[-1].id) if len(rows) > limit else None)


async def delivery(tx: Tx, id: int, channel_id: int) -> DeliveryHistory:
    """Raises NotFound for a delivery that is not the channel's."""
    mine: ColumnElement[bool] = (deliveries.c.id == id) & (messages.c.channel_id == channel_id)
    row = await tx.first(_DELIVERY.where(mine))
    if row is None:
        raise NotFound("delivery_unknown")
    query = (
        select(attempts, senders.c.code.label("sender"))
        .join(senders, senders.c.id == attempts.c.sender_id)
        .where(attempts.c.delivery_id == id)
        .order_by(attempts.c.id)
    )
    tries = [_attempt(found) for found in await tx.rows(query)]
    return DeliveryHistory(**_delivery(row), msgid=row.msgid, attempts=tries)


async def _message_row(tx: Tx, msgid: str, channel_id: int | None) -> Any:
    if "\x00" in msgid:
        raise NotFound("message_unknown")
    query = _MESSAGE.where(messages.c.msgid == msgid)
    if channel_id is not None:
        query = query.where(messages.c.channel_id == channel_id)
    row = await tx.first(query)
    if row is None:
        raise NotFound("message_unknown")
    return row


async def _counts(tx: Tx, ids: list[int]) -> dict[int, dict[str, int]]:
    grouped = (deliveries.c.message_id, deliveries.c.state)
    query = select(*grouped, func.count()).where(deliveries.c.message_id.in_(ids))
    counts: dict[int, dict[str, int]] = {}
    for message_id, state, count in await tx.rows(query.group_by(*grouped)):
        counts.setdefault(message_id, {})[state] = count
    return counts


def _message(row: Any, counts: dict[str, int]) -> MessageInfo:
    # Between two chunks the rest of the audience has no rows yet.
    pending = 0 if row.state == "expanded" else max(row.size - sum(counts.values()), 0)
    shown = {**counts, "pending": pending} if pending else counts
    return MessageInfo(
        msgid=row.msgid,
        channelkey=row.channelkey,
        sender=row.sender,
        state=_state(row, counts),
        subject=msgspec.json.decode(row.content, type=Content).subject,
        priority=row.priority,
        on_doubt=row.on_doubt,
        accepted_at=clock.iso(row.accepted_at),
        expires_at=clock.iso(row.expires_at),
        audience=sum(shown.values()),
        counts=shown,
    )


def _state(row: Any, counts: dict[str, int]) -> str:
    if row.state != "expanded":
        return "expanding" if row.plan is not None else "accepted"
    open_states = (*WAITING, *HELD)
    return "sending" if any(counts.get(state) for state in open_states) else "done"


def _delivery(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "userid": row.userid,
        "address": row.address,
        "state": row.state,
        "reason": row.reason,
        "sender": row.sender,
        "tries": row.tries,
        "due_at": clock.iso(row.due_at) if row.state in WAITING else None,
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
    }


def _attempt(row: Any) -> AttemptInfo:
    return AttemptInfo(
        number=row.number,
        sender=row.sender,
        started_at=clock.iso(row.started_at),
        duration_ms=row.duration,
        stage=row.stage,
        verdict=row.verdict,
        reason=row.reason,
        code=row.code,
        enhanced=row.enhanced,
        reply=row.reply,
    )
