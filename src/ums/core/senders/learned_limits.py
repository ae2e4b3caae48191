"""What was learnt of a sender's servers, kept for the next process: how many sessions they take,
and how fast the receivers of each domain take mail (reliability.md 4.3)."""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import delete, select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import paces, senders
from ums.db import Statement, Tx, rows_json

LASTS: Final = 7 * clock.DAY  # what nothing was heard of for so long may be different by now

_KEEP = Statement(
    "INSERT INTO paces (sender_id, domain, per_minute, open_at, updated_at)"
    " SELECT CAST(:sender AS bigint), r.domain, r.per_minute, r.open_at, CAST(:at AS bigint)"
    " FROM $rows(r: domain text, per_minute int, open_at bigint) WHERE true"
    " ON CONFLICT (sender_id, domain) DO UPDATE SET per_minute = excluded.per_minute,"
    " open_at = excluded.open_at, updated_at = excluded.updated_at"
)
_DROP = Statement(
    "DELETE FROM paces WHERE sender_id = :sender AND domain IN"
    " (SELECT r.domain FROM $rows(r: domain text))"
)


class DomainPace(Struct, frozen=True):
    """How fast one domain takes a sender's mail."""

    domain: str
    per_minute: int  # mails; 0: as fast as it goes
    open_at: int  # ms; nothing before


class PaceInfo(Struct, frozen=True):
    """A domain that a sender writes to more slowly than it could."""

    domain: str
    per_minute: Annotated[int, Meta(description="Mails a minute, of each process.")]
    open_at: Annotated[str | None, Meta(description="Nothing goes there before.")]


class Sessions(Struct, frozen=True):
    """How many sessions a sender's server takes."""

    count: int
    most_until: int  # ms; it takes no more before


async def load(tx: Tx, sender: int) -> tuple[Sessions | None, list[DomainPace]]:
    """All that is known of the sender's servers."""
    columns = (senders.c.sessions, senders.c.sessions_until)
    row = await tx.first(select(*columns).where(senders.c.id == sender))
    young = paces.c.updated_at > clock.now() - LASTS
    found = await tx.rows(select(paces).where(paces.c.sender_id == sender, young))
    known = [DomainPace(one.domain, one.per_minute, one.open_at) for one in found]
    if row is None or row.sessions is None:
        return None, known
    return Sessions(row.sessions, row.sessions_until or 0), known


async def list_paces(system: AppContext, code: str) -> list[PaceInfo]:
    """The domains that a sender writes to more slowly, by name. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        _, known = await load(tx, sender.id)
    now = clock.now()
    return [
        PaceInfo(one.domain, one.per_minute, clock.iso(one.open_at) if one.open_at > now else None)
        for one in sorted(known, key=lambda one: one.domain)
    ]


async def keep(
    tx: Tx, sender: int, sessions: Sessions | None, changed: Sequence[DomainPace]
) -> None:
    """Write down what changed."""
    if sessions is not None:
        values = {"sessions": sessions.count, "sessions_until": sessions.most_until}
        await tx.run(update(senders).where(senders.c.id == sender).values(values))
    slow = sorted((one.domain, one.per_minute, one.open_at) for one in changed if one.per_minute)
    if slow:
        await tx.run(_KEEP, {"r": rows_json(slow), "sender": sender, "at": clock.now()})
    free = [(one.domain,) for one in changed if not one.per_minute]
    if free:
        await tx.run(_DROP, {"r": rows_json(free), "sender": sender})


async def forget(tx: Tx) -> None:
    """Drop what is too old to be true."""
    await tx.run(delete(paces).where(paces.c.updated_at <= clock.now() - LASTS))


async def start_anew(tx: Tx, sender: int) -> None:
    """Drop all: the sender uses another server now."""
    await tx.run(delete(paces).where(paces.c.sender_id == sender))
    values = {"sessions": None, "sessions_until": None}
    await tx.run(update(senders).where(senders.c.id == sender).values(values))
