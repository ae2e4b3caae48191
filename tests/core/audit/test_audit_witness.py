"""What somebody can do to the audit log who writes to the database and has neither the sealing key
nor the data folder; and how an operator goes on afterwards."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core.audit import audit_chain, audit_ends, audit_log, audit_proof, audit_witness
from ums.core.audit.audit_ends import ACCEPTED, ANCHOR, HEAD
from ums.core.audit.audit_witness import FILE, Witness
from ums.core.common import metadata
from ums.core.common.metadata import HELD
from ums.core.context.app_context import AppContext
from ums.core.maintenance import health_checks, restore_guard
from ums.core.tables import audit as rows
from ums.core.tables import meta
from ums.db import Statement
from ums.errors import Conflict


async def _write(system: AppContext, count: int) -> None:
    async with system.database.write() as tx:
        for number in range(count):
            await audit_log.note(tx, "a.thing", str(number), before={"x": 1}, after={"x": 2})


async def _sealed(system: AppContext, count: int) -> None:
    await _write(system, count)
    assert await audit_chain.seal(system) == count


async def _run(system: AppContext, *statements: Any) -> None:
    async with system.database.write() as tx:
        for statement in statements:
            await tx.run(statement)


async def _problem(system: AppContext) -> str:
    proof = await audit_proof.verify(system)
    assert proof.ok is (proof.problem == "")
    return proof.problem


_UNSEAL = update(rows).values(seq=None, hash=None)
_FORGET = delete(meta).where(meta.c.name.like("audit%"))
_ALTER = update(rows).where(rows.c.id == 3).values(detail="forged")


@pytest.mark.parametrize(
    "attack",
    [
        [_FORGET, _ALTER, _UNSEAL],
        [_FORGET, _ALTER],
        [_FORGET, delete(rows)],
        [_FORGET, delete(rows).where(rows.c.id > 3), _UNSEAL],
    ],
    ids=["sealed anew", "head removed", "all removed", "tail removed"],
)
async def test_a_log_without_its_end_is_not_sealed_anew(
    system: AppContext, attack: Sequence[Any]
) -> None:
    await _sealed(system, 5)
    await _run(system, *attack)
    await _write(system, 1)
    assert await audit_chain.seal(system) == 0
    assert await _problem(system) == "forged"
    shown = await audit_proof.show(system)
    assert shown.problem == "forged"
    assert shown.unsealed > 0
    with pytest.raises(Conflict):
        await audit_proof.checkpoint(system)


async def test_an_end_that_was_kept_before_does_not_serve_again(system: AppContext) -> None:
    await _sealed(system, 3)
    async with system.database.read() as tx:
        older = await metadata.value(tx, HEAD)
    await _sealed(system, 3)
    again = update(meta).where(meta.c.name == HEAD).values(value=older)
    late = rows.c.seq > 3
    await _run(system, again, update(rows).where(late).values(detail="forged"), _UNSEAL.where(late))
    assert await audit_chain.seal(system) == 0
    assert await _problem(system) == "witness_missing"


async def test_a_machine_that_saw_another_log_says_so(system: AppContext) -> None:
    """As where the database was put back and went on by itself, on another machine."""
    await _sealed(system, 3)
    async with system.database.read() as tx:
        older = await metadata.value(tx, HEAD)
    await _sealed(system, 3)
    seen = (system.settings.data_dir / FILE).read_bytes()
    again = update(meta).where(meta.c.name == HEAD).values(value=older)
    await _run(system, again, delete(rows).where(rows.c.seq > 3))
    (system.settings.data_dir / FILE).unlink()
    await _sealed(system, 9)
    assert await _problem(system) == ""
    (system.settings.data_dir / FILE).write_bytes(seen)
    assert await audit_chain.seal(system) == 0
    assert await _problem(system) == "witness_differs"


@pytest.mark.parametrize("name", [HEAD, ANCHOR, ACCEPTED])
@pytest.mark.parametrize("code", ["0" * 64, "", "密码", "\ud800"])
async def test_an_end_with_another_code_is_forged(system: AppContext, name: str, code: str) -> None:
    await _sealed(system, 3)
    kept = json.dumps({"seq": 2**63, "hash": "0" * 64, "code": code})
    async with system.database.write() as tx:
        await metadata.put(tx, name, kept)
    assert await _problem(system) == "forged"


async def test_old_entries_of_a_broken_log_are_kept(system: AppContext) -> None:
    await _sealed(system, 3)
    await _run(system, update(rows).values(at=1_000), _FORGET)
    await audit_chain.remove_old(system, 2_000, 100)
    async with system.database.read() as tx:
        assert len(await tx.rows(select(rows.c.id))) == 3


async def test_a_machine_that_joins_trusts_what_it_finds(system: AppContext) -> None:
    await _sealed(system, 3)
    (system.settings.data_dir / FILE).unlink()
    await _sealed(system, 1)
    assert await _problem(system) == ""
    seen = await audit_witness.read(system.settings)
    assert seen is not None
    async with system.database.read() as tx:
        assert (seen.seq, seen.hash) == ((head := await audit_ends.last(tx)).seq, head.hash)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seq": 1}', b"\xff"])
async def test_a_damaged_file_is_written_anew(system: AppContext, content: bytes) -> None:
    await _sealed(system, 3)
    (system.settings.data_dir / FILE).write_bytes(content)
    await _sealed(system, 1)
    found = await audit_witness.read(system.settings)
    assert found is not None
    assert found.seq == 4


async def test_a_machine_follows_what_others_seal(system: AppContext) -> None:
    await _sealed(system, 3)
    seen = (system.settings.data_dir / FILE).read_bytes()
    await _sealed(system, 3)
    (system.settings.data_dir / FILE).write_bytes(seen)
    assert await audit_chain.seal(system) == 0
    found = await audit_witness.read(system.settings)
    assert found is not None
    assert found.seq == 6


async def test_who_saw_entries_that_were_removed_as_old_finds_nothing(system: AppContext) -> None:
    await _write(system, 4)
    await _run(system, update(rows).values(at=1_000))
    await audit_chain.seal(system)
    seen = (system.settings.data_dir / FILE).read_bytes()
    await _sealed(system, 2)
    await audit_chain.remove_old(system, 2_000, 3)
    (system.settings.data_dir / FILE).write_bytes(seen)
    assert await _problem(system) == ""
    (system.settings.data_dir / FILE).write_bytes(seen)
    await audit_chain.remove_old(system, 2_000, 9)
    (system.settings.data_dir / FILE).write_bytes(seen)
    assert await _problem(system) == ""


async def test_a_broken_log_goes_on_once_it_is_accepted(system: AppContext) -> None:
    await _sealed(system, 5)
    await _run(system, _FORGET, _ALTER, _UNSEAL)
    await _write(system, 1)
    at = await audit_chain.accept(system)
    assert at.seq == 5
    assert await _problem(system) == ""
    shown = await audit_proof.show(system)
    assert (shown.problem, shown.begins_after) == ("", 5)
    async with system.database.read() as tx:
        notes = (await audit_log.list_audit(tx, action="audit.accept_break")).items
    assert [(one.subject, one.after) for one in notes] == [("forged", {"hash": "0" * 64})]
    await _run(system, update(rows).where(rows.c.seq == 7).values(detail="forged"))
    assert await _problem(system) == "changed"


async def test_places_beyond_all_bounds_do_not_end_the_chain(system: AppContext) -> None:
    await _sealed(system, 3)
    await _run(system, _FORGET, update(rows).where(rows.c.id == 2).values(seq=2**63 - 1))
    at = await audit_chain.accept(system)
    assert at.seq == 3
    assert await _problem(system) == ""
    await _write(system, 3)
    assert await _problem(system) == ""


async def test_what_was_accepted_does_not_serve_for_the_next_break(system: AppContext) -> None:
    await _sealed(system, 3)
    async with system.database.read() as tx:
        older = await metadata.value(tx, HEAD)
    await _sealed(system, 2)
    back = update(meta).where(meta.c.name == HEAD).values(value=older)
    cut = delete(rows).where(rows.c.seq > 3)
    await _run(system, back, cut)
    assert await _problem(system) == "witness_missing"
    await audit_chain.accept(system)
    assert await _problem(system) == ""
    await _run(system, back, cut)
    assert await _problem(system) == "witness_missing"


async def test_a_sound_log_has_nothing_to_accept(system: AppContext) -> None:
    await _sealed(system, 3)
    with pytest.raises(Conflict):
        await audit_chain.accept(system)


@pytest.mark.parametrize("held", [True, False])
async def test_confirming_a_restored_backup_accepts_its_log_but_no_other(
    system: AppContext, held: bool
) -> None:
    await _sealed(system, 3)
    async with system.database.read() as tx:
        older = await metadata.value(tx, HEAD)
    await _sealed(system, 2)
    back = update(meta).where(meta.c.name == HEAD).values(value=older)
    await _run(system, back, delete(rows).where(rows.c.seq > 3))
    if held:
        async with system.database.write() as tx:
            await metadata.put(tx, HELD, "1000")
    await restore_guard.confirm(system)
    assert await _problem(system) == ("" if held else "witness_missing")
    await _run(system, _FORGET)
    await restore_guard.confirm(system)
    assert await _problem(system) == "forged"


async def test_a_break_that_was_found_is_not_mended_by_taking_it_back(system: AppContext) -> None:
    """While nothing is sealed, entries could be changed without a trace."""
    await _sealed(system, 3)
    await _write(system, 2)
    stray = insert(rows).values(
        seq=2**62, hash="x", at=1, actor="local", action="a.thing", subject="", detail="", times=1
    )
    await _run(system, stray)
    assert await audit_chain.seal(system) == 0
    gone = (rows.c.seq == 2**62) | (rows.c.seq.is_(None) & (rows.c.subject == "0"))
    await _run(system, delete(rows).where(gone))
    assert await audit_chain.seal(system) == 0
    assert await _problem(system) == "forged"
    await audit_chain.accept(system)
    assert await _problem(system) == ""


async def test_a_break_is_accepted_where_the_clock_was_ahead(system: AppContext) -> None:
    await _sealed(system, 3)
    ahead = Witness(4, "f" * 64, clock.now() + 10**9)
    (system.settings.data_dir / FILE).write_bytes(msgspec.json.encode(ahead))
    assert await _problem(system) == "witness_missing"
    await audit_chain.accept(system)
    assert await _problem(system) == ""


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("seq", ["x", b"x"])
async def test_a_place_of_another_type_is_forged(system: AppContext, seq: object) -> None:
    await _sealed(system, 3)
    async with system.database.write() as tx:
        await tx.run(Statement("UPDATE audit SET seq = :seq WHERE id = 3"), {"seq": seq})
    assert await audit_chain.seal(system) == 0
    assert await _problem(system) == "forged"
    await audit_chain.accept(system)
    assert await _problem(system) == ""


async def test_the_doctor_tells_of_a_broken_log(system: AppContext) -> None:
    await _sealed(system, 3)
    found = {one.check: one for one in await health_checks.examine(system)}
    assert found["audit log"].ok
    await _run(system, _FORGET)
    found = {one.check: one for one in await health_checks.examine(system)}
    assert not found["audit log"].ok
    assert "ums audit accept" in found["audit log"].advice


async def test_the_break_is_logged_once(
    system: AppContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await _sealed(system, 3)
    await _run(system, _FORGET)
    for _ in range(3):
        await audit_chain.seal(system)
    assert capsys.readouterr().out.count("audit log is broken") == 1
