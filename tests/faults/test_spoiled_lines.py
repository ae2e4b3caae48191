"""Lines to the mail server, and to the database, that break, drip or swallow (F4, F20, F28, F30),
and a small disk (F22)."""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import make_url

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.proxy import HalfClose, Proxy, Reset, ResetAt, Slow, Spoiler
from faults.workload import fill
from ums.config import Settings

HALF = 200
pytestmark = pytest.mark.timeout(300)
BEFORE_THE_DOT = (
    Reset(after=0),  # while connecting
    Reset(after=60),  # in the commands
    Reset(after=400),  # in a body
    Slow(octets=50, seconds=0.002),
    Spoiler(),
)
BEHIND_IT = (ResetAt(b"\r\n.\r\n"), Reset(after=4000), HalfClose(after=300))


@pytest.mark.parametrize("spoilers", [BEFORE_THE_DOT, BEHIND_IT], ids=["before", "behind"])
def test_mail_over_spoiled_lines(
    settings: Settings, dialect: str, spoilers: tuple[Spoiler, ...], record_property: Record
) -> None:
    with Ledger() as ledger, Proxy(ledger.port) as proxy, Engine(settings) as engine:
        asyncio.run(fill(settings, proxy.port, broadcast=HALF, single=HALF))
        proxy.spoil = spoilers[0]
        ledger.hold = 0.2  # so that no answer is quicker than the break
        engine.start()
        proxy.wait_for(1)
        for spoiler in spoilers * 2:
            proxy.spoil = spoiler
            time.sleep(1)
        proxy.spoil = Spoiler()
        ledger.hold = 0.0
        asyncio.run(drained(settings, 150))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    where = "before" if spoilers is BEFORE_THE_DOT else "behind"
    told = f"{proxy.spoiled} lines broken {where} the dot: {result.summary()}"
    record_property("faults", f"{dialect}, {told}")
    result.check_bounds(2 * HALF)
    assert proxy.spoiled > 0
    unknown_count = sum(row.unknown_count for row in result.rows)
    assert (unknown_count > 0) is (spoilers is BEHIND_IT)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_answers_that_are_swallowed(settings: Settings, record_property: Record) -> None:
    """The server takes all, and what it says does not come through; then the line breaks."""
    with Ledger() as ledger, Proxy(ledger.port) as proxy, Engine(settings) as engine:
        asyncio.run(fill(settings, proxy.port, broadcast=HALF, single=HALF))
        ledger.hold = 0.05
        engine.start()
        ledger.wait_for(20)
        proxy.swallow = True
        time.sleep(2)
        proxy.swallow = False
        proxy.cut_all()  # else it waits for as long as RFC 5321 has it
        ledger.hold = 0.0
        asyncio.run(drained(settings, 150))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"sqlite, answers swallowed: {result.summary()}")
    result.check_bounds(2 * HALF)
    assert sum(row.unknown_count for row in result.rows) > 0


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_the_line_to_the_database_is_cut(settings: Settings, record_property: Record) -> None:
    """Cut at any place, ten times; nobody knows then whether a commit was taken."""
    url = make_url(settings.database_url)
    with Ledger() as ledger, Proxy(url.port or 5432) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port)
        own = msgspec.structs.replace(
            settings, database_url=through.render_as_string(hide_password=False)
        )
        asyncio.run(fill(settings, ledger.port, broadcast=HALF * 4, single=HALF * 4))
        ledger.hold = 0.01
        with Engine(own) as engine:
            engine.start()
            for round in range(10):
                ledger.wait_for(40 * (round + 1))
                proxy.cut_all()
                time.sleep(0.3)
            ledger.hold = 0.0
            asyncio.run(drained(settings, 150))
            engine.stop()
        result = asyncio.run(audit(settings, ledger))
    record_property("faults", f"postgresql, its line cut 10 times: {result.summary()}")
    result.check_bounds(HALF * 8)


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    place.mkdir()
    options = f"size={megabytes}m,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill_up(ballast: Path) -> None:
    with ballast.open("wb", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_small_disk(settings: Settings, tmp_path: Path, record_property: Record) -> None:
    """F22: it fills up while mail flows, and has room again later."""
    with small_disk(tmp_path / "small", 24) as place, Ledger() as ledger:
        shutil.move(settings.data_dir / "ums.db", place / "ums.db")
        own = msgspec.structs.replace(settings, data_dir=place)
        asyncio.run(fill(own, ledger.port, broadcast=HALF * 2, single=HALF * 2))
        ledger.hold = 0.01
        with Engine(own, log=tmp_path / "log") as engine:
            engine.start()
            ledger.wait_for(50)
            ballast = place / "ballast"
            _fill_up(ballast)
            time.sleep(4)
            assert engine.running
            ballast.unlink()
            ledger.hold = 0.0
            asyncio.run(drained(own, 150))
            engine.stop()
        result = asyncio.run(audit(own, ledger))
    record_property("faults", f"sqlite, a full disk for 4 s: {result.summary()}")
    result.check_bounds(HALF * 4)
