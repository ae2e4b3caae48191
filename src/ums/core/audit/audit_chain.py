"""The audit log as a hash chain: each entry's hash covers the entry and the hash before it.

Entries are written without a place in the chain, so that nobody who changes something waits for
another; `seal` gives them theirs, one sealer at a time (decision 17). What the chain ends with,
and what it began with where old entries were removed, is kept in `meta` with a code that only the
sealing key makes.
"""

import hashlib
import hmac
import json
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, select

from ums.core.common import metadata
from ums.core.common.encryption import SecretBox
from ums.core.context.app_context import AppContext
from ums.core.tables import audit
from ums.db import Statement, Tx, rows_json

LOCK: Final = 7_726_193_345
SLICE: Final = 1_000  # entries in one transaction
HEAD: Final = "audit_head"
ANCHOR: Final = "audit_anchor"
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


class Place(Struct, frozen=True):
    """A place in the chain."""

    seq: int = 0
    hash: str = "0" * 64


class _Kept(Struct, frozen=True):
    seq: int
    hash: str
    code: str


def hash_of(row: Any, before: Place) -> str:
    """SHA-256 of the JSON array of the place, the hash before, and the fields of the entry."""
    told = [before.seq + 1, before.hash, *[getattr(row, name) for name in FIELDS]]
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def seal(system: AppContext) -> int:
    """Give all entries that have none their place in the chain; how many there were."""
    count = 0
    while True:
        done = await _seal_some(system)
        count += done
        if done < SLICE:
            return count


async def _seal_some(system: AppContext) -> int:
    query = select(audit).where(audit.c.seq.is_(None)).order_by(audit.c.id).limit(SLICE)
    async with system.database.read() as tx:
        if not await tx.first(query):
            return 0
    async with system.database.write() as tx:
        await tx.exclude(LOCK)
        at = await last(tx)
        rows = await tx.rows(query)
        places: list[tuple[object, ...]] = []
        for row in rows:
            at = Place(at.seq + 1, hash_of(row, at))
            places.append((row.id, at.seq, at.hash))
        if places:
            await tx.run(_SEAL, {"r": rows_json(places)})
            await _keep(tx, system.seal, HEAD, at)
    return len(rows)


async def last(tx: Tx) -> Place:
    """What the chain goes on from: its end as it was kept, also where entries are missing now."""
    kept = await read(tx, HEAD)
    return Place() if kept is None else Place(kept.seq, kept.hash)


async def first(tx: Tx) -> Place:
    """What the chain begins after: the last entry that was removed as too old."""
    kept = await read(tx, ANCHOR)
    return Place() if kept is None else Place(kept.seq, kept.hash)


async def read(tx: Tx, name: str) -> _Kept | None:
    text = await metadata.value(tx, name)
    try:
        return None if text is None else msgspec.json.decode(text, type=_Kept)
    except msgspec.DecodeError:
        return _Kept(0, "", "")


async def is_ours(tx: Tx, seal: SecretBox, name: str) -> bool:
    """Whether what is kept under `name` was written by somebody with our key."""
    kept = await read(tx, name)
    if kept is None:
        return True
    return hmac.compare_digest(kept.code, _code(seal, name, Place(kept.seq, kept.hash)))


async def _keep(tx: Tx, seal: SecretBox, name: str, at: Place) -> None:
    kept = _Kept(at.seq, at.hash, _code(seal, name, at))
    await metadata.put(tx, name, msgspec.json.encode(kept).decode())


def _code(seal: SecretBox, name: str, at: Place) -> str:
    told = f"{name} {at.seq} {at.hash}".encode()
    return hmac.digest(seal.derive("audit chain"), told, "sha256").hex()


async def forget(system: AppContext, before: int, most: int) -> None:
    """Remove the oldest entries, from before a moment, and remember what the rest goes on from."""
    await seal(system)
    async with system.database.write() as tx:
        await tx.exclude(LOCK)
        began = await first(tx)
        kept = func.min(audit.c.seq)
        still = await tx.value(select(kept).where(audit.c.at >= before))
        end = (await last(tx)).seq if still is None else int(still) - 1
        end = min(end, began.seq + most)
        row = await tx.first(select(audit.c.seq, audit.c.hash).where(audit.c.seq == end))
        if row is not None:
            await tx.run(delete(audit).where(audit.c.seq <= end))
            await _keep(tx, system.seal, ANCHOR, Place(row.seq, row.hash))
