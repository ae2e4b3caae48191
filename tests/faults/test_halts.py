"""`kill -9` around a halt: what was stopped stays so, and nothing goes out but what the answer
named as in flight (F45)."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import select

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.cli import connection
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, holds
from ums.core.maintenance.startup import open_system
from ums.core.messages import control
from ums.core.tables import messages, pending_halts
from ums.core.tables.states import Halt

MANY, OTHERS = 5_000, 200


def test_a_halt_outlives_whoever_ordered_it_and_whoever_parks(settings: Settings) -> None:
    """The halt is written and nothing more is done; then parking is killed twice."""
    with Ledger() as ledger, Engine(settings) as engine:
        asyncio.run(fill(settings, ledger.port, broadcast=MANY, single=OTHERS))
        asyncio.run(_halt_only(settings))
        for point in ("parking:2", "parked:1"):
            engine.start(fail_point=point)
            engine.wait_killed()
        engine.start()
        asyncio.run(drained(settings, 60))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))
        left = asyncio.run(_halts(settings))

    assert left == []
    assert result.states == {"cancelled": MANY, "sent": OTHERS}
    assert {entry.address.partition("@")[2] for entry in ledger.entries} == {"direct.example"}
    assert (result.lost, result.unexpected) == (0, 0)


async def _halt_only(settings: Settings) -> None:
    """What `halting.retract` does up to its first commit, with all rows in the queue."""
    async with open_system(settings) as system:
        while await expansion.expand(system.database):
            pass
        msgid = await _broadcast(system)
        async with system.database.write() as tx:
            await holds.halt(tx, (await control.locked(tx, None, msgid)).id, Halt.RETRACTED)


async def _broadcast(system: AppContext) -> str:
    async with system.database.read() as tx:
        return str(await tx.value(select(messages.c.msgid).where(messages.c.broadcast)))


async def _halts(settings: Settings) -> list[Any]:
    async with open_system(settings) as system, system.database.read() as tx:
        return list(await tx.rows(select(pending_halts)))


@pytest.mark.parametrize("verb", ["retract", "pause"])
@pytest.mark.parametrize(
    ("dialect", "workers"), [("sqlite", 1), ("postgresql", 1), ("postgresql", 2)]
)
def test_nothing_goes_out_after_the_answer_though_all_are_killed(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
    verb: str,
    workers: int,
) -> None:
    monkeypatch.setattr(connection, "configure", lambda _: None)
    with Ledger() as ledger, ExitStack() as stack:
        ledger.hold = 0.05  # so that there is always a mail at the dot
        asyncio.run(fill(settings, ledger.port, broadcast=MANY, single=0))
        msgid = asyncio.run(_msgid(settings))
        engines = [stack.enter_context(Engine(settings)) for _ in range(workers)]
        for engine in engines:
            engine.start()
        ledger.wait_for(100, 60)
        told = asyncio.run(_call(settings, f"message.{verb}", msgid))
        taken = len(ledger.entries)
        for engine in engines:
            engine.kill()
        ledger.hold = 0.0
        engines[0].start()
        asyncio.run(drained(settings, 60))
        late = len(ledger.entries) - taken
        states = asyncio.run(_states(settings, ledger))
        if verb == "pause":
            asyncio.run(_call(settings, "message.resume", msgid))
            ledger.wait_for(taken + late + told["stopped"], 120)
            asyncio.run(drained(settings, 60))
        engines[0].stop()
        result = asyncio.run(audit(settings, ledger))

    counts = ", ".join(f"{name} {told[name]}" for name in ("stopped", "in_flight", "sent"))
    record_property("faults", f"{verb}, {workers} workers: {counts}; {late} mails afterwards")
    assert told["audience"] == MANY
    assert told["stopped"] > 0
    assert late <= told["in_flight"]
    kept = "paused" if verb == "pause" else "cancelled"
    assert states[kept] == told["stopped"]
    assert states["sent"] + states["unknown"] == told["sent"] + told["unknown"] + told["in_flight"]
    assert (result.lost, result.unexpected) == (0, 0)
    assert max(row.copies for row in result.rows) == 1
    if verb == "pause":
        assert set(result.states) <= {"sent", "unknown"}
        assert result.states["sent"] == states["sent"] + told["stopped"]


async def _msgid(settings: Settings) -> str:
    async with open_system(settings) as system:
        return await _broadcast(system)


async def _call(settings: Settings, verb: str, msgid: str) -> Any:
    """As the `ums` command does it: on SQLite through the server, else beside the workers."""
    async with connection.opened(settings) as way:
        return await way.call(verb, msgid=msgid)


async def _states(settings: Settings, ledger: Ledger) -> Counter[str]:
    return (await audit(settings, ledger)).states
