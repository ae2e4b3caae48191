"""A machine that lets UMS down without killing it: a process frozen beyond its lease, no file
descriptors, a log that takes nothing, a disk that errs, a file that another process locks."""

import asyncio
import resource
import sqlite3
import time
from pathlib import Path

import pytest

from faults.audit import Record, audit, drained, states
from faults.engines import LEASE_SECONDS, Engine
from faults.ledger import Ledger
from faults.power import STRACE, strace_works
from faults.workload import fill
from support.flow import until
from ums.config import Settings

HALF = 400


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_zombie_that_wakes_up_doubles_nothing(
    settings: Settings, record_property: Record
) -> None:
    """F37: frozen for longer than its lease, while another worker takes over; three times."""
    with Ledger() as ledger, Engine(settings) as one, Engine(settings) as two:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.02
        one.start()
        two.start()
        for zombie, goal in ((one, 50), (two, 200), (one, 350)):
            ledger.wait_for(goal)
            zombie.freeze()
            time.sleep(LEASE_SECONDS * 2)
            zombie.thaw()
        ledger.hold = 0.0
        asyncio.run(drained(settings, 60))
        one.stop()
        two.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"a worker frozen 3 times: {result.summary()}")
    result.check_bounds(2 * HALF)
    # What it had at the dot when it froze, it may tell of after all; nothing else is in doubt.
    doubtful = [row for row in result.rows if row.unknown_count]
    assert len(doubtful) <= 3 * 2 * 50


def test_no_file_descriptors(settings: Settings, record_property: Record) -> None:
    """F44: it can open nothing more, neither sessions nor files, and goes on when it can again."""
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.05
        engine.start()
        ledger.wait_for(20)
        _, most = resource.prlimit(engine.pid, resource.RLIMIT_NOFILE)
        open_now = len(list(Path(f"/proc/{engine.pid}/fd").iterdir()))
        resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (open_now - 3, most))
        time.sleep(3)
        assert engine.running
        resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (most, most))
        ledger.hold = 0.0
        asyncio.run(drained(settings, 120))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"no file descriptors for 3 s: {result.summary()}")
    result.check(size=2 * HALF)
    assert {(row.state, row.copies) for row in result.rows} == {("sent", 1)}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_that_takes_nothing(settings: Settings, record_property: Record) -> None:
    """F47: sending goes on."""
    with (
        Ledger() as ledger,
        Engine(settings, log=Path("/dev/full"), log_level="info") as engine,
    ):
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"the log on a full disk: {result.summary()}")
    result.check(size=2 * HALF)
    assert {(row.state, row.copies) for row in result.rows} == {("sent", 1)}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_another_process_locks_the_file(settings: Settings, record_property: Record) -> None:
    """F21: a competing writer that holds on for longer than SQLite waits, and a long reader."""
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.02
        engine.start()
        ledger.wait_for(50)
        other = sqlite3.connect(settings.data_dir / "ums.db", isolation_level=None, timeout=20)
        reader = sqlite3.connect(settings.data_dir / "ums.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM deliveries").fetchone()
        other.execute("BEGIN IMMEDIATE")
        time.sleep(7)
        other.execute("ROLLBACK")
        ledger.hold = 0.0
        asyncio.run(drained(settings, 60))
        for connection in (reader, other):
            connection.close()
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"the file locked for 7 s: {result.summary()}")
    result.check_bounds(2 * HALF)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.skipif(not strace_works(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_disk_that_errs(settings: Settings, error: str, record_property: Record) -> None:
    """F22, F23: from the 30th call on, what is synced to the disk fails for a while; whatever was
    told or sent before is still so."""
    inject = f"inject=fdatasync,fsync:error={error}:when=30..60"
    under = [*STRACE, "-qq", "-e", "trace=fdatasync,fsync", "-e", inject]
    with Ledger() as ledger:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.01
        with Engine(settings, under=under) as engine:
            engine.start()
            asyncio.run(until(lambda: states(settings)))  # strace makes starting slow
            time.sleep(6)
            if engine.running:
                engine.kill()
        before = asyncio.run(states(settings))
        ledger.hold = 0.0
        with Engine(settings) as engine:
            engine.start()
            asyncio.run(drained(settings, 60))
            engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"{error} of the disk: {result.summary()}")
    assert sum(before.values()) > 0
    result.check_bounds(2 * HALF)
