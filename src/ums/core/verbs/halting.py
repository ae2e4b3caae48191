"""Verbs that stop messages, let them go on, send failed deliveries again, and settle doubts."""

from msgspec import Struct

from ums.core.context.app_context import AppContext
from ums.core.messages import control, reschedule, resend, resolve_unknown
from ums.core.messages.intake import Intake
from ums.core.messages.scheduling import moment
from ums.core.reporting import reports
from ums.core.verbs.base import Verb


class Msgid(Struct):
    msgid: str


class Reschedule(Struct):
    msgid: str
    at: str
    deliver_by: str | None = None


class Resend(Struct):
    msgid: str
    state: list[str] = []
    reason: list[str] = []


class Resolve(Struct):
    msgid: str
    arrived: bool
    delivery: list[int] = []


async def _retract(system: AppContext, _: Intake, p: Msgid) -> object:
    return await control.retract(system, None, p.msgid)


async def _pause(system: AppContext, _: Intake, p: Msgid) -> object:
    return await control.pause(system, None, p.msgid)


async def _resume(system: AppContext, _: Intake, p: Msgid) -> object:
    return await control.resume(system, None, p.msgid)


async def _cancel(system: AppContext, _: Intake, p: Msgid) -> object:
    return await control.cancel(system, None, p.msgid)


async def _reschedule(system: AppContext, _: Intake, p: Reschedule) -> object:
    ends = moment(p.deliver_by, "deliver_by") if p.deliver_by else None
    await reschedule.reschedule(system, None, p.msgid, moment(p.at, "at"), ends)
    async with system.database.read() as tx:
        return await reports.message(tx, p.msgid)


async def _resend(system: AppContext, _: Intake, p: Resend) -> object:
    return await resend.resend(system, None, p.msgid, states=p.state, reasons=p.reason)


async def _resolve(system: AppContext, _: Intake, p: Resolve) -> object:
    only = p.delivery or None
    return await resolve_unknown.resolve(system, None, p.msgid, arrived=p.arrived, only=only)


VERBS = {
    "message.retract": Verb(Msgid, _retract),
    "message.pause": Verb(Msgid, _pause),
    "message.resume": Verb(Msgid, _resume),
    "message.cancel": Verb(Msgid, _cancel),
    "message.reschedule": Verb(Reschedule, _reschedule),
    "message.resend": Verb(Resend, _resend),
    "message.resolve": Verb(Resolve, _resolve),
}
