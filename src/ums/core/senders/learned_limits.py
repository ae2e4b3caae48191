"""What was learnt of a sender's servers, kept for the next process: how many sessions they take,
and how fast the receivers of each domain take mail (reliability.md 4.3)."""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import delete, select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import domain_rates, senders
from ums.db import Statement, Tx, rows_json

LASTS: Final = 7 * clock.DAY  # what nothing was heard of for so long may be different by now

_KEEP = Statement(
    "INSERT INTO domain_rates (sender_id, domain, per_minute, resume_at, updated_at)"
    " SELECT CAST(:sender AS bigint), r.domain, r.per_minute, r.resume_at, CAST(:at AS bigint)"
    " FROM $rows(r: domain text, per_minute int, resume_at bigint) WHERE true"
    " ON CONFLICT (sender_id, domain) DO UPDATE SET per_minute = excluded.per_minute,"
    " resume_at = excluded.resume_at, updated_at = excluded.updated_at"
)
_DROP = Statement(
    "DELETE FROM domain_rates WHERE sender_id = :sender AND domain IN"
    " (SELECT r.domain FROM $rows(r: domain text))"
)


class DomainRate(Struct, frozen=True):
    """How fast one domain takes a sender's mail."""

    domain: str
    per_minute: int  # mails; 0: as fast as it goes
    resume_at: int  # ms; nothing before


class DomainRateInfo(Struct, frozen=True):
    """A domain that a sender writes to more slowly than it could."""

    domain: str
    per_minute: Annotated[int, Meta(description="Mails a minute, of each process.")]
    resume_at: Annotated[str | None, Meta(description="Nothing goes there before.")]


class Sessions(Struct, frozen=True):
    """How many sessions a sender's server takes."""

    count: int
    most_until: int  # ms; it takes no more before


async def load(tx: Tx, sender: int) -> tuple[Sessions | None, list[DomainRate]]:
    """All that is known of the sender's servers."""
    columns = (senders.c.session_limit, senders.c.session_limit_until)
    row = await tx.first(select(*columns).where(senders.c.id == sender))
    young = domain_rates.c.updated_at > clock.now() - LASTS
    found = await tx.rows(select(domain_rates).where(domain_rates.c.sender_id == sender, young))
    known = [DomainRate(one.domain, one.per_minute, one.resume_at) for one in found]
    if row is None or row.session_limit is None:
        return None, known
    return Sessions(row.session_limit, row.session_limit_until or 0), known


async def list_domain_rates(system: AppContext, code: str) -> list[DomainRateInfo]:
    """The domains that a sender writes to more slowly, by name. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        _, known = await load(tx, sender.id)
    now = clock.now()
    return [
        DomainRateInfo(
            one.domain, one.per_minute, clock.iso(one.resume_at) if one.resume_at > now else None
        )
        for one in sorted(known, key=lambda one: one.domain)
    ]


async def keep(
    tx: Tx, sender: int, sessions: Sessions | None, changed: Sequence[DomainRate]
) -> None:
    """Write down what changed."""
    if sessions is not None:
        values = {"session_limit": sessions.count, "session_limit_until": sessions.most_until}
        await tx.run(update(senders).where(senders.c.id == sender).values(values))
    slow = sorted((one.domain, one.per_minute, one.resume_at) for one in changed if one.per_minute)
    if slow:
        await tx.run(_KEEP, {"r": rows_json(slow), "sender": sender, "at": clock.now()})
    free = [(one.domain,) for one in changed if not one.per_minute]
    if free:
        await tx.run(_DROP, {"r": rows_json(free), "sender": sender})


async def forget(tx: Tx) -> None:
    """Drop what is too old to be true."""
    await tx.run(delete(domain_rates).where(domain_rates.c.updated_at <= clock.now() - LASTS))


async def start_anew(tx: Tx, sender: int) -> None:
    """Drop all: the sender uses another server now."""
    await tx.run(delete(domain_rates).where(domain_rates.c.sender_id == sender))
    values = {"session_limit": None, "session_limit_until": None}
    await tx.run(update(senders).where(senders.c.id == sender).values(values))
