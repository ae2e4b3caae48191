"""The audit log as a hash chain: each entry's hash covers the entry and the hash before it.

Entries are written without a place in the chain, so that nobody who changes something waits for
another; `seal` gives them theirs, one sealer at a time (decision 17). A chain whose ends were
tampered with, or that does not lead over what this machine saw last, is sealed no further.
"""

import hashlib
import json
from typing import Any, Final

import structlog
from msgspec import Struct
from sqlalchemy import delete, func, select, update

from ums import clock
from ums.core.audit import audit_ends, audit_log, audit_witness
from ums.core.audit.audit_ends import ACCEPTED, ANCHOR, HEAD, Place
from ums.core.audit.audit_witness import Problem, Witness
from ums.core.common.encryption import SecretBox
from ums.core.context.app_context import AppContext
from ums.core.tables import audit
from ums.db import Statement, Tx, rows_json
from ums.errors import Conflict

log = structlog.get_logger()
LOCK: Final = 7_726_193_345
SLICE: Final = 1_000  # entries in one transaction
_HIGHEST: Final = 2**53  # places above this were written by nobody but a forger
FIELDS: Final = (
    "id",
    "at",
    "actor",
    "action",
    "subject",
    "detail",
    "address",
    "before",
    "after",
    "times",
)
_SEAL = Statement(
    "UPDATE audit SET seq = r.seq, hash = r.hash FROM $rows(r: id bigint, seq bigint, hash text)"
    " WHERE audit.id = r.id AND audit.seq IS NULL"
)


def hash_of(row: Any, before: Place) -> str:
    """SHA-256 of the JSON array of the place, the hash before, and the fields of the entry."""
    told = [before.seq + 1, before.hash, *[getattr(row, name) for name in FIELDS]]
    # SQLite takes any type into any column, from whoever writes to it.
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


async def seal(system: AppContext) -> int:
    """Give all entries that have none their place in the chain; how many there were. A chain that
    is broken is left as it is found, with its entries unsealed."""
    seen = await audit_witness.read(system.settings)
    count = 0
    while True:
        part = await _seal_some(system, seen)
        system.shared(_Alarm).raise_for(part.problem, "sealing")
        if part.problem:
            await _note_problem(system, seen, part.problem)
            return count
        count += part.count
        if part.count < SLICE:
            break
    if seen is None or seen.problem or Place(seen.seq, seen.hash) != part.head:
        await audit_witness.write(system.settings, part.head.seq, part.head.hash)
    return count


async def _note_problem(system: AppContext, seen: Witness | None, problem: Problem) -> None:
    """Keep in the data folder that the chain was found broken: nothing that is done to the database
    afterwards takes it back."""
    if seen is None or not seen.problem:
        at = Place() if seen is None else Place(seen.seq, seen.hash)
        await audit_witness.write(system.settings, at.seq, at.hash, problem)


class _Sealed(Struct, frozen=True):
    """What one transaction has sealed, and with what the chain ends now."""

    count: int
    head: Place
    problem: Problem


class _Alarm:
    """Logs a broken chain when the break is found, and not every time it is looked at."""

    def __init__(self, _: object) -> None:
        self._told: dict[str, Problem] = {}

    def raise_for(self, problem: Problem, halted: str) -> None:
        """`halted` is what does not go on: "sealing" or "removal" of old entries."""
        if problem and problem != self._told.get(halted):
            text = "the audit log is broken: run `ums audit verify`"
            log.error(text, problem=problem, halted=halted)
        self._told[halted] = problem


async def _seal_some(system: AppContext, seen: Witness | None) -> _Sealed:
    query = select(audit).where(audit.c.seq.is_(None)).order_by(audit.c.id).limit(SLICE)
    async with system.database.read() as tx:
        problem, head = await audit_ends.check(tx, system.seal, seen), await audit_ends.last(tx)
        if problem or not await tx.first(query):
            return _Sealed(0, head, problem)
    async with system.database.write() as tx:
        await tx.exclude(LOCK)
        problem, at = await audit_ends.check(tx, system.seal, seen), await audit_ends.last(tx)
        if problem:
            return _Sealed(0, at, problem)
        rows = await tx.rows(query)
        places: list[tuple[object, ...]] = []
        for row in rows:
            at = Place(at.seq + 1, hash_of(row, at))
            places.append((row.id, at.seq, at.hash))
        if places:
            await tx.run(_SEAL, {"r": rows_json(places)})
            await audit_ends.keep(tx, system.seal, HEAD, at)
    return _Sealed(len(rows), at, "")


async def accept_older(system: AppContext) -> None:
    """Go on with the log of a restored backup. A log that was tampered with stays broken."""
    seen = await audit_witness.read(system.settings)
    async with system.database.read() as tx:
        problem = await audit_ends.check(tx, system.seal, seen)
    if problem.startswith("witness"):
        await accept(system)


async def accept(system: AppContext) -> Place:
    """Go on with a broken log as it is, from the place that is returned. Where its end was forged,
    what stands in the log is sealed anew, as it is found.

    Raises Conflict where nothing is broken.
    """
    seen = await audit_witness.read(system.settings)
    async with system.database.write() as tx:
        await tx.exclude(LOCK)
        problem = await audit_ends.check(tx, system.seal, seen)
        if not problem:
            raise Conflict("audit_unbroken")
        at = await audit_ends.last(tx)
        if problem == "forged":
            at = await _restart(tx, system.seal, seen)
        # All that was seen up to this moment counts as accepted, on other machines too.
        now = max(clock.now(), seen.at if seen else 0)  # the clock may have been ahead
        await audit_ends.keep(tx, system.seal, ACCEPTED, Place(now, at.hash))
        before = {"seq": seen.seq if seen else 0, "hash": seen.hash if seen else ""}
        after = {"seq": at.seq, "hash": at.hash}
        await audit_log.note(tx, "audit.accept_break", problem, before=before, after=after)
    await seal(system)
    return at


async def _restart(tx: Tx, seal: SecretBox, seen: Witness | None) -> Place:
    """Begin a new chain after the highest place that anything speaks of, for all entries."""
    likely = select(func.max(audit.c.seq)).where(audit.c.seq <= _HIGHEST)
    at = Place(max(await tx.value(likely) or 0, seen.seq if seen else 0, 0))
    await tx.run(update(audit).where(audit.c.seq.is_not(None)).values(seq=None, hash=None))
    for name in (HEAD, ANCHOR):
        await audit_ends.keep(tx, seal, name, at)
    return at


async def remove_old(system: AppContext, before: int, most: int) -> None:
    """Remove the oldest entries, from before a moment, and remember what the rest goes on from.
    Entries that are not as they were sealed are kept, with all that follow: they are evidence."""
    await seal(system)
    seen = await audit_witness.read(system.settings)
    if not await _is_due(system, seen, before):
        return
    for start in range(0, most, SLICE):
        limit = min(SLICE, most - start)
        async with system.database.write() as tx:
            await tx.exclude(LOCK)
            if await audit_ends.check(tx, system.seal, seen):
                return
            removed, problem = await _remove_some(tx, system.seal, before, limit)
        system.shared(_Alarm).raise_for(problem, "removal")
        if removed < limit:
            return


async def _is_due(system: AppContext, seen: Witness | None, before: int) -> bool:
    """Whether the first entry is old enough, or not as it was written: a look that locks nothing,
    as mostly nothing is to go."""
    async with system.database.read() as tx:
        if await audit_ends.check(tx, system.seal, seen):
            return False
        began = await audit_ends.first(tx)
        query = select(audit.c.at).where(audit.c.seq > began.seq).order_by(audit.c.seq)
        at = await tx.value(query.limit(1))
    return at is not None and (not isinstance(at, int) or at < before)


async def _remove_some(tx: Tx, seal: SecretBox, before: int, limit: int) -> tuple[int, Problem]:
    """How many of the first `limit` entries were old enough, and went; and what keeps the rest."""
    at = began = await audit_ends.first(tx)
    head = await audit_ends.last(tx)
    query = select(audit).where(audit.c.seq > began.seq, audit.c.seq <= head.seq)
    for row in await tx.rows(query.order_by(audit.c.seq).limit(limit)):
        if row.seq != at.seq + 1 or hash_of(row, at) != row.hash:
            return 0, "changed"
        if row.at >= before:
            break
        at = Place(row.seq, row.hash)
    if at.seq > began.seq:
        await tx.run(delete(audit).where(audit.c.seq <= at.seq))
        await audit_ends.keep(tx, seal, ANCHOR, at)
        told = {
            "first": began.seq + 1,
            "last": at.seq,
            "hash": at.hash,
            "before": clock.iso(before),
        }
        subject = f"{began.seq + 1} - {at.seq}"
        await audit_log.note(tx, "audit.delete", subject, before=told, actor=audit_log.ENGINE)
    return at.seq - began.seq, ""
