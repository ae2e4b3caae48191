"""The kept ends of the audit log's chain: where it ends, where it begins, and what somebody has
accepted. Each is kept in `meta` with a code that only the sealing key makes."""

import hmac
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import func, select

from ums.core.audit.audit_witness import Problem, Witness
from ums.core.common import metadata
from ums.core.common.encryption import SecretBox
from ums.core.tables import audit
from ums.db import Tx

HEAD: Final = "audit_head"
ANCHOR: Final = "audit_anchor"
ACCEPTED: Final = "audit_accepted"  # its `seq` is a time in milliseconds


class Place(Struct, frozen=True):
    """A place in the chain."""

    seq: int = 0
    hash: str = "0" * 64


class _Kept(Struct, frozen=True):
    seq: int
    hash: str
    code: str
    keep_ms: int = 0  # of the head: for how long entries are kept; 0 is for ever


async def check(tx: Tx, seal: SecretBox, seen: Witness | None) -> Problem:
    """What is wrong with the kept end and beginning of the chain, or with what this machine saw
    last; "" where nothing is. The entries between are not looked at.

    "forged": kept without our key, or removed. "witness_missing" and "witness_differs": the chain
    does not lead over the place that this machine saw. A problem that was found stays until
    somebody accepts it.
    """
    if not await _are_ours(tx, seal) or (await read(tx, HEAD) is None and await _was_begun(tx)):
        return "forged"
    head, began = await last(tx), await first(tx)
    if await _are_beyond(tx, began, head):
        return "forged"
    if seen is None or await is_accepted(tx, seal, seen):
        return ""
    if seen.problem:  # was found before, and whoever mended it again may have used the time
        return seen.problem
    if seen.seq > head.seq:
        return "forged" if await read(tx, HEAD) is None else "witness_missing"
    if seen.seq < began.seq:  # old entries were removed since
        return ""
    if seen.seq == began.seq:
        found = began.hash
    else:
        found = await tx.value(select(audit.c.hash).where(audit.c.seq == seen.seq))
    return "" if found == seen.hash else "witness_differs"


async def _are_beyond(tx: Tx, began: Place, head: Place) -> bool:
    """Whether any entry claims a place before the chain begins or after it ends."""
    ends = select(func.min(audit.c.seq), func.max(audit.c.seq))
    lowest, highest = (await tx.rows(ends))[0]
    if lowest is None:
        return False
    # SQLite takes any type into any column, and sorts texts behind numbers.
    sound = isinstance(lowest, int) and isinstance(highest, int)
    return not sound or lowest <= began.seq or highest > head.seq


async def _was_begun(tx: Tx) -> bool:
    """Whether there is anything that only a chain with an end can have."""
    if await read(tx, ANCHOR) is not None or await read(tx, ACCEPTED) is not None:
        return True
    return await tx.first(select(audit.c.id).where(audit.c.seq >= 0).limit(1)) is not None


async def is_accepted(tx: Tx, seal: SecretBox, seen: Witness) -> bool:
    """Whether somebody has accepted the log as it is since this machine saw that place."""
    kept = await read(tx, ACCEPTED)
    return kept is not None and await _is_ours(tx, seal, ACCEPTED) and seen.at <= kept.seq


async def is_retention(tx: Tx, seal: SecretBox, keep_ms: int) -> bool:
    """Whether it was UMS that set for how long entries are kept."""
    kept = await read(tx, HEAD)
    return kept is not None and kept.keep_ms == keep_ms and await _is_ours(tx, seal, HEAD)


async def set_retention(tx: Tx, seal: SecretBox, keep_ms: int) -> None:
    """Keep with the head for how long entries are kept: an older head that is put back to have
    others is found as any other. A head that is not ours stays as it is. Call it under `LOCK`."""
    if await _is_ours(tx, seal, HEAD):
        await _put(tx, seal, HEAD, await last(tx), keep_ms)


async def last(tx: Tx) -> Place:
    """What the chain goes on from: its end as it was kept, also where entries are missing now."""
    kept = await read(tx, HEAD)
    return Place() if kept is None else Place(kept.seq, kept.hash)


async def first(tx: Tx) -> Place:
    """What the chain begins after: the last entry that was removed as too old."""
    kept = await read(tx, ANCHOR)
    return Place() if kept is None else Place(kept.seq, kept.hash)


async def read(tx: Tx, name: str) -> _Kept | None:
    """What is kept under `name`, whoever wrote it."""
    text = await metadata.value(tx, name)
    try:
        return None if text is None else msgspec.json.decode(text, type=_Kept)
    except msgspec.DecodeError:
        return _Kept(0, "", "")


async def _are_ours(tx: Tx, seal: SecretBox) -> bool:
    """Whether all that is kept of the chain was written by somebody with our key."""
    return all([await _is_ours(tx, seal, name) for name in (HEAD, ANCHOR, ACCEPTED)])


async def _is_ours(tx: Tx, seal: SecretBox, name: str) -> bool:
    kept = await read(tx, name)
    if kept is None:
        return True
    code = _code(seal, name, Place(kept.seq, kept.hash), kept.keep_ms)
    return hmac.compare_digest(kept.code.encode("utf-8", "replace"), code.encode())


async def keep(tx: Tx, seal: SecretBox, name: str, at: Place) -> None:
    """Keep a place under `name`, with our code."""
    before = await read(tx, name)
    await _put(tx, seal, name, at, before.keep_ms if before is not None else 0)


async def _put(tx: Tx, seal: SecretBox, name: str, at: Place, keep_ms: int) -> None:
    kept = _Kept(at.seq, at.hash, _code(seal, name, at, keep_ms), keep_ms)
    await metadata.put(tx, name, msgspec.json.encode(kept).decode())


def _code(seal: SecretBox, name: str, at: Place, keep_ms: int) -> str:
    told = f"{name} {at.seq} {at.hash} {keep_ms}".encode()
    return hmac.digest(seal.derive("audit chain"), told, "sha256").hex()
