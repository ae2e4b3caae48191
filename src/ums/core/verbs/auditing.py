"""Verbs of the audit log's chain."""

from msgspec import Struct

from ums.core.audit import audit_chain, audit_proof
from ums.core.audit.audit_proof import Checkpoint
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Nothing, Verb


class Verify(Struct):
    checkpoint: Checkpoint | None = None


async def _show(system: AppContext, _: Intake, __: Nothing) -> object:
    return await audit_proof.show(system)


async def _verify(system: AppContext, _: Intake, p: Verify) -> object:
    return await audit_proof.verify(system, p.checkpoint)


async def _checkpoint(system: AppContext, _: Intake, __: Nothing) -> object:
    return await audit_proof.checkpoint(system)


async def _accept(system: AppContext, _: Intake, __: Nothing) -> object:
    return await audit_chain.accept(system)


VERBS = {
    "audit.show": Verb(Nothing, _show),
    "audit.verify": Verb(Verify, _verify),
    "audit.accept": Verb(Nothing, _accept),
    "audit.checkpoint": Verb(Nothing, _checkpoint),
}
