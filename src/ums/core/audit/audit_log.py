"""The audit log: who changed what, from where. Never holds a secret.

`acting` says from which address a request comes, and the doors (console, management API, UMS API,
local door) say with `acts` who makes it; a command needs neither. `note` writes an entry in the
transaction that makes the change.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select

from ums import clock
from ums.core.audit.masking import LONGEST, difference, masked, masked_text
from ums.core.common.pagination import MOST, Page, cut, plain
from ums.core.common.sorting import ByTime, Order
from ums.core.tables import audit
from ums.db import Tx, to_json

_ORDER = Order(audit.c.id)
LOCAL = "local"  # somebody with access to the machine: the `ums` command
ENGINE = "engine"  # UMS itself
ANYBODY = "anonymous"  # a request whose caller no door has recognised
LONGEST_ACTOR = 60


class AuditEntry(Struct, frozen=True):
    """One thing that somebody did."""

    id: int
    at: str
    actor: str  # channel:KEY, token:NAME, accesskey:KEY, operator:NAME, local, engine, or anonymous
    action: str  # such as sender.change
    subject: str  # what was changed
    detail: str
    address: str  # the client's; "" where there is none
    before: dict[str, Any] | None  # the changed fields, as they were
    after: dict[str, Any] | None  # and as they are; both are {} where nothing was changed
    times: int  # that it happened: repeated failures and lists share an entry


class Acting(Struct):
    """Who acts, from where, and how many entries that has left so far."""

    actor: str
    address: str
    notes: int = 0
    about: str = ""  # what it is about, where no entry says it
    detail: str = ""  # of the entry that the gate writes by itself
    given: int = 0  # people and addresses that a list gave out
    turned_away: bool = False  # a door has sent it elsewhere, and nothing was done
    looks: bool = False  # nothing is changed by what could have changed something


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)


@contextmanager
def acting(actor: str, address: str = "") -> Generator[Acting]:
    """What is noted in this block, and in the tasks it starts, was done by `actor`."""
    source = Acting(actor[:LONGEST_ACTOR], address[:45])
    token = _acting.set(source)
    try:
        yield source
    finally:
        _acting.reset(token)


def acts(actor: str) -> None:
    """The request that is being answered is this actor's."""
    found = _acting.get()
    if found is not None:
        found.actor = actor[:LONGEST_ACTOR]


def about(subject: str) -> None:
    """What the request is about, for the entry that the gate writes by itself."""
    found = _acting.get()
    if found is not None:
        found.about = subject[:120]


def add_detail(detail: str) -> None:
    """Say more of the request in the entry that the gate writes by itself: an address, filters."""
    found = _acting.get()
    if found is not None:
        found.detail = detail


def gave(count: int) -> None:
    """The answer gives out so many people or addresses, which the gate notes."""
    found = _acting.get()
    if found is not None:
        found.given += count


def turn_away() -> None:
    """The request is sent elsewhere, to sign in for one, and does nothing that could be noted: else
    anybody could fill the log."""
    found = _acting.get()
    if found is not None:
        found.turned_away = True


def look() -> None:
    """Who could have changed something so has not: it looks, is asked once more, or is refused with
    a page. That leaves no entry unless something else was noted."""
    found = _acting.get()
    if found is not None:
        found.looks = True


@contextmanager
def tracing() -> Generator[Acting]:
    """Who acts, with the entries that this block leaves; a command where no door has said it."""
    found = _acting.get()
    with acting(LOCAL) if found is None else acting(found.actor, found.address) as by:
        yield by
    if found is not None:
        found.notes += by.notes


def source() -> Acting:
    """Who acts at present; the command on this machine where no door has said it."""
    return _acting.get() or Acting(LOCAL, "")


class Note(Struct, frozen=True):
    """One of several things that are written down together, or that several people did."""

    by: Acting
    subject: str
    after: Mapping[str, object] | None = None
    before: Mapping[str, object] | None = None
    detail: str = ""


async def note(
    tx: Tx,
    action: str,
    subject: str,
    detail: str = "",
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    actor: str | None = None,
    times: int = 1,
) -> None:
    """Write down what was done, in the transaction that does it; by whom `acting` says.

    `before` and `after` are the fields of what was changed; of two, only what differs is kept, so
    that two empty ones say of a repeated request that it changed nothing. Secrets are masked.
    """
    by = source()
    if before is not None and after is not None:
        before, after = difference(before, after)
    row = _row(action, subject, (actor or by.actor)[:LONGEST_ACTOR], by)
    row |= {"detail": masked_text(detail, 4 * LONGEST), "before": _json(before)}
    await tx.run(insert(audit), {**row, "after": _json(after), "times": times})
    by.notes += 1


async def note_all(tx: Tx, action: str, notes: Sequence[Note], *, actor: str | None = None) -> None:
    """Write down the same of each, in one statement."""
    rows = [_row_of(action, one, actor) for one in notes]
    if rows:
        await tx.run(insert(audit), rows)
    for one in notes:
        one.by.notes += 1


def _row_of(action: str, one: Note, actor: str | None) -> dict[str, object]:
    before, after = one.before, one.after
    if before is not None and after is not None:
        before, after = difference(before, after)
    row = _row(action, one.subject, (actor or one.by.actor)[:LONGEST_ACTOR], one.by)
    row |= {"detail": masked_text(one.detail, 4 * LONGEST)}
    return {**row, "before": _json(before), "after": _json(after)}


def _row(action: str, subject: str, actor: str, by: Acting) -> dict[str, object]:
    row = {"at": clock.now(), "actor": actor, "action": action}
    subject = masked_text(subject)[:120]
    return {**row, "subject": subject, "address": "" if actor == ENGINE else by.address}


def _json(fields: Mapping[str, object] | None) -> str | None:
    return None if fields is None else to_json(masked(fields))


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
    return cut(rows, limit, _entry)


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=clock.iso(row.at),
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
        address=row.address,
        before=_fields(row.before),
        after=_fields(row.after),
        times=row.times,
    )


def _fields(stored: str | None) -> dict[str, Any] | None:
    return None if stored is None else msgspec.json.decode(stored, type=dict[str, Any])
