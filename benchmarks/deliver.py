"""From waiting deliveries to durable outcomes: claim, build, send, record."""

import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks.alone import Watch
from benchmarks.figures import Goal, Result, Section, number, times
from benchmarks.processes import measure, sink
from benchmarks.references import SESSIONS, go_pool, smtp_source
from benchmarks.systems import Databases, prepare
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries.expansion import expand
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.core.messages.requests import parse
from ums.db import Statement
from ums.engine.worker import running

SIZES = {"1 kB": 1_000, "30 kB": 30_000}
GOALS = {"1 kB": 10_000, "30 kB": 7_000}
_PENDING = Statement(
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN ('queued', 'deferred'))"
    " OR EXISTS (SELECT 1 FROM deliveries WHERE state IN ('claimed', 'at_dot'))"
)
_SENT = Statement("SELECT count(*) FROM deliveries WHERE state = 'sent'")


def run(databases: Databases, quick: bool) -> Result:
    section = Section(
        "End to end",
        f"Claim, build, send over {SESSIONS} real SMTP sessions to a sink on this machine, intent"
        " before each dot, every outcome durable; one process. CPU is that process's.",
        ["body", "client", "messages/s", "CPU us/message", "ours beside it"],
    )
    result = Result([section])
    for name, size in SIZES.items():
        count = (4_000 if quick else 20_000) // (1 if size < 10_000 else 2)
        with sink() as port:
            _size(databases, name, size, count, port, result)
    return result


def _size(
    databases: Databases, name: str, size: int, count: int, port: int, result: Result
) -> None:
    ours = {kind: _ours(databases, kind, port, size, count) for kind in databases.kinds}
    given = {"port": port, "size": size}
    peers: dict[str, dict[str, Any] | None] = {
        "our SMTP client alone, nothing recorded": measure("wire:ours", **given, count=count * 2),
        "aiosmtplib, an `EmailMessage` per mail": measure(
            "references:aiosmtplib", **given, count=count // 10
        ),
        "Go net/smtp pool, composing, nothing recorded": go_pool(port, size, count),
        "postfix smtp-source": smtp_source(port, size, count),
    }
    best = max(seen["rate"] for seen in ours.values())
    rows = result.sections[0].rows
    for kind, seen in ours.items():
        cells = [number(seen["rate"]), number(seen["cpu"])]
        rows.append([name, f"**ums, {kind}**", *cells, times(seen["rate"] / best)])
        figure = f"{number(seen['rate'])}/s"
        goal = GOALS[name]
        result.goals.append(
            Goal(f"End to end, {name}, {kind}", f"{goal:,}/s", figure, seen["rate"] >= goal)
        )
    for peer, seen in peers.items():
        if seen is None:
            rows.append([name, peer, "not on this machine", "-", "-"])
        else:
            cells = [number(seen["rate"]), number(seen["cpu"])]
            rows.append([name, peer, *cells, times(best / seen["rate"])])
    result.goals += _against(name, best, peers)


def _against(name: str, best: float, peers: dict[str, dict[str, Any] | None]) -> list[Goal]:
    goals: list[Goal] = []
    factors = {"aiosmtplib": 10.0, "Go": 1.0 if name == "1 kB" else 2.0}
    for peer, seen in peers.items():
        factor = factors.get(peer.partition(" ")[0].rstrip(","))
        if factor and seen:
            ratio = best / seen["rate"]
            work = f"End to end, {name}, beside {peer.split(',')[0]}"
            goals.append(Goal(work, f"{factor:g} times", f"{times(ratio)} times", ratio >= factor))
    return goals


def _ours(databases: Databases, kind: str, port: int, size: int, count: int) -> dict[str, Any]:
    with databases.fresh(kind) as settings:
        keys = asyncio.run(prepare(settings, port, users=count))
        return measure(
            "deliver:drain",
            data_dir=str(settings.data_dir),
            database_url=settings.database_url,
            channelkey=keys.channelkey,
            size=size,
            count=count,
        )


async def drain(
    data_dir: str, database_url: str, channelkey: str, size: int, count: int
) -> dict[str, Any]:
    """Send a broadcast that has been expanded before; the clock runs from the engine's start."""
    settings = Settings(
        data_dir=Path(data_dir), database_url=database_url, demo=False, smtp_sessions=SESSIONS
    )
    async with open_system(settings) as system:
        await _put_in(system, channelkey, size)
        watch = Watch()
        async with running(system):
            while await _pending(system):
                await asyncio.sleep(0.02)
            seen = watch.read(count)
        async with system.database.read() as tx:
            sent = await tx.value(_SENT)
        if sent != count:
            raise RuntimeError(f"{sent} of {count} sent")
        return seen


async def _put_in(system: AppContext, channelkey: str, size: int) -> None:
    channel = (await system.directory.now()).channels[channelkey]
    text = "<p>" + "The same line for everybody, 每个人都一样。 " * (size // 60) + "</p>"
    body = {"msg_email": [{"subject": "Benchmark", "text": text}]}
    raw = json.dumps(body).encode()
    await Intake(system).accept(channel, parse(raw, broadcast=True), raw)
    while await expand(system.database):
        pass


async def _pending(system: AppContext) -> bool:
    async with system.database.read() as tx:
        return bool(await tx.value(_PENDING))
