"""Verbs that stop messages, let them go on, and send failed deliveries again."""

from msgspec import Struct

from ums.core import halting, resending
from ums.core.messages import Intake
from ums.core.system import System
from ums.core.verbs.base import Verb


class Msgid(Struct):
    msgid: str


class Resend(Struct):
    msgid: str
    state: list[str] = []
    reason: list[str] = []


async def _retract(system: System, _: Intake, p: Msgid) -> object:
    return await halting.retract(system, None, p.msgid)


async def _pause(system: System, _: Intake, p: Msgid) -> object:
    return await halting.pause(system, None, p.msgid)


async def _resume(system: System, _: Intake, p: Msgid) -> object:
    return await halting.resume(system, None, p.msgid)


async def _cancel(system: System, _: Intake, p: Msgid) -> object:
    return await halting.cancel(system, None, p.msgid)


async def _resend(system: System, _: Intake, p: Resend) -> object:
    return await resending.resend(system, None, p.msgid, states=p.state, reasons=p.reason)


VERBS = {
    "message.retract": Verb(Msgid, _retract),
    "message.pause": Verb(Msgid, _pause),
    "message.resume": Verb(Msgid, _resume),
    "message.cancel": Verb(Msgid, _cancel),
    "message.resend": Verb(Resend, _resend),
}
