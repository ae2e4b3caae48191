"""The audit log: who changed what."""

from typing import Annotated

from litestar import get
from litestar.params import FromQuery, QueryParameter

from ums.api.manage.shapes import Caller, Moment, Paging, System, ms
from ums.core import audit
from ums.core.audit import AuditEntry
from ums.core.paging import Page
from ums.core.sorting import ByTime


@get("/api/audit", scope="audit:read")
async def list_audit(
    system: System,
    caller: Caller,
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
    caller.unbound()
    async with system.database.read() as tx:
        return await audit.list_audit(
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


handlers = [list_audit]
