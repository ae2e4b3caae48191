"""The power is lost while mail goes out and clients post (F17): what was told is still so."""

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest

from faults.audit import Audit, Record, audit, drained
from faults.engines import Engine
from faults.history import History, Told, check, post
from faults.ledger import Ledger
from faults.power import disk_after, recorded, recording, strace_works
from faults.workload import Account, channel, fill, migrate
from support import postgres
from support.databases import execute
from support.postgres import reserved_port
from ums.config import Settings
from ums.core.maintenance import restore_guard
from ums.core.maintenance.startup import open_system

HALF = 200
SEGMENT = 64  # MiB of PostgreSQL's log that are one file, in which all of it finds room
FIRST_SEGMENT = "000000010000000000000001"
# Between its checkpoints PostgreSQL promises nothing but its log to be on the disk.
QUIET = ("checkpoint_timeout=1d", "max_wal_size=8GB", "autovacuum=off")

pytestmark = [
    pytest.mark.timeout(0),  # as long as --power-cuts asks; each wait inside has its own end
    pytest.mark.skipif(not strace_works(), reason="strace is not here, or may not trace"),
]


def test_whatever_one_call_writes_is_recorded(tmp_path: Path) -> None:
    file, log = tmp_path / "written", tmp_path / "strace"
    code = f"""
import os
file = os.open({str(file)!r}, os.O_RDWR | os.O_CREAT)
assert os.pwrite(file, bytes(range(256)) * 20_000, 4096) == 5_120_000
os.fsync(file)
os.ftruncate(file, 9)
"""
    with subprocess.Popen([*recording([file], log), sys.executable, "-c", code]) as process:
        assert process.wait() == 0
    written, synced, ended = recorded(log, process.pid)
    assert (written.path, written.offset) == (file, 4096)
    assert written.data == bytes(range(256)) * 20_000
    assert (synced.path, synced.synced) == (file, True)
    assert (ended.path, ended.data, ended.offset) == (file, None, 9)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_was_told_outlives_a_power_cut(
    settings: Settings, tmp_path: Path, power_cuts: int, record_property: Record
) -> None:
    results: list[Audit] = []
    chance = random.Random("power")
    with Ledger() as ledger:
        account = asyncio.run(_prepare(settings, ledger))
        start = {path: path.read_bytes() for path in settings.data_dir.iterdir()}
        files = [settings.data_dir / "ums.db", settings.data_dir / "ums.db-wal"]
        log = tmp_path.parent / f"{tmp_path.name}.strace"
        told, pid = _send(settings, ledger, account, recording(files, log))
        history = History.of(recorded(log, pid), told, ledger)
        for number, cut in enumerate(history.cuts(power_cuts, chance)):
            there = msgspec.structs.replace(settings, data_dir=tmp_path / f"cut{number}")
            there.data_dir.mkdir()
            for path, data in disk_after(start, cut.steps, chance).items():
                (there.data_dir / path.relative_to(settings.data_dir)).write_bytes(data)
            ledger.entries[:] = cut.entries
            results.append(_go_on(there, ledger))
            with sqlite3.connect(there.data_dir / "ums.db") as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            check(results[-1], cut, settings, 2 * HALF)
    record_property("faults", f"sqlite, {_summary(results, history)}")
    assert len(results) == power_cuts


@pytest.mark.skipif(not postgres.can_start(), reason="no PostgreSQL is here to be started")
def test_what_was_told_outlives_a_power_cut_of_postgresql(
    tmp_path: Path, power_cuts: int, record_property: Record
) -> None:
    results: list[Audit] = []
    chance = random.Random("power of postgresql")
    own, image = tmp_path / "ums", tmp_path / "image"
    own.mkdir()
    with Ledger() as ledger, postgres.cluster(f"--wal-segsize={SEGMENT}") as cluster:
        settings = Settings(data_dir=own, demo=False, database_url=cluster.url)
        file, log = cluster.data / "pg_wal" / FIRST_SEGMENT, cluster.home / "strace"
        cluster.start(*QUIET, under=recording([file], log))
        pid = cluster.pid
        asyncio.run(migrate(settings))
        account = asyncio.run(_prepare(settings, ledger))
        asyncio.run(execute(cluster.url, "CHECKPOINT"))
        began = time.time()
        shutil.copytree(cluster.data, image, ignore=shutil.ignore_patterns("postmaster.*"))
        start = {file: file.read_bytes()}
        shutil.copytree(own, tmp_path / "own")
        told, _ = _send(settings, ledger, account)
        assert asyncio.run(_segment(cluster.url)) == FIRST_SEGMENT  # no other file was begun
        cluster.stop(signal.SIGQUIT)
        steps = [step for step in recorded(log, pid) if step.time > began]
        history = History.of(steps, told, ledger)
        for number, cut in enumerate(history.cuts(power_cuts, chance)):
            there = msgspec.structs.replace(settings, data_dir=tmp_path / f"cut{number}")
            shutil.copytree(tmp_path / "own", there.data_dir)
            cluster.replace(image, disk_after(start, cut.steps, chance))
            cluster.start("fsync=off")
            ledger.entries[:] = cut.entries
            results.append(_go_on(there, ledger))
            cluster.stop(signal.SIGINT)
            check(results[-1], cut, settings, 2 * HALF)
    record_property("faults", f"postgresql, {_summary(results, history)}")
    assert len(results) == power_cuts


async def _segment(url: str) -> str:
    """The file that PostgreSQL's log goes to now."""
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    await connection.close()
    return str(name)


async def _prepare(settings: Settings, ledger: Ledger) -> Account:
    """Mail of both kinds, and somebody who will post more."""
    await fill(settings, ledger.port, broadcast=HALF, single=HALF)
    async with open_system(settings) as system:
        await restore_guard.check(system.database, settings)  # as any start does
        return await channel(system, "posted", ledger.port)


def _send(
    settings: Settings, ledger: Ledger, account: Account, under: Sequence[str] = ()
) -> tuple[list[Told], int]:
    """Send and post for a while, until it is killed."""
    ledger.hold = 0.02
    with reserved_port() as port, Engine(settings, serve=True, port=port, under=under) as engine:
        engine.start()
        pid = engine.pid
        told = asyncio.run(post(port, account))
        ledger.wait_for(HALF)
        engine.kill()
    ledger.hold = 0.0
    return told, pid


def _go_on(settings: Settings, ledger: Ledger) -> Audit:
    """Start on what the cut has left, and send the rest."""
    with Engine(settings) as engine:
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
    return asyncio.run(audit(settings, ledger))


def _summary(results: Sequence[Audit], history: History) -> str:
    whole = Audit([row for result in results for row in result.rows], 0)
    return f"{len(results)} power cuts of {len(history.steps)} steps: {whole.summary()}"
