"""How long it takes until mail flows again, and how long single mail waits beside a large mailing
(reliability.md, part 3). Times are written down, not asserted: `make faults` puts them into
docs/fault-results.md."""

import asyncio
import random
import time
from statistics import median

import httpx
import pytest
from sqlalchemy import text

from faults.audit import Record, audit, counted, drained
from faults.engines import LEASE_SECONDS, Engine
from faults.ledger import Ledger
from faults.workload import Account, channel, fill, request
from support.databases import end_connections, execute
from support.postgres import reserved_port
from ums.config import Settings
from ums.core.maintenance.startup import open_system

PER_ROUND = 400  # mails, so that the flow does not run dry
SINGLE = 60
OPTIONS = {"urgent": {"priority": 1}, "ordinary": {}}
pytestmark = pytest.mark.timeout(0)


@pytest.fixture
def lease(request: pytest.FixtureRequest) -> float:
    """Seconds: the real one in the full run, which takes its time."""
    return Settings().lease_seconds if request.config.getoption("--targets") else LEASE_SECONDS


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return 20 if request.config.getoption("--targets") else 2


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_how_soon_another_worker_takes_over(
    settings: Settings, lease: float, rounds: int, record_property: Record
) -> None:
    took: list[float] = []
    pair = [Engine(settings, lease_seconds=lease) for _ in range(2)]
    with Ledger() as ledger, pair[0], pair[1]:
        asyncio.run(fill(settings, ledger.port, broadcast=rounds * PER_ROUND * 4, single=0))
        ledger.hold = 0.2
        for engine in pair:
            engine.start()
        for n in range(rounds):
            victim = pair[n % 2]
            asyncio.run(_until(settings, victim.pid, held=True))
            dead = victim.pid
            victim.kill()
            began = time.monotonic()
            asyncio.run(_until(settings, dead, held=False))
            took.append(time.monotonic() - began)
            victim.start()
        ledger.hold = 0.0
        asyncio.run(drained(settings, 300))
        for engine in pair:
            engine.stop()
        result = asyncio.run(audit(settings, ledger))
    result.check(size=rounds * PER_ROUND * 4)
    told = f"median {median(took):.1f} s, at most {max(took):.1f} s"
    record_property("faults", f"postgresql, taken over from the dead ({lease:g} s lease): {told}")


async def _until(settings: Settings, pid: int, *, held: bool) -> None:
    """Wait until the worker of this process holds mail, or holds none any more."""
    query = text("SELECT count(*) FROM deliveries WHERE owner LIKE :owner")
    mine = query.bindparams(owner=f"%.{pid}.%")
    await counted(settings, mine, lambda count: bool(count) is held, 120)


def test_how_soon_a_new_start_sends(
    settings: Settings, dialect: str, rounds: int, record_property: Record
) -> None:
    took: list[float] = []
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=rounds * PER_ROUND, single=0))
        ledger.hold = 0.05
        for _ in range(rounds):
            before, began = len(ledger.entries), time.monotonic()
            engine.start()
            ledger.wait_for(before + 1)
            took.append(time.monotonic() - began)
            engine.kill()
        ledger.hold = 0.0
        engine.start()
        asyncio.run(drained(settings, 120))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    result.check(size=rounds * PER_ROUND)
    told = f"median {median(took):.1f} s, at most {max(took):.1f} s"
    record_property("faults", f"{dialect}, started after a kill until its first mail: {told}")


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_how_soon_it_sends_when_the_database_is_back(
    settings: Settings, postgres_server: str, rounds: int, record_property: Record
) -> None:
    """F18: the database ends all connections and takes none for a while, under load."""
    name = settings.database_url.rpartition("/")[2]
    chance, took = random.Random(18), list[float]()
    with Ledger() as ledger, Engine(settings) as engine:
        size = rounds * PER_ROUND * 4
        asyncio.run(fill(settings, ledger.port, broadcast=size, single=0))
        ledger.hold = 0.05
        engine.start()
        for _ in range(rounds):
            ledger.wait_for(len(ledger.entries) + 20)
            asyncio.run(execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            asyncio.run(end_connections(postgres_server, name))
            time.sleep(chance.uniform(0.5, 3.0))
            asyncio.run(execute(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            took.append(ledger.wait_for_next())
        ledger.hold = 0.0
        asyncio.run(drained(settings, 300))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    assert (len(result.rows), result.lost, result.unexpected) == (size, 0, 0)
    assert {row.copies for row in result.rows} == {
        1
    }  # nobody died, so nobody unknown_count for long
    told = f"median {median(took):.1f} s, at most {max(took):.1f} s; {result.summary()}"
    record_property("faults", f"postgresql, {rounds} times away, back until the next mail: {told}")


@pytest.mark.parametrize("kind", OPTIONS)
def test_how_long_single_mail_waits(
    settings: Settings, dialect: str, kind: str, rounds: int, record_property: Record
) -> None:
    """F38, T41: single mails over the API, while another channel's mailing fills all sessions of
    the sender that both channels use."""
    count = SINGLE * rounds // 2
    with (
        reserved_port() as port,
        Ledger() as ledger,
        Engine(settings, serve=True, port=port) as engine,
    ):
        account = asyncio.run(_bulk(settings, ledger.port, PER_ROUND * rounds * 4))
        ledger.hold = 0.02
        engine.start()
        ledger.wait_for(50)
        url = f"http://127.0.0.1:{port}"
        waited = asyncio.run(_single(url, account, ledger, OPTIONS[kind], count))
        beside = len(ledger.entries)
        ledger.hold = 0.0
        asyncio.run(drained(settings, 300))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
    result.check(size=PER_ROUND * rounds * 4 + count)
    assert len(waited) == count
    assert beside < len(ledger.entries), "the mailing ended before the single mails did"
    waited.sort()
    p99 = waited[len(waited) * 99 // 100]
    told = f"median {median(waited):.2f} s, p99 {p99:.2f} s, of {count}"
    record_property("faults", f"{dialect}, {kind} mail from request to dot beside bulk: {told}")


async def _bulk(settings: Settings, port: int, size: int) -> Account:
    await fill(settings, port, broadcast=size, single=0)
    async with open_system(settings) as system:
        account = await channel(system, "other", port)
        from ums.core.senders import senders

        await senders.authorise(system, "bulk", account.key, default=True)
        return account


async def _single(
    url: str, account: Account, ledger: Ledger, option: dict[str, int], count: int
) -> list[float]:
    """Seconds from each request to its mail's dot."""
    asked: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=url, auth=account) as client:
        for n in range(count):
            address = f"single{n}@direct.example"
            body = {**request([address]), "option": option}
            asked[address] = time.monotonic()
            answer = await client.post("/v1/sent", json=body)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.02)
    await asyncio.to_thread(lambda: _all_there(ledger, asked))
    arrived = dict(zip((entry.address for entry in ledger.entries), ledger.times, strict=True))
    return [arrived[address] - moment for address, moment in asked.items()]


def _all_there(ledger: Ledger, asked: dict[str, float]) -> None:
    deadline = time.monotonic() + 120
    while not asked.keys() <= {entry.address for entry in ledger.entries}:
        assert time.monotonic() < deadline, "a single mail did not come"
        time.sleep(0.1)
