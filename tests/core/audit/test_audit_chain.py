"""The hash chain of the audit log: tampering by SQL shows, wherever it is."""

import base64
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import structs
from sqlalchemy import delete, insert, select, update

from ums.core.audit import audit_chain, audit_log, audit_proof
from ums.core.audit.audit_ends import HEAD, Place
from ums.core.audit.audit_proof import CHECKPOINT, VERIFIED
from ums.core.audit.audit_witness import FILE
from ums.core.common import metadata
from ums.core.context.app_context import AppContext
from ums.core.tables import audit as rows
from ums.errors import Invalid


async def _write(system: AppContext, count: int) -> None:
    async with system.database.write() as tx:
        for number in range(count):
            await audit_log.note(
                tx, "a.thing", str(number), "你好", before={"x": 1}, after={"x": 2}
            )


async def _run(system: AppContext, statement: Any) -> None:
    async with system.database.write() as tx:
        await tx.run(statement)


async def _walked(system: AppContext) -> tuple[bool, str, int | None]:
    proof = await audit_proof.verify(system)
    return proof.ok, proof.problem, proof.first_bad_seq


async def test_a_chain_that_nobody_touched_is_sound(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (audit_chain, audit_proof):
        monkeypatch.setattr(module, "SLICE", 3)
    assert await _walked(system) == (True, "", None)
    await _write(system, 10)
    proof = await audit_proof.verify(system)
    assert (proof.ok, proof.entries, proof.seq) == (True, 11, 11)
    shown = await audit_proof.show(system)
    assert shown.verified == proof
    assert (shown.entries, shown.unsealed) == (11, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", 1),
        ("actor", "local"),
        ("action", "b"),
        ("subject", "b"),
        ("detail", ""),
        ("address", "192.0.2.1"),
        ("before", None),
        ("after", '{"x":3}'),
        ("times", 2),
        ("hash", "0" * 64),
    ],
)
async def test_a_changed_entry_is_found(system: AppContext, field: str, value: object) -> None:
    with audit_log.acting("operator:ann", "198.51.100.1"):
        await _write(system, 5)
    await audit_chain.seal(system)
    await _run(system, update(rows).where(rows.c.seq == 3).values({field: value}))
    assert await _walked(system) == (False, "changed", 3)


async def test_a_removed_entry_is_found(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _run(system, delete(rows).where(rows.c.seq == 3))
    assert await _walked(system) == (False, "missing", 3)


async def test_a_removed_beginning_is_found(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _run(system, delete(rows).where(rows.c.seq <= 2))
    assert await _walked(system) == (False, "missing", 1)


async def test_a_cut_tail_is_found_also_when_the_log_has_gone_on(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _run(system, delete(rows).where(rows.c.seq >= 4))
    await _write(system, 2)
    assert await _walked(system) == (False, "cut", 4)
    assert (await audit_proof.show(system)).unsealed == 3  # these two, and that it was verified


async def test_swapped_entries_are_found(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    for old, new in ((2, -1), (3, 2), (-1, 3)):
        await _run(system, update(rows).where(rows.c.seq == old).values(seq=new))
    assert await _walked(system) == (False, "changed", 2)


async def _forge(system: AppContext) -> None:
    """Write the chain anew after its third entry was changed, without the sealing key."""
    await _run(system, update(rows).where(rows.c.seq == 3).values(detail="forged"))
    async with system.database.write() as tx:
        at = Place()
        for row in await tx.rows(select(rows).order_by(rows.c.seq)):
            at = Place(row.seq, audit_chain.hash_of(row, at))
            await tx.run(update(rows).where(rows.c.id == row.id).values(hash=at.hash))
        head = {"seq": at.seq, "hash": at.hash, "code": "0" * 64}
        await metadata.put(tx, HEAD, json.dumps(head))


async def test_who_has_no_sealing_key_cannot_write_the_chain_anew(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _forge(system)
    assert (await _walked(system))[:2] == (False, "forged")


async def test_a_log_that_was_put_back_differs_from_its_checkpoint(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    async with system.database.read() as tx:
        head = await metadata.value(tx, HEAD)
    await _write(system, 5)
    kept = await audit_proof.checkpoint(system)
    (system.settings.data_dir / FILE).unlink()  # as for whoever reaches the data folder as well
    # All is put back to an older state that was sound, the checkpoint in the database as well.
    async with system.database.write() as tx:
        await tx.run(delete(rows).where(rows.c.id > 5))
        await metadata.put(tx, HEAD, str(head))
        await metadata.remove(tx, CHECKPOINT)
    assert (await audit_proof.verify(system)).ok
    proof = await audit_proof.verify(system, kept)
    assert (proof.ok, proof.problem) == (False, "checkpoint_missing")
    await _write(system, 10)
    assert (await audit_proof.verify(system, kept)).problem == "checkpoint_differs"


async def test_a_checkpoint_can_be_verified_by_others(system: AppContext) -> None:
    await _write(system, 3)
    kept = await audit_proof.checkpoint(system)
    assert (kept.seq, kept.entries) == (3, 3)
    fields = list(structs.asdict(kept).values())[:-1]
    signed = json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(kept.public_key))
    key.verify(base64.b64decode(kept.signature), signed)
    assert (await audit_proof.verify(system, kept)).ok
    for change in ({"seq": 2}, {"hash": "f" * 64}, {"entries": 9}, {"format": "x"}):
        with pytest.raises(Invalid):
            await audit_proof.verify(system, structs.replace(kept, **change))


async def test_the_state_tells_what_there_should_be_without_counting_it(system: AppContext) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _run(system, delete(rows).where(rows.c.seq == 2))
    await _write(system, 2)
    shown = await audit_proof.show(system)
    assert (shown.entries, shown.unsealed) == (5, 2)
    assert (await audit_proof.checkpoint(system)).entries == 7


async def test_old_entries_go_and_the_rest_stays_sound(system: AppContext) -> None:
    await _write(system, 4)
    await _run(system, update(rows).values(at=1_000))
    await _write(system, 2)
    await audit_chain.remove_old(system, 2_000, 2)
    assert (await audit_proof.show(system)).begins_after == 2
    await audit_chain.remove_old(system, 2_000, 100)
    shown = await audit_proof.show(system)
    assert (shown.begins_after, shown.entries, shown.unsealed) == (4, 3, 1)
    async with system.database.read() as tx:
        told = (await audit_log.list_audit(tx, action="audit.delete", sort="created_at")).items
    assert [(one.subject, one.actor) for one in told] == [("1 - 2", "engine"), ("3 - 4", "engine")]
    assert [(one.before or {}).get("last") for one in told] == [2, 4]
    assert await _walked(system) == (True, "", None)
    await _run(system, delete(rows).where(rows.c.seq == 5))
    assert await _walked(system) == (False, "missing", 5)


@pytest.mark.parametrize("field", ["at", "detail", "hash"])
async def test_no_entry_that_was_changed_is_removed_as_old(system: AppContext, field: str) -> None:
    """`at` alone would say of any entry that it is old."""
    await _write(system, 4)
    await _run(system, update(rows).values(at=1_000))
    await _write(system, 2)
    await audit_chain.seal(system)
    changed: dict[str, object] = {"at": 1_001, "detail": "forged", "hash": "0" * 64}
    await _run(system, update(rows).where(rows.c.seq == 3).values({field: changed[field]}))
    await audit_chain.remove_old(system, 2_000, 100)
    shown = await audit_proof.show(system)
    assert (shown.begins_after, shown.entries) == (0, 6)
    assert await _walked(system) == (False, "changed", 3)


async def test_a_checkpoint_of_removed_entries_proves_nothing_any_more(system: AppContext) -> None:
    await _write(system, 4)
    await _run(system, update(rows).values(at=1_000))
    kept = await audit_proof.checkpoint(system)
    await _write(system, 6)
    await _run(system, update(rows).where(rows.c.seq.is_(None)).values(at=1_000))
    assert (await audit_proof.verify(system, kept)).ok
    await audit_chain.remove_old(system, 2_000, 100)
    proof = await audit_proof.verify(system, kept)
    assert (proof.ok, proof.problem, proof.first_bad_seq) == (False, "checkpoint_removed", 4)
    assert await _walked(system) == (True, "", None)


@pytest.mark.parametrize("seq", [-5, 0, 7, 2**62])
async def test_an_entry_outside_the_chain_is_found(system: AppContext, seq: int) -> None:
    await _write(system, 5)
    await audit_chain.seal(system)
    await _run(
        system,
        insert(rows).values(
            seq=seq, hash="x", at=1, actor="local", action="a.thing", subject="", detail="", times=1
        ),
    )
    assert await audit_chain.seal(system) == 0
    assert (await audit_proof.verify(system)).problem == "forged"
    await audit_chain.accept(system)
    assert await _walked(system) == (True, "", None)


@pytest.mark.parametrize("name", [VERIFIED, CHECKPOINT])
@pytest.mark.parametrize("value", ["", "x", "[]", "{}", '{"seq": 1}'])
async def test_what_others_write_into_the_kept_values_is_no_defect(
    system: AppContext, name: str, value: str
) -> None:
    await _write(system, 5)
    await audit_proof.checkpoint(system)
    async with system.database.write() as tx:
        await metadata.put(tx, name, value)
    shown = await audit_proof.show(system)
    assert (shown.verified, shown.checkpoint is None) == (None, name == CHECKPOINT)
    wanted = "forged" if name == CHECKPOINT else ""
    assert (shown.problem, (await audit_proof.verify(system)).problem) == (wanted, wanted)
    await audit_proof.checkpoint(system)
    assert await _walked(system) == (True, "", None)


async def test_a_checkpoint_that_others_wrote_is_forged(system: AppContext) -> None:
    await _write(system, 5)
    kept = await audit_proof.checkpoint(system)
    other = structs.replace(kept, seq=2)
    async with system.database.write() as tx:
        await metadata.put(tx, CHECKPOINT, msgspec.json.encode(other).decode())
    assert (await audit_proof.verify(system)).problem == "forged"


async def test_a_removal_beside_the_walk_is_no_break(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: the second walk is outrun as well."""
    await _write(system, 6)
    await _run(system, update(rows).values(at=1_000))
    await audit_chain.seal(system)
    walked, read_slice = 0, audit_proof._Walk._slice  # pyright: ignore[reportPrivateUsage]

    async def removed(walk: Any, end: Any) -> Any:
        nonlocal walked
        walked += 1
        if walked <= 2:
            await audit_chain.remove_old(system, 2_000, 2)
        return await read_slice(walk, end)

    monkeypatch.setattr(audit_proof._Walk, "_slice", removed)
    assert await _walked(system) == (True, "", None)
    assert walked > 2
