"""The audit log: who changed what. Never holds a secret."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct
from sqlalchemy import insert, select

from ums import clock
from ums.core.models import audit
from ums.core.paging import MOST, Page, cut, plain
from ums.core.sorting import ByTime, Order
from ums.db import Tx

_ORDER = Order(audit.c.id)
LOCAL = "local"  # somebody with access to the machine: the `ums` command
_actor: ContextVar[str] = ContextVar("actor", default=LOCAL)


class AuditEntry(Struct, frozen=True):
    """One thing that somebody did."""

    id: int
    at: str
    actor: str  # channel:KEY, token:NAME, accesskey:KEY, operator:NAME, or local
    action: str  # such as sender.change
    subject: str  # what was changed
    detail: str


@contextmanager
def acting(actor: str) -> Generator[None]:
    """What is noted in this block, and in the tasks it starts, was done by `actor`."""
    token = _actor.set(actor[:60])
    try:
        yield
    finally:
        _actor.reset(token)


async def note(
    tx: Tx, action: str, subject: str, detail: str = "", actor: str | None = None
) -> None:
    """Write down what was done, in the transaction that does it; by whom `acting` says."""
    row = {"at": clock.now(), "actor": actor or _actor.get(), "action": action}
    await tx.run(insert(audit), {**row, "subject": subject[:120], "detail": detail})


async def list_audit(
    tx: Tx,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: int | None = None,
    until: int | None = None,
    sort: ByTime = "-created_at",
    after: str | None = None,
    limit: int = MOST,
) -> Page[AuditEntry]:
    """The log, the newest first unless `sort` says another. `since` and `until` are milliseconds;
    `until` is not in it."""
    query = select(audit)
    for column, value in (
        (audit.c.actor, actor),
        (audit.c.action, action),
        (audit.c.subject, subject),
    ):
        if value is not None:
            query = query.where(column == plain(value, column.name))
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    rows = await tx.rows(_ORDER.sort(query, sort, after).limit(limit + 1))
    return cut(rows, limit, lambda row: AuditEntry(row.id, clock.iso(row.at), *row[2:]))
