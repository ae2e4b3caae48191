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
from ums.core.audit.audit_ends import ACCEPTED, ANCHOR, HEAD, Place, Problem
from ums.core.audit.audit_witness import Witness
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
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def seal(system: AppContext) -> int:
    """Give all entries that have none their place in the chain; how many there were. A chain that
    is broken is left as it is found, with its entries unsealed."""
    seen = await audit_witness.read(system.settings)
    count = 0
    while True:
        part = await _seal_some(system, seen)
        system.shared(_Alarm).raise_for(part.problem)
        if part.problem:
            return count
        count += part.count
        if part.count < SLICE:
            break
    if seen is None or Place(seen.seq, seen.hash) != part.head:
        await audit_witness.write(system.settings, part.head.seq, part.head.hash)
    return count


class _Sealed(Struct, frozen=True):
    """What one transaction has sealed, and with what the chain ends now."""

    count: int
    head: Place
    problem: Problem


class _Alarm:
    """Logs a broken chain when the break is found, and not every time it is looked at."""

    def __init__(self, _: object) -> None:
        self._told = ""

    def raise_for(self, problem: Problem) -> None:
        if problem and problem != self._told:
            log.error(
                "the audit log is broken and is not sealed any more: run `ums audit verify`",
                problem=problem,
            )
        self._told = problem


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
    """Go on with a broken log as it is, from the place that is returned. What stands in the log up
    to there is not proven from then on where its end was forged.

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
        await audit_ends.keep(tx, system.seal, ACCEPTED, Place(clock.now(), at.hash))
        before = None if seen is None else {"seq": seen.seq, "hash": seen.hash}
        after = {"seq": at.seq, "hash": at.hash}
        await audit_log.note(tx, "audit.accept", problem, before=before, after=after)
    await seal(system)
    return at


async def _restart(tx: Tx, seal: SecretBox, seen: Witness | None) -> Place:
    """Begin a new chain after the highest place that anything speaks of."""
    await tx.run(update(audit).where(audit.c.seq > _HIGHEST).values(seq=None, hash=None))
    row = await tx.first(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1))
    at = Place() if row is None or row.seq is None else Place(row.seq, str(row.hash)[:64])
    if seen is not None and seen.seq > at.seq:
        at = Place(seen.seq, seen.hash)
    for name in (HEAD, ANCHOR):
        await audit_ends.keep(tx, seal, name, at)
    return at


async def forget(system: AppContext, before: int, most: int) -> None:
    """Remove the oldest entries, from before a moment, and remember what the rest goes on from."""
    await seal(system)
    seen = await audit_witness.read(system.settings)
    async with system.database.write() as tx:
        await tx.exclude(LOCK)
        if await audit_ends.check(tx, system.seal, seen):
            return  # a broken log is evidence
        began = await audit_ends.first(tx)
        kept = func.min(audit.c.seq)
        still = await tx.value(select(kept).where(audit.c.at >= before))
        end = (await audit_ends.last(tx)).seq if still is None else int(still) - 1
        end = min(end, began.seq + most)
        row = await tx.first(select(audit.c.seq, audit.c.hash).where(audit.c.seq == end))
        if row is not None:
            await tx.run(delete(audit).where(audit.c.seq <= end))
            await audit_ends.keep(tx, system.seal, ANCHOR, Place(row.seq, row.hash))
