"""The audit log: who changed what."""

from typing import Annotated

from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from ums.api.management.dependencies import Moment, Paging, System, listed, ms
from ums.core.audit import audit_log, audit_proof
from ums.core.audit.audit_log import AuditEntry
from ums.core.audit.audit_proof import ChainState, Checkpoint, Proof
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByTime


class Verification(Struct, frozen=True, forbid_unknown_fields=True):
    """What the chain is compared with besides."""

    checkpoint: Checkpoint | None = None


@get("/api/audit", scope="audit:read", channels="all")
async def list_audit(
    system: System,
    paging: Paging,
    actor: Annotated[str | None, QueryParameter(description="Who: `token:3:CI`, `local`.")] = None,
    action: Annotated[str | None, QueryParameter(description="What: `sender.change`.")] = None,
    subject: Annotated[
        str | None, QueryParameter(description="To what: a key, a code, an id.")
    ] = None,
    since: Moment = None,
    until: Moment = None,
    sort: FromQuery[ByTime] = "-created_at",
) -> Page[AuditEntry]:
    """What was done, the newest first; `until` is not in it."""
    async with system.database.read() as tx:
        found = await audit_log.list_audit(
            tx,
            actor=actor,
            action=action,
            subject=subject,
            since=ms(since, "since"),
            until=ms(until, "until"),
            sort=sort,
            after=paging.after,
            limit=paging.limit,
        )
    return listed(found)


@get("/api/audit/chain", scope="audit:read", channels="all")
async def show_chain(system: System) -> ChainState:
    """Where the hash chain of the log ends, what was verified last, and the last checkpoint."""
    return await audit_proof.show(system)


@post("/api/audit/verify", scope="audit:read", channels="all", status_code=200)
async def verify_chain(system: System, data: JSONBody[Verification]) -> Proof:
    """Walk the whole chain, and compare it with the last checkpoint and the one given here."""
    return await audit_proof.verify(system, data.checkpoint)


@post("/api/audit/checkpoint", scope="audit:read", channels="all", status_code=200)
async def make_checkpoint(system: System) -> Checkpoint:
    """Sign where the chain ends now, to be kept elsewhere."""
    return await audit_proof.checkpoint(system)


handlers = [list_audit, show_chain, verify_chain, make_checkpoint]
