"""PostgreSQL ends at once and stays away, again and again, and then for long (F18, F19)."""

import asyncio
import time
from pathlib import Path
from signal import SIGQUIT
from statistics import median

import httpx
import pytest

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import Account, account, fill, migrate, request
from support import postgres
from support.postgres import Cluster, reserved_port
from ums.config import Settings

HALF = 2000
ROUNDS = 4  # short ones before the long one
SHORT = 0.5  # seconds
IN_BETWEEN = 50  # mails
GROWN = 16 * 1024 * 1024  # octets, while there is nothing to do


@pytest.mark.timeout(0)  # as long as --outage asks; each wait inside has its own end
@pytest.mark.skipif(not postgres.can_start(), reason="no PostgreSQL is here to be started")
def test_the_database_ends_at_once_and_stays_away(
    tmp_path: Path, outage: float, record_property: Record
) -> None:
    took: list[float] = []
    with (
        Ledger() as ledger,
        postgres.cluster() as cluster,
        reserved_port() as port,
        Engine(_settings(tmp_path, cluster), serve=True, port=port) as engine,
    ):
        settings = _settings(tmp_path, cluster)
        cluster.start("fsync=off")
        asyncio.run(migrate(settings))
        asyncio.run(fill(settings, ledger.port, broadcast=HALF, single=HALF))
        caller = asyncio.run(account(settings, ledger.port, "caller"))
        ledger.hold = 0.02
        engine.start()
        for seconds in (*[SHORT] * ROUNDS, outage):
            ledger.wait_for(len(ledger.entries) + IN_BETWEEN)
            cluster.stop(SIGQUIT)
            _away(engine, ledger, f"http://127.0.0.1:{port}", caller, seconds)
            cluster.start("fsync=off")
            took.append(ledger.wait_for_next())
        ledger.hold = 0.0
        asyncio.run(drained(settings, 120))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    assert (len(result.rows), result.lost, result.unexpected) == (2 * HALF, 0, 0)
    # Nobody died: what was answered meanwhile is told when the database is back.
    assert {(row.state, row.copies) for row in result.rows} == {("sent", 1)}
    told = f"postgresql ended at once {len(took)} times, the last time for {outage:g} s"
    back = f"back until the next mail: median {median(took):.1f} s, at most {max(took):.1f} s"
    record_property("faults", f"{told}; {back}; {result.summary()}")


def _settings(tmp_path: Path, cluster: Cluster) -> Settings:
    return Settings(data_dir=tmp_path, demo=False, database_url=cluster.url)


def _away(engine: Engine, ledger: Ledger, url: str, caller: Account, seconds: float) -> None:
    """What happens while there is no database: callers are told, nothing new goes out, and
    nothing piles up."""
    ends = time.monotonic() + seconds
    _is_told(url, caller)
    time.sleep(max(0.0, min(3.0, ends - time.monotonic())))
    sent, memory = len(ledger.entries), engine.memory
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(5.0, left))
        _is_told(url, caller)
    assert engine.running
    if seconds > 3:
        assert len(ledger.entries) == sent
        assert engine.memory < memory + GROWN


def _is_told(url: str, caller: Account) -> None:
    answer = httpx.post(f"{url}/v1/sent", json=request(["a@example.org"]), auth=caller, timeout=15)
    assert (answer.status_code, answer.json()["code"]) == (503, 5000), answer.text
    assert answer.headers["retry-after"].isdigit()
