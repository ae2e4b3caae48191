"""Accepting requests over real HTTP, each answered when it is durable."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from benchmarks.alone import Watch
from benchmarks.figures import Goal, Result, Section, number, times
from benchmarks.processes import measure, serving
from benchmarks.systems import Databases, Keys, prepare
from ums.config import Settings

CALLERS = 50
BULK_CALLERS = 4
CLOSED = 9  # the discard port: nothing listens, so the sender rests and the figures are intake's


def run(databases: Databases, quick: bool) -> Result:
    seconds = 2.0 if quick else 6.0
    section = Section(
        "Accept",
        f"`POST` to one `ums serve` process over HTTP on this machine, {CALLERS} callers"
        f" ({BULK_CALLERS} with 1,000 addresses or users a call), each answered after its durable"
        " commit. The audiences are expanded meanwhile; the sender's server is away.",
        ["database", "request", "requests/s", "things/s", "p50 ms", "p99 ms", "beside /healthz"],
    )
    result = Result([section])
    for kind in databases.kinds:
        with databases.fresh(kind) as settings:
            _measure(settings, kind, seconds, result)
    with databases.fresh("SQLite") as settings:
        bare = measure("accept:bare", folder=str(settings.data_dir), seconds=seconds / 2)["rate"]
    section.rows.append(
        ["SQLite", "reference: bare sqlite3, one durable commit each", number(bare), *["-"] * 4]
    )
    section.notes.append(
        "`/healthz` of the same server touches no database: what is left to gain is the distance."
    )
    return result


def _measure(settings: Settings, kind: str, seconds: float, result: Result) -> None:
    keys = asyncio.run(prepare(settings, CLOSED))
    with serving(settings) as port:
        health = _post(port, "/healthz", keys, "none", CALLERS, seconds / 2)
        one = _post(port, "/v1/sent", keys, "one", CALLERS, seconds)
        thousand = _post(port, "/v1/sent", keys, "thousand", BULK_CALLERS, seconds)
        users = _post(port, "/v1/user/opt", keys, "users", BULK_CALLERS, seconds)
    work = [
        ("reference: /healthz", health, 1),
        ("/v1/sent, one address", one, 1),
        ("/v1/sent, 1,000 addresses", thousand, 1000),
        ("/v1/user/opt, 1,000 new users", users, 1000),
    ]
    rows = result.sections[0].rows
    for name, seen, size in work:
        ratio = times(seen["rate"] / health["rate"])
        cells = [number(seen["rate"]), number(seen["rate"] * size)]
        rows.append([kind, name, *cells, number(seen["p50"]), number(seen["p99"]), ratio])
    result.goals += _goals(kind, one, thousand["rate"] * 1000, users["rate"] * 1000)


def _goals(kind: str, one: dict[str, Any], addresses: float, users: float) -> list[Goal]:
    fast = one["rate"] >= 4000 and one["p99"] < 50
    figure = f"{number(one['rate'])}/s, p99 {number(one['p99'])} ms"
    return [
        Goal(f"Accept, {kind}", "4,000/s, p99 under 50 ms", figure, fast),
        Goal(
            f"Accept, 1,000 addresses a call, {kind}",
            "60,000 addresses/s",
            f"{number(addresses)}/s",
            addresses >= 60_000,
        ),
        Goal(
            f"`/v1/user/opt`, 1,000 users a call, {kind}",
            "40,000 users/s",
            f"{number(users)}/s",
            users >= 40_000,
        ),
    ]


def _post(
    port: int, path: str, keys: Keys, body: str, callers: int, seconds: float
) -> dict[str, Any]:
    given = {
        "path": path,
        "auth": keys.channel,
        "body": body,
        "callers": callers,
        "seconds": seconds,
    }
    return measure("client:post", port=port, **given)


def bare(folder: str, seconds: float) -> dict[str, Any]:
    """One row and one durable commit at a time, on the standard library's sqlite3 alone."""
    connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)")
    watch, count, body = Watch(), 0, "x" * 400
    while True:
        connection.execute("INSERT INTO messages (body) VALUES (?)", (body,))
        count += 1
        seen = watch.read(count)
        if seen["seconds"] > seconds:
            return seen
