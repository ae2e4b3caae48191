"""Stopping messages: retract, pause, resume, cancel; and counts that say what that did.

Every function takes the channel that asks, or None for an administrator, and sees only that
channel's messages. When it answers, nothing goes out any more but what it names as in flight.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import Select, exists, select

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, holds
from ums.core.deliveries.holds import BY_HAND, Why
from ums.core.tables import deliveries, messages
from ums.core.tables.states import ENDED, HELD, WAITING, DeliveryState, Halt
from ums.db import Tx
from ums.errors import Invalid, NotFound, Refused

WINDOW = 24 * clock.HOUR  # ums-spec 3.9
PATIENCE = 5.0  # seconds for rows that are being written


class Tally(Struct, frozen=True, kw_only=True):
    """A message's recipients at one moment. The numbers add up to `audience`."""

    msgid: str
    halt: str  # what keeps it: "", approval, paused, cancelled, retracted, refused
    stopped: int  # do not go out, or not before it is resumed
    waiting: int  # will go out
    in_flight: int  # their last dot may be written at this moment
    sent: int
    unknown: int  # may have gone out
    ended: int  # for another reason: failed, expired, invalid, suppressed
    audience: int


async def retract(
    system: AppContext, channel_id: int | None, msgid: str, *, actor: str | None = None
) -> Tally:
    """Stop the message for good, in the first 24 hours after it was accepted or, if it was
    scheduled, started. Raises NotFound, Refused("message_retracted") the second time, Invalid."""

    def check(row: Any) -> bool:
        if row.halt == Halt.RETRACTED:
            raise Refused("message_retracted")
        if max(row.accepted_at, row.starts_at) < clock.now() - WINDOW:
            raise Invalid("retract_too_late")
        return True

    return await _halted(system, channel_id, msgid, Halt.RETRACTED, check, actor)


async def cancel(
    system: AppContext, channel_id: int | None, msgid: str, *, actor: str | None = None
) -> Tally:
    """Stop the message for good, however old it is; one that is stopped already stays as it is.
    Raises NotFound."""
    return await _halted(
        system, channel_id, msgid, Halt.CANCELLED, lambda row: row.halt not in ENDED, actor
    )


async def pause(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    *,
    actor: str | None = None,
    why: Why = BY_HAND,
) -> Tally:
    """Stop the message until it is resumed; its lifetime goes on. Raises NotFound, and Invalid
    where there is nothing to be paused. `why` where UMS does it by itself."""

    def check(row: Any) -> bool:
        _check_going(row)
        return row.halt != Halt.PAUSED

    return await _halted(system, channel_id, msgid, Halt.PAUSED, check, actor, why)


async def resume(
    system: AppContext, channel_id: int | None, msgid: str, *, actor: str | None = None
) -> Tally:
    """Let a paused message go on. Raises NotFound, and Invalid for one that is stopped for good
    or waits for approval."""
    async with system.database.write() as tx:
        row = await locked(tx, channel_id, msgid)
        _check_going(row)
        before, after = {"paused": row.halt == Halt.PAUSED}, {"paused": False}
        await audit_log.note(tx, "message.resume", msgid, actor=actor, before=before, after=after)
        if row.halt == Halt.PAUSED:
            await holds.resume(tx, row.id)
    system.halted.set()
    system.wake.set()
    async with system.database.read() as tx:
        return await tally(tx, row.id)


async def locked(tx: Tx, channel_id: int | None, msgid: str) -> Any:
    """The message's row, which nobody else changes until the transaction ends. Raises NotFound."""
    return await _found(tx, channel_id, msgid, select(messages).with_for_update(key_share=True))


async def message_id(tx: Tx, channel_id: int | None, msgid: str) -> int:
    """Raises NotFound."""
    return int((await _found(tx, channel_id, msgid, select(messages.c.id))).id)


async def _found(tx: Tx, channel_id: int | None, msgid: str, query: Select[Any]) -> Any:
    mine = query.where(messages.c.msgid == msgid)
    if channel_id is not None:
        mine = mine.where(messages.c.channel_id == channel_id)
    row = None if "\x00" in msgid else await tx.first(mine)
    if row is None:
        raise NotFound("message_unknown")
    return row


async def tally(tx: Tx, message: int) -> Tally:
    """The message's recipients, counted in one snapshot (`Database.read`)."""
    row = await tx.first(select(messages).where(messages.c.id == message))
    counts = await holds.counts(tx, message)
    pending = 0 if row.state == "expanded" else max(row.audience_size - sum(counts.values()), 0)
    kept = sum(counts.get(state, 0) for state in (*WAITING, DeliveryState.PAUSED)) + pending
    claimed = counts.get(DeliveryState.CLAIMED, 0)
    cancelled = counts.get(DeliveryState.CANCELLED, 0)
    doubtful = await holds.doubtful(tx, message) if row.halt in ENDED else 0
    sent, unknown = counts.get(DeliveryState.SENT, 0), counts.get(DeliveryState.UNKNOWN, 0)
    at_dot = counts.get(DeliveryState.AT_DOT, 0)
    audience = sum(counts.values()) + pending
    return Tally(
        msgid=row.msgid,
        halt=row.halt,
        stopped=cancelled + (kept - doubtful if row.halt else 0),
        waiting=0 if row.halt else kept + claimed,
        # A claimed row of a halted message is being written by a process that does not end it.
        in_flight=at_dot + (claimed if row.halt else 0),
        sent=sent,
        unknown=unknown + doubtful,
        ended=audience - kept - claimed - cancelled - at_dot - sent - unknown,
        audience=audience,
    )


def _check_going(row: Any) -> None:
    if row.halt in ENDED:
        raise Invalid("message_stopped", halt=row.halt)
    if row.halt == Halt.APPROVAL:
        raise Invalid("awaits_approval")


async def _halted(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    kind: Halt,
    check: Callable[[Any], bool],
    actor: str | None,
    why: Why = BY_HAND,
) -> Tally:
    """Halt the message if `check` says that this changes anything."""
    async with system.database.write() as tx:
        row = await locked(tx, channel_id, msgid)
        if check(row):
            await _halt(tx, row, kind, actor, why)
        elif why == BY_HAND:
            await audit_log.note(
                tx, f"message.{_VERBS[kind]}", msgid, actor=actor, before={}, after={}
            )
    system.halted.set()
    system.wake.set()
    await catch(system, row.id)
    async with system.database.read() as tx:
        return await tally(tx, row.id)


async def _halt(tx: Tx, row: Any, kind: Halt, actor: str | None, why: Why) -> None:
    if kind == Halt.PAUSED and not await _is_open(tx, row):
        raise Invalid("message_over")
    if kind in ENDED or row.starts_at <= clock.now():
        await expansion.measure(tx, row.id)
    told = " ".join(filter(None, why))
    action, before, after = f"message.{_VERBS[kind]}", {"halt": row.halt}, {"halt": kind}
    await audit_log.note(tx, action, row.msgid, told, before=before, after=after, actor=actor)
    await holds.halt(tx, row.id, kind, why)


_VERBS = {Halt.RETRACTED: "retract", Halt.CANCELLED: "cancel", Halt.PAUSED: "pause"}


async def _is_open(tx: Tx, row: Any) -> bool:
    open_states = deliveries.c.state.in_((*WAITING, *HELD, DeliveryState.PAUSED))
    found = exists().where(deliveries.c.message_id == row.id, open_states)
    return row.state != "expanded" or bool(await tx.value(select(found)))


async def catch(system: AppContext, message: int) -> None:
    """After the transaction of `parking.halt`: when this returns, no worker brings a delivery of
    the message to the dot any more. Those that a stopped process holds locked stay claimed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        async with system.database.write() as tx:
            if await holds.caught(tx, message):
                return
        await asyncio.sleep(0.005)  # such a transaction is a matter of milliseconds
