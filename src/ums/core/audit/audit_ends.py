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
from ums.db import Tx, to_json

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
    kept = {name: await read(tx, name) for name in (HEAD, ANCHOR, ACCEPTED)}
    if not all(_is_ours(seal, name, one) for name, one in kept.items()):
        return "forged"
    if kept[HEAD] is None and any(kept.values()):  # only a chain with an end has the others
        return "forged"
    head, began = _place_of(kept[HEAD]), _place_of(kept[ANCHOR])
    if await _are_beyond(tx, began, head):
        return "forged"
    if seen is None or _accepts(kept[ACCEPTED], seen):
        return ""
    if seen.problem:  # was found before, and whoever mended it again may have used the time
        return seen.problem
    if seen.seq > head.seq:
        return "forged" if kept[HEAD] is None else "witness_missing"
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


async def is_accepted(tx: Tx, seal: SecretBox, seen: Witness) -> bool:
    """Whether somebody has accepted the log as it is since this machine saw that place."""
    kept = await read(tx, ACCEPTED)
    return _is_ours(seal, ACCEPTED, kept) and _accepts(kept, seen)


def _accepts(kept: _Kept | None, seen: Witness) -> bool:
    return kept is not None and seen.at <= kept.seq


async def is_retention(tx: Tx, seal: SecretBox, keep_ms: int) -> bool:
    """Whether it was UMS that set for how long entries are kept."""
    kept = await read(tx, HEAD)
    return kept is not None and kept.keep_ms == keep_ms and _is_ours(seal, HEAD, kept)


async def set_retention(tx: Tx, seal: SecretBox, keep_ms: int) -> None:
    """Keep with the head for how long entries are kept: an older head that is put back to have
    others is found as any other. A head that is not ours stays as it is. Call it under `LOCK`."""
    kept = await read(tx, HEAD)
    if _is_ours(seal, HEAD, kept):
        await _put(tx, seal, HEAD, _place_of(kept), keep_ms)


async def last(tx: Tx) -> Place:
    """What the chain goes on from: its end as it was kept, also where entries are missing now."""
    return _place_of(await read(tx, HEAD))


async def first(tx: Tx) -> Place:
    """What the chain begins after: the last entry that was removed as too old."""
    return _place_of(await read(tx, ANCHOR))


def _place_of(kept: _Kept | None) -> Place:
    return Place() if kept is None else Place(kept.seq, kept.hash)


async def read(tx: Tx, name: str) -> _Kept | None:
    """What is kept under `name`, whoever wrote it."""
    text = await metadata.value(tx, name)
    try:
        return None if text is None else msgspec.json.decode(text, type=_Kept)
    except msgspec.DecodeError:
        return _Kept(0, "", "")


def _is_ours(seal: SecretBox, name: str, kept: _Kept | None) -> bool:
    """Whether nothing is kept, or what is was written by somebody with our key."""
    if kept is None:
        return True
    code = _code(seal, name, _place_of(kept), kept.keep_ms)
    return hmac.compare_digest(kept.code.encode("utf-8", "replace"), code.encode())


async def keep(tx: Tx, seal: SecretBox, name: str, at: Place) -> None:
    """Keep a place under `name`, with our code."""
    before = await read(tx, name)
    await _put(tx, seal, name, at, before.keep_ms if before is not None else 0)


async def _put(tx: Tx, seal: SecretBox, name: str, at: Place, keep_ms: int) -> None:
    kept = _Kept(at.seq, at.hash, _code(seal, name, at, keep_ms), keep_ms)
    await metadata.put(tx, name, to_json(kept))


def _code(seal: SecretBox, name: str, at: Place, keep_ms: int) -> str:
    told = f"{name} {at.seq} {at.hash} {keep_ms}".encode()
    return hmac.digest(seal.derive("audit chain"), told, "sha256").hex()
