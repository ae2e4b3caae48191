"""What became of messages: counts, deliveries, attempts."""

from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import (
    JSON,
    ColumnElement,
    TextClause,
    and_,
    cast,
    exists,
    func,
    select,
)

from ums import clock
from ums.core.common.channel_scope import Channels, of_channels
from ums.core.common.pagination import Page, cut, number, page_size, plain
from ums.core.common.sorting import ByTime
from ums.core.content.message_content import Content
from ums.core.deliveries.sampling import first_ids
from ums.core.tables import attempts, deliveries, messages, senders
from ums.core.tables import channels as channels_table
from ums.core.tables.messages import KNOWN
from ums.core.tables.states import FINAL, OPEN, PENDING, WAITING, Expansion, Halt, MessageState
from ums.db import Tx
from ums.errors import Detail, Invalid, NotFound

STATES = (*OPEN, *FINAL)
MessageOrder = Literal["-accepted_at", "accepted_at"]


class MessageInfo(Struct, frozen=True):
    """A message with what its deliveries add up to."""

    msgid: str
    channelkey: str
    sender: str
    state: MessageState
    halt: str  # "", approval | paused | cancelled | retracted | refused
    halt_reason: str  # where UMS itself paused it: content | bounces
    halt_detail: str  # the server's words, or the sender's code
    subject: str
    priority: int
    on_unknown: str
    accepted_at: str
    requested_by: str  # operator:NAME, token:ID:NAME, channel:KEY or local; "" before that was kept
    requested_from: str  # the address of whoever asked; "" for a command
    starts_at: str | None  # when it was scheduled
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


class UserDelivery(DeliveryInfo, frozen=True):
    """A delivery in the history of a user."""

    msgid: str
    channelkey: str
    subject: str


_ATTEMPT = select(attempts, senders.c.code.label("sender")).join(
    senders, senders.c.id == attempts.c.sender_id
)
_CHANNELS = channels_table
_KEY = channels_table.c.key
_MESSAGE = (
    select(messages, _KEY.label("channelkey"), senders.c.code.label("sender"))
    .join(_CHANNELS, _CHANNELS.c.id == messages.c.channel_id)
    .join(senders, senders.c.id == messages.c.sender_id)
)
_DELIVERY = (
    select(deliveries, senders.c.code.label("sender"), messages.c.msgid)
    .join(messages, messages.c.id == deliveries.c.message_id)
    .join(senders, senders.c.id == deliveries.c.sender_id)
)


async def message(tx: Tx, msgid: str, channels: Channels = None) -> MessageInfo:
    """Raises NotFound for a message that does not exist, or is not of `channels`."""
    row = await _message_row(tx, msgid, channels)
    counts = await _counts(tx, [row.id])
    return _message(row, counts.get(row.id, {}))


async def list_messages(
    tx: Tx,
    channels: Channels,
    *,
    state: MessageState | None = None,
    sender: str | None = None,
    subject: str | None = None,
    since: int | None = None,
    until: int | None = None,
    sort: MessageOrder = "-accepted_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[MessageInfo]:
    """Messages of `channels`, the newest first or last.

    `subject` is part of it, in any case of Latin letters; `since` and `until` (not in it) are
    milliseconds of the acceptance.
    """
    id = messages.c.id
    query = _MESSAGE.where(of_channels(channels))
    if after is not None:
        place = number(after, "after")
        query = query.where(id < place if sort == "-accepted_at" else id > place)
    for wanted in (_in_state(state), _between(since, until), _with_subject(tx, subject)):
        if wanted is not None:
            query = query.where(wanted)
    if sender is not None:
        query = query.where(senders.c.code == plain(sender, "sender"))
    order = id.desc() if sort == "-accepted_at" else id
    rows = await tx.rows(query.order_by(order).limit(page_size(limit) + 1))
    counts = await _counts(tx, [row.id for row in rows[:limit]])
    return cut(rows, limit, lambda row: _message(row, counts.get(row.id, {})))


def _in_state(state: MessageState | None) -> ColumnElement[bool] | None:
    if state is None:
        return None
    if state in tuple(Halt):
        return messages.c.halt == state
    free = messages.c.halt == ""
    begun, later = messages.c.state == Expansion.EXPANDED, messages.c.starts_at > clock.now()
    if state is MessageState.SCHEDULED:
        return free & ~begun & later
    return free & _at_work(state, begun, later)


def _at_work(
    state: MessageState, begun: ColumnElement[bool], later: ColumnElement[bool]
) -> ColumnElement[bool]:
    if state in (MessageState.ACCEPTED, MessageState.EXPANDING):
        planned = messages.c.plan.is_not(None)
        return ~begun & ~later & (planned if state is MessageState.EXPANDING else ~planned)
    mine = deliveries.c.message_id == messages.c.id
    open = exists().where(mine, deliveries.c.state.in_(OPEN))
    return begun & (open if state is MessageState.SENDING else ~open)


def _between(since: int | None, until: int | None) -> ColumnElement[bool] | None:
    at = messages.c.accepted_at
    bounds = [at >= since if since is not None else None, at < until if until is not None else None]
    given = [bound for bound in bounds if bound is not None]
    return and_(*given) if given else None


def _with_subject(tx: Tx, part: str | None) -> ColumnElement[bool] | None:
    if not part:
        return None
    content: ColumnElement[Any] = messages.c.content
    if tx.dialect == "postgresql":
        subject = cast(content, JSON)["subject"].as_string()
    else:
        subject = func.json_extract(content, "$.subject")
    return subject.icontains(plain(part, "subject"), autoescape=True)


async def list_deliveries(
    tx: Tx,
    msgid: str,
    channels: Channels = None,
    *,
    state: str | None = None,
    reason: str | None = None,
    userid: str | None = None,
    address: str | None = None,
    sort: ByTime = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[DeliveryInfo]:
    """The message's deliveries in the order they were made, or the other way round."""
    row = await _message_row(tx, msgid, channels)
    wanted: list[ColumnElement[bool] | TextClause] = [deliveries.c.message_id == row.id]
    if state is not None and state not in STATES:
        raise Invalid("bad_filter", field="state", detail=Detail("one_of", names=", ".join(STATES)))
    for column, value in (
        (deliveries.c.state, state),
        (deliveries.c.reason, reason),
        (deliveries.c.userid, userid),
        (deliveries.c.address, address),
    ):
        if value is not None:
            wanted.append(column == plain(value, column.name))
    if userid:
        wanted.append(KNOWN)
    id, down = deliveries.c.id, sort.startswith("-")
    if after is not None:
        place = number(after, "after")
        wanted.append(id < place if down else id > place)
    states = STATES if state is None else (state,)
    ids = first_ids(wanted, states, page_size(limit) + 1, down=down)
    rows = await tx.rows(_DELIVERY.where(id.in_(ids)).order_by(id.desc() if down else id))
    return cut(rows, limit, lambda found: DeliveryInfo(**_delivery(found)))


async def delivery(tx: Tx, id: int, channels: Channels) -> DeliveryHistory:
    """Raises NotFound for a delivery that is not of `channels`."""
    row = await _delivery_row(tx, id, channels)
    query = _ATTEMPT.where(attempts.c.delivery_id == id).order_by(attempts.c.id)
    tries = [_attempt(found) for found in await tx.rows(query)]
    return DeliveryHistory(**_delivery(row), msgid=row.msgid, attempts=tries)


async def list_attempts(
    tx: Tx, id: int, channels: Channels, *, after: str | None = None, limit: int = 50
) -> Page[AttemptInfo]:
    """The delivery's attempts in their order."""
    await _delivery_row(tx, id, channels)
    query = _ATTEMPT.where(attempts.c.delivery_id == id)
    if after is not None:
        query = query.where(attempts.c.id > number(after, "after"))
    rows = await tx.rows(query.order_by(attempts.c.id).limit(page_size(limit) + 1))
    return cut(rows, limit, _attempt)


async def of_user(
    tx: Tx, userid: str, channels: Channels, *, after: str | None = None, limit: int = 50
) -> Page[UserDelivery]:
    """What was sent, or not, to a user by messages of `channels`; the newest first."""
    mine = (deliveries.c.userid == plain(userid, "userid")) & (deliveries.c.userid != "")
    query = _DELIVERY.add_columns(messages.c.content, _KEY.label("channelkey")).where(mine)
    query = query.join(_CHANNELS, _CHANNELS.c.id == messages.c.channel_id).where(
        of_channels(channels)
    )
    if after is not None:
        query = query.where(deliveries.c.id < number(after, "after"))
    rows = await tx.rows(query.order_by(deliveries.c.id.desc()).limit(page_size(limit) + 1))
    return cut(rows, limit, _of_user)


def _of_user(row: Any) -> UserDelivery:
    return UserDelivery(
        **_delivery(row), msgid=row.msgid, channelkey=row.channelkey, subject=_subject(row.content)
    )


def _subject(content: str) -> str:
    return msgspec.json.decode(content, type=Content).subject


async def _delivery_row(tx: Tx, id: int, channels: Channels) -> Any:
    row = await tx.first(_DELIVERY.where(deliveries.c.id == id, of_channels(channels)))
    if row is None:
        raise NotFound("delivery_unknown")
    return row


async def _message_row(tx: Tx, msgid: str, channels: Channels) -> Any:
    if "\x00" in msgid:
        raise NotFound("message_unknown")
    row = await tx.first(_MESSAGE.where(messages.c.msgid == msgid, of_channels(channels)))
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
    pending = (
        0 if row.state == Expansion.EXPANDED else max(row.audience_size - sum(counts.values()), 0)
    )
    shown = {**counts, PENDING: pending} if pending else counts
    return MessageInfo(
        msgid=row.msgid,
        channelkey=row.channelkey,
        sender=row.sender,
        state=_state(row, counts),
        halt=row.halt,
        halt_reason=row.halt_reason if row.halt == Halt.PAUSED else "",
        halt_detail=row.halt_detail if row.halt == Halt.PAUSED else "",
        subject=_subject(row.content),
        priority=row.priority,
        on_unknown=row.on_unknown,
        accepted_at=clock.iso(row.accepted_at),
        requested_by=row.requested_by,
        requested_from=row.requested_from,
        starts_at=clock.iso(row.starts_at) if row.starts_at else None,
        expires_at=clock.iso(row.expires_at),
        audience=sum(shown.values()),
        counts=shown,
    )


def _state(row: Any, counts: dict[str, int]) -> MessageState:
    if row.halt:
        return MessageState(row.halt)
    if row.state != Expansion.EXPANDED:
        if row.starts_at > clock.now():
            return MessageState.SCHEDULED
        return MessageState.EXPANDING if row.plan is not None else MessageState.ACCEPTED
    return MessageState.SENDING if any(counts.get(state) for state in OPEN) else MessageState.DONE


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
        duration_ms=row.duration_ms,
        stage=row.stage,
        verdict=row.verdict,
        reason=row.reason,
        code=row.code,
        enhanced=row.enhanced,
        reply=row.reply,
    )
