"""The power is lost while mail goes out and clients post (F17): what was told is still so."""

import asyncio
import random
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest

from faults.audit import Audit, Record, audit, drained
from faults.engines import Engine
from faults.ledger import Entry, Ledger
from faults.power import Step, disk_after, recorded, recording, strace_works
from faults.workload import Account, channel, fill
from postgres import reserved_port
from ums.config import Settings
from ums.core import restoring
from ums.core.system import open_system

HALF = 200
REQUESTS = 60
PER_REQUEST = 5  # mails


class Told(NamedTuple):
    """A 200, and the addresses that it promises mail to."""

    time: float  # by the wall clock
    addresses: list[str]


class Seen(NamedTuple):
    """A mail that the server had, by the wall clock."""

    time: float
    entry: Entry


@pytest.mark.faults
@pytest.mark.timeout(0)  # as long as --power-cuts asks; each wait inside has its own end
@pytest.mark.skipif(not strace_works(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_was_told_outlives_a_power_cut(
    settings: Settings, tmp_path: Path, power_cuts: int, record_property: Record
) -> None:
    chance, results = random.Random("power"), list[Audit]()
    with Ledger() as ledger:
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        account = asyncio.run(_account(settings, ledger.port))
        start = {path: path.read_bytes() for path in settings.data_dir.iterdir()}
        steps, told = _record(settings, ledger, account)
        offset = time.time() - time.monotonic()
        seen = [Seen(*pair) for pair in zip(ledger.times, ledger.entries, strict=True)]
        for number, cut in enumerate(sorted(chance.sample(range(len(steps)), power_cuts))):
            at = steps[cut].time
            ledger.entries[:] = [mail.entry for mail in seen if mail.time + offset < at]
            files = disk_after(start, steps[:cut], chance)
            there = msgspec.structs.replace(settings, data_dir=tmp_path / f"cut{number}")
            _lay(files, settings.data_dir, there.data_dir)
            result = _go_on(there, ledger)
            _check(result, there, [one for one in told if one.time < at])
            results.append(result)

    whole = Audit([row for result in results for row in result.rows], 0)
    record_property("faults", f"{len(results)} power cuts of {len(steps)} steps: {whole.summary()}")
    assert len(results) == power_cuts


async def _account(settings: Settings, port: int) -> Account:
    async with open_system(settings) as system:
        await restoring.check(system)  # as any start does; it is not the first one that is cut off
        return await channel(system, "posted", port)


def _record(settings: Settings, ledger: Ledger, account: Account) -> tuple[list[Step], list[Told]]:
    """Send and post for a while, and tell all that was done to the disk."""
    files = [settings.data_dir / "ums.db", settings.data_dir / "ums.db-wal"]
    log = settings.data_dir.parent / f"{settings.data_dir.name}.strace"
    ledger.hold = 0.02
    with (
        reserved_port() as port,
        Engine(settings, port=port, under=recording(files, log)) as engine,
    ):
        engine.start()
        pid = engine.pid
        told = asyncio.run(_post(f"http://127.0.0.1:{port}", account))
        ledger.wait_for(HALF)
        engine.kill()
    ledger.hold = 0.0
    steps = recorded(log, pid)
    log.unlink()
    return steps, told


async def _post(url: str, account: Account) -> list[Told]:
    told: list[Told] = []
    async with httpx.AsyncClient(base_url=url, auth=account, timeout=60) as client:
        for number in range(REQUESTS):
            addresses = [f"p{number}-{n}@direct.example" for n in range(PER_REQUEST)]
            body = {
                "aud_email": [{"data": addresses}],
                "msg_email": [{"subject": "Power", "text": "One copy, please."}],
            }
            await _until_told(client, body, f"power-{number}")
            told.append(Told(time.time(), addresses))
    return told


async def _until_told(client: httpx.AsyncClient, body: dict[str, object], key: str) -> None:
    headers = {"Idempotency-Key": key}
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = await client.post("/v1/sent", json=body, headers=headers)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server did not start"
            await asyncio.sleep(0.1)
            continue
        assert answer.status_code == 200, answer.text
        return


def _lay(files: dict[Path, bytes], old: Path, new: Path) -> None:
    new.mkdir()
    for path, data in files.items():
        (new / path.relative_to(old)).write_bytes(data)


def _go_on(settings: Settings, ledger: Ledger) -> Audit:
    """Start on what the cut has left, and send the rest."""
    with Engine(settings) as engine:
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
    with sqlite3.connect(settings.data_dir / "ums.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return asyncio.run(audit(settings, ledger))


def _check(result: Audit, settings: Settings, told: list[Told]) -> None:
    addresses = {row.address for row in result.rows}
    assert {address for one in told for address in one.addresses} <= addresses
    assert len(result.rows) >= 2 * HALF
    result.check_bounds(len(result.rows))
    twice = sum(row.copies > 1 for row in result.rows)
    assert twice <= settings.sessions * 3  # what was at the dot, of three senders
