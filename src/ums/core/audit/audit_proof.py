"""Proving the audit log: walking its chain, and checkpoints that others can keep and verify."""

import base64
import json
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct
from sqlalchemy import func, select

from ums import clock
from ums.core.audit import audit_chain, audit_ends, audit_log, audit_witness
from ums.core.audit.audit_chain import SLICE, hash_of
from ums.core.audit.audit_ends import Place
from ums.core.audit.audit_witness import Problem, Witness
from ums.core.common import metadata
from ums.core.common.encryption import SecretBox
from ums.core.context.app_context import AppContext
from ums.core.tables import audit as rows
from ums.db import Tx, to_json
from ums.errors import Conflict, Invalid

VERIFIED: Final = "audit_verified"
CHECKPOINT: Final = "audit_checkpoint"
FORMAT: Final = "ums-audit-checkpoint-1"
_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Checkpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """What the audit log was at a moment, signed (Ed25519)."""

    format: str
    seq: Annotated[int, Meta(ge=0, le=2**63 - 1)]  # of the last entry
    hash: _Hash  # of the last entry
    entries: Annotated[int, Meta(ge=0, le=2**63 - 1)]  # that were kept
    at: Annotated[str, Meta(max_length=40)]
    public_key: Annotated[str, Meta(max_length=100)]  # base64
    signature: Annotated[str, Meta(max_length=200)]  # base64


class Proof(Struct, frozen=True):
    """What walking the chain has found."""

    ok: bool
    at: str
    entries: int  # that were walked
    seq: int  # of the last good entry
    problem: Problem
    first_bad_seq: int | None  # the place of the first bad entry


class ChainState(Struct, frozen=True):
    """What is known of the chain without walking it."""

    entries: int  # sealed and kept
    unsealed: int  # written a moment ago
    seq: int
    hash: str
    begins_after: int  # where old entries were removed
    public_key: str  # base64, Ed25519
    problem: Problem  # what keeps entries from being sealed; "" where nothing does
    verified: Proof | None
    checkpoint: Checkpoint | None


async def show(system: AppContext) -> ChainState:
    """The state of the chain."""
    seen = await audit_witness.read(system.settings)
    unsealed = select(func.count()).where(rows.c.seq.is_(None))  # few, by their own index
    async with system.database.read() as tx:
        waiting = int(await tx.value(unsealed))
        head, began = await audit_ends.last(tx), await audit_ends.first(tx)
        problem = await audit_ends.check(tx, system.seal, seen)
        verified = await metadata.value(tx, VERIFIED)
        kept = await _stored(tx, system.seal)
    return ChainState(
        entries=_between(began, head),
        unsealed=waiting,
        seq=head.seq,
        hash=head.hash,
        begins_after=began.seq,
        public_key=_public(system.seal),
        problem=problem or ("forged" if kept == "forged" else ""),
        verified=_proof(verified),
        checkpoint=kept if isinstance(kept, Checkpoint) else None,
    )


def _between(began: Place, head: Place) -> int:
    """How many entries the chain has: places have no gaps, so that nothing needs to be counted."""
    return max(0, head.seq - began.seq)


async def checkpoint(system: AppContext) -> Checkpoint:
    """Seal what there is, and sign where the chain ends. Raises Conflict where it is broken."""
    await audit_chain.seal(system)
    seen = await audit_witness.read(system.settings)
    async with system.database.write() as tx:
        if await audit_ends.check(tx, system.seal, seen):
            raise Conflict("audit_broken")
        head = await audit_ends.last(tx)
        entries = _between(await audit_ends.first(tx), head)
        told = Checkpoint(
            FORMAT, head.seq, head.hash, entries, clock.iso(clock.now()), _public(system.seal), ""
        )
        made = msgspec.structs.replace(told, signature=_signed(system.seal, told))
        await metadata.put(tx, CHECKPOINT, to_json(made))
        await audit_log.note(tx, "audit.checkpoint", str(head.seq), after={"hash": head.hash})
    return made


async def verify(system: AppContext, given: Checkpoint | None = None) -> Proof:
    """Walk the whole chain, and compare it with the last checkpoint and the one that is given.

    Raises Invalid for a checkpoint that this installation has not signed.
    """
    if given is not None:
        _check(system.seal, given)
    await audit_chain.seal(system)
    walk = _Walk(system, given)
    while not (proof := await walk.run()).ok and await walk.is_outrun():
        walk = _Walk(system, given)
    async with system.database.write() as tx:
        await metadata.put(tx, VERIFIED, to_json(proof))
        result = "sound" if proof.ok else proof.problem
        await audit_log.note(tx, "audit.verify", str(proof.seq), result)
    return proof


_MISSING: Final[dict[str, Problem]] = {
    "witness": "witness_missing",
    "checkpoint": "checkpoint_missing",
}
_DIFFERS: Final[dict[str, Problem]] = {
    "witness": "witness_differs",
    "checkpoint": "checkpoint_differs",
}


async def _stored(tx: Tx, seal: SecretBox) -> Checkpoint | Literal["forged"] | None:
    """The last checkpoint, if it is ours."""
    text = await metadata.value(tx, CHECKPOINT)
    try:
        found = None if text is None else read_checkpoint(text)
        if found is not None:
            _check(seal, found)
    except Invalid:
        return "forged"
    return found


def _proof(text: str | None) -> Proof | None:
    """What was found last; None for what UMS has not written."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Proof)
    except msgspec.DecodeError:
        return None


class _Mark(Struct, frozen=True):
    """A place that the chain must lead over."""

    seq: int
    hash: str
    kind: Literal["witness", "checkpoint"]


class _Walk:
    """One walk along the chain, in slices."""

    def __init__(self, system: AppContext, given: Checkpoint | None) -> None:
        self._system, self._given = system, given
        self._entries = 0
        self._at = self._began = Place()
        self._seen: dict[int, str] = {}  # the hashes that marks ask for
        self._marks: list[_Mark] = []

    async def run(self) -> Proof:
        witness = await audit_witness.read(self._system.settings)
        async with self._system.database.read() as tx:
            self._at = self._began = began = await audit_ends.first(tx)
            problem = await audit_ends.check(tx, self._system.seal, witness)
            if witness and await audit_ends.is_accepted(tx, self._system.seal, witness):
                witness = None
            stored = await _stored(tx, self._system.seal)
            end = await audit_ends.last(tx)
        if problem == "forged" or stored == "forged":
            return self._told("forged", began.seq + 1)
        if self._given is not None and self._given.seq < began.seq:
            return self._told("checkpoint_removed", self._given.seq)
        self._mark(began, witness, stored)
        while (found := await self._slice(end)) is None:
            pass
        found = found if found.problem else self._compared(end)
        # What was found before is said, though it may have been mended since.
        return found if found.problem else self._told(problem, end.seq + 1 if problem else None)

    async def is_outrun(self) -> bool:
        """Whether old entries were removed meanwhile: then nothing that was found is proved."""
        async with self._system.database.read() as tx:
            return await audit_ends.first(tx) != self._began

    def _mark(self, began: Place, witness: Witness | None, stored: Checkpoint | None) -> None:
        """Note which places are to be compared on the way."""
        marks = [_Mark(one.seq, one.hash, "checkpoint") for one in (stored, self._given) if one]
        if witness is not None:
            marks.insert(0, _Mark(witness.seq, witness.hash, "witness"))
        self._marks = [mark for mark in marks if mark.seq >= began.seq]
        self._seen[began.seq] = began.hash

    async def _slice(self, end: Place) -> Proof | None:
        """None while there is more."""
        query = select(rows).where(rows.c.seq > self._at.seq, rows.c.seq <= end.seq)
        async with self._system.database.read() as tx:
            part = await tx.rows(query.order_by(rows.c.seq).limit(SLICE))
        for row in part:
            if row.seq != self._at.seq + 1:
                return self._told("missing", self._at.seq + 1)
            if hash_of(row, self._at) != row.hash:
                return self._told("changed", row.seq)
            self._at = Place(row.seq, row.hash)
            self._entries += 1
            if any(mark.seq == row.seq for mark in self._marks):
                self._seen[row.seq] = row.hash
        return self._told("") if len(part) < SLICE else None

    def _compared(self, end: Place) -> Proof:
        if self._at.seq < end.seq:
            return self._told("cut", self._at.seq + 1)
        if self._at.hash != end.hash:
            return self._told("changed", end.seq)
        for mark in self._marks:
            if mark.seq > self._at.seq:
                return self._told(_MISSING[mark.kind], self._at.seq + 1)
            if self._seen.get(mark.seq) != mark.hash:
                return self._told(_DIFFERS[mark.kind], mark.seq)
        return self._told("")

    def _told(self, problem: Problem, first_bad_seq: int | None = None) -> Proof:
        at = clock.iso(clock.now())
        return Proof(not problem, at, self._entries, self._at.seq, problem, first_bad_seq)


def read_checkpoint(text: bytes | str) -> Checkpoint:
    """Raises Invalid for what is none."""
    try:
        return msgspec.json.decode(text, type=Checkpoint)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Invalid("checkpoint_bad") from None


def _check(seal: SecretBox, given: Checkpoint) -> None:
    if given.format != FORMAT or given.public_key != _public(seal):
        raise Invalid("checkpoint_foreign")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(given.public_key))
        key.verify(base64.b64decode(given.signature, validate=True), _bytes(given))
    except (InvalidSignature, ValueError):
        raise Invalid("checkpoint_foreign") from None


def _signed(seal: SecretBox, told: Checkpoint) -> str:
    return base64.b64encode(_key(seal).sign(_bytes(told))).decode()


def _public(seal: SecretBox) -> str:
    return base64.b64encode(_key(seal).public_key().public_bytes_raw()).decode()


def _key(seal: SecretBox) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seal.derive("audit checkpoint"))


def _bytes(told: Checkpoint) -> bytes:
    """What is signed: the JSON array of all fields but the signature, in their order."""
    fields: list[Any] = [getattr(told, name) for name in Checkpoint.__struct_fields__[:-1]]
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()
