"""Large audiences and spreadsheets."""

import asyncio
from pathlib import Path
from typing import Any

import xlsxwriter

from benchmarks.alone import Watch, peak_memory
from benchmarks.figures import Goal, Result, Section, number
from benchmarks.processes import measure
from benchmarks.systems import Databases, prepare
from ums.config import Settings
from ums.core.deliveries.expansion import expand
from ums.core.imports import runner
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.core.messages.requests import parse

ROWS = 100_000
MILLION = 1_000_000


def expansion(databases: Databases, quick: bool, users: int) -> Result:
    users = 50_000 if quick else users
    section = Section(
        "Expansion",
        "A broadcast's audience becomes deliveries, in chunks of one transaction each.",
        ["database", "users", "seconds", "users/s"],
    )
    result = Result([section])
    for kind in databases.kinds:
        with databases.fresh(kind) as settings:
            keys = asyncio.run(prepare(settings, 9, users=users))
            seen = _measure(settings, "bulk:expand_all", channelkey=keys.channelkey, users=users)
        rate = seen["rate"]
        section.rows.append([kind, f"{users:,}", number(seen["seconds"]), number(rate)])
        figure = f"{number(MILLION / rate)} s"
        if users != MILLION:
            figure += f" (from {users:,})"
        work = f"Expansion to 1,000,000 users, {kind}"
        result.goals.append(Goal(work, "15 s", figure, MILLION / rate <= 15))
    return result


def importing(databases: Databases, quick: bool) -> Result:
    rows = 20_000 if quick else ROWS
    section = Section(
        "Import",
        f"A workbook of {rows:,} rows, all of them new users: read by a child process, checked,"
        " stored. The target's memory is taken for the sum of both peaks.",
        ["database", "rows", "seconds", "rows/s", "peak MB", "of its reader"],
    )
    result = Result([section])
    for kind in databases.kinds:
        with databases.fresh(kind) as settings:
            asyncio.run(prepare(settings, 9))
            _workbook(settings.data_dir / "users.xlsx", rows)
            seen = _measure(settings, "bulk:import_all", rows=rows)
        own, reader = (octets / 1e6 for octets in seen["memory"])
        cells = [number(n) for n in (seen["seconds"], seen["rate"], own, reader)]
        section.rows.append([kind, f"{rows:,}", *cells])
        if rows == ROWS:
            figure = f"{number(seen['seconds'])} s, {number(own + reader)} MB"
            good = seen["seconds"] <= 10 and own + reader < 200
            work = f"Import of 100,000 rows, {kind}"
            result.goals.append(Goal(work, "10 s, under 200 MB", figure, good))
    return result


def _measure(settings: Settings, function: str, **arguments: object) -> dict[str, Any]:
    own = {"data_dir": str(settings.data_dir), "database_url": settings.database_url}
    return measure(function, **own, **arguments)


def _workbook(path: Path, rows: int) -> None:
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["userid", "email"])
        for number in range(1, rows + 1):
            sheet.write_row(number, 0, [f"x{number}", f"x{number}@users.example"])


async def expand_all(
    data_dir: str, database_url: str, channelkey: str, users: int
) -> dict[str, Any]:
    settings = Settings(data_dir=Path(data_dir), database_url=database_url, demo=False)
    async with open_system(settings) as system:
        channel = (await system.directory.now()).channels[channelkey]
        body = b'{"msg_email": [{"subject": "Benchmark", "text": "Hello"}]}'
        await Intake(system).accept(channel, parse(body, broadcast=True), body)
        watch = Watch()
        while await expand(system.database):
            pass
        return watch.read(users)


async def import_all(data_dir: str, database_url: str, rows: int) -> dict[str, Any]:
    settings = Settings(data_dir=Path(data_dir), database_url=database_url, demo=False)
    async with open_system(settings) as system:
        watch = Watch()
        path = Path(data_dir) / "users.xlsx"
        opened = await runner.open_import(system, path, name="users.xlsx")
        await runner.run(system, opened.id, "bench")
        seen = watch.read(rows)
        async with system.database.read() as tx:
            done = await runner.show(tx, opened.id)
    if done is None or done.added != rows:
        raise RuntimeError(f"not all rows came in: {done}")
    return {**seen, "memory": peak_memory()}
