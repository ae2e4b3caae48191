"""Hours of mail with one fault after the other (`make soak`): nothing is lost or doubled, and the
process that lives all that time does not grow."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import pytest

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import Account, account, request
from support.databases import end_connections
from support.postgres import reserved_port
from ums.config import Settings

SAMPLE = 20.0  # seconds, unless --soak says how many minutes
PER_REQUEST = 20  # mails
PAUSE = 0.1  # seconds from one request to the next
GROWN = 1.15  # of its size in the second quarter, at most in the last one ...
SLACK = 24 * 1024 * 1024  # octets ... and this
FILES = 24  # more descriptors than before


class Size(NamedTuple):
    memory: int  # octets
    files: int


@pytest.mark.timeout(0)  # as long as --soak asks; each wait inside has its own end
def test_hours_of_faults(
    settings: Settings, dialect: str, request: pytest.FixtureRequest, record_property: Record
) -> None:
    minutes: float = request.config.getoption("--soak")
    seconds = minutes * 60 or SAMPLE
    with (
        reserved_port() as port,
        Ledger() as ledger,
        Engine(settings, serve=True, port=port) as server,
        Engine(settings) as worker,
    ):
        caller = asyncio.run(account(settings, ledger.port))
        faults = _faults(settings, request, ledger, server, worker)
        server.start()
        soak = _Soak(f"http://127.0.0.1:{port}", caller, server, faults)
        asyncio.run(soak.run(seconds, dialect))
        ledger.hold = 0.0
        asyncio.run(drained(settings, 120 + seconds / 10))
        if worker.running:
            worker.stop()
        server.stop()
        result = asyncio.run(audit(settings, ledger))

    first, last = soak.quarter(1), soak.quarter(3)
    told = (
        f"{dialect}, {seconds / 60:.1f} minutes, {soak.count} faults, {soak.refused} requests asked"
        f" again: {result.summary()}; memory {first.memory >> 20} -> {last.memory >> 20} MiB,"
        f" descriptors {first.files} -> {last.files}"
    )
    record_property("faults", f"soak, {told}")
    assert soak.count > 0
    result.check_bounds(soak.accepted)
    if minutes:  # a sample is over before anything could grow
        assert last.memory <= first.memory * GROWN + SLACK, told
        assert last.files <= first.files + FILES, told


Fault = Callable[[], None]


def _faults(
    settings: Settings,
    request: pytest.FixtureRequest,
    ledger: Ledger,
    server: Engine,
    worker: Engine,
) -> list[Fault]:
    """What goes wrong, one after the other; each ends before the next begins."""

    def frozen() -> None:
        server.freeze()
        time.sleep(2)
        server.thaw()

    def slow() -> None:
        ledger.hold = 0.5
        time.sleep(2)
        ledger.hold = 0.01

    def hung_up() -> None:
        ledger.hang_up()
        time.sleep(0.5)

    def locked() -> None:
        other = sqlite3.connect(settings.data_dir / "ums.db", isolation_level=None, timeout=20)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(2)
        other.execute("ROLLBACK")
        other.close()

    def killed() -> None:
        if worker.running:
            worker.kill()
        worker.start()
        time.sleep(2)

    def ended() -> None:
        url: str = request.getfixturevalue("postgres_server")
        name = settings.database_url.rpartition("/")[2]
        asyncio.run(end_connections(url, name))
        time.sleep(1)

    own = [locked] if settings.is_sqlite else [killed, ended]
    return [frozen, slow, hung_up, *own]


class _Soak:
    """Posts without an end while faults come and go, and looks at the server's size."""

    def __init__(self, url: str, account: Account, server: Engine, faults: list[Fault]) -> None:
        self._url, self._account, self._server = url, account, server
        self._faults = faults
        self._sizes: list[Size] = []
        self._over = False
        self.count = self.accepted = self.refused = 0

    async def run(self, seconds: float, seed: str) -> None:
        chance, deadline = random.Random(seed), time.monotonic() + seconds
        posting = asyncio.create_task(self._post())
        while self.accepted == 0:
            await asyncio.sleep(0.1)
        while time.monotonic() < deadline:
            self._sizes.append(self._size())
            await asyncio.to_thread(chance.choice(self._faults))
            self.count += 1
            await asyncio.sleep(chance.uniform(0.2, 2.0))
        self._over = True
        await asyncio.wait_for(posting, 120)

    def quarter(self, number: int) -> Size:
        """The median size in a quarter of the time, from 0."""
        step = max(len(self._sizes) // 4, 1)
        part = self._sizes[number * step : (number + 1) * step] or self._sizes[-1:]
        return Size(round(median(s.memory for s in part)), round(median(s.files for s in part)))

    def _size(self) -> Size:
        files = Path(f"/proc/{self._server.pid}/fd")
        return Size(self._server.memory, len(list(files.iterdir())))

    async def _post(self) -> None:
        number = 0
        async with httpx.AsyncClient(base_url=self._url, auth=self._account, timeout=60) as client:
            while not self._over:
                number += 1
                await self._until_stored(client, number)
                await asyncio.sleep(PAUSE)

    async def _until_stored(self, client: httpx.AsyncClient, number: int) -> None:
        addresses = [f"s{number}-{n}@direct.example" for n in range(PER_REQUEST)]
        body = request(addresses)
        headers = {"Idempotency-Key": f"soak-{number}"}
        while True:
            try:
                answer = await client.post("/v1/sent", json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                self.accepted += PER_REQUEST
                return
            assert answer is None or answer.status_code == 503, answer.text
            self.refused += 1
            await asyncio.sleep(0.2)
