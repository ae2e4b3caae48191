"""The search of users beside a million of them: how long the server takes for each kind of it."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
from sqlalchemy import text

from benchmarks.figures import Result, Section, number
from benchmarks.pages import LOOKS, PASSWORD, judged, times_of
from benchmarks.people import COMMON, LATE, RARE, TAG, people
from benchmarks.processes import serving
from benchmarks.systems import Databases, prepare
from ums.config import Settings
from ums.core.identity import operators
from ums.core.identity.principals import Principal
from ums.core.maintenance.startup import open_system
from ums.core.users import administration, bulk_actions, segments, users
from ums.core.users.administration import UserDraft
from ums.core.users.entry_parser import Rights

WRITES = 20  # users that are put one by one
BULK = 500  # users that are deleted in one transaction
_SIZES = {
    "sqlite": "SELECT name, SUM(pgsize) AS size FROM dbstat WHERE name LIKE '%user_search%'"
    " GROUP BY name",
    "postgresql": "SELECT relname AS name, pg_relation_size(oid) AS size FROM pg_class"
    " WHERE relname LIKE '%user_search%'",
}


def run(databases: Databases, quick: bool) -> Result:
    rows = 20_000 if quick else 1_000_000
    section = Section(
        "Search of users",
        f"Beside {rows:,} users with names, tags and one or two addresses. Each page of the"
        f" console, with its total, is asked for {LOOKS} times by one reader over HTTP; the times"
        " include the way there and back.",
        ["database", "search", "median ms", "p95 ms"],
    )
    result = Result([section])
    for kind in databases.kinds:
        with databases.fresh(kind) as settings:
            filled = asyncio.run(fill(settings, rows))
            with serving(settings) as port:
                seen = asyncio.run(look(port, rows))
            section.notes += asyncio.run(_costs(kind, settings, filled))
        result.goals.append(judged(section, kind, seen, f"Search among {rows:,} users"))
    return result


async def fill(settings: Settings, rows: int) -> float:
    """Make so many users; how many in a second."""
    keys = await prepare(settings, 9)
    async with open_system(settings) as system:
        await operators.create(system, "bench", PASSWORD, "administrator")
        await segments.create(system, "named", {"tag": {"any": [TAG], "bind_id": "all"}})
        rights = Rights(await system.directory.now(), None, replaces_shared=True)
        began = time.perf_counter()
        for part in _parts(people(rows, keys.channelkey)):
            report = await users.opt_with(system, rights, part)
            if report.fail:
                raise RuntimeError(f"not stored: {report.fail[0]}")
        rate = rows / (time.perf_counter() - began)
        async with system.database.write() as tx:
            await tx.run(text("ANALYZE"))
    return rate


def _parts(entries: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := list(islice(entries, users.MAX_ENTRIES)):
        yield part


def searches(rows: int) -> dict[str, str]:
    """Address -> what it is."""
    given = {
        "": "nothing",
        "search=E0012": "part of a userid",
        "search=e0012&sort=userid": "the same by userid",
        "search=BECKER77@": "part of an address, in the wrong case",
        "search=王": "one Chinese character, common",
        "search=宇": "one Chinese character of given names",
        "search=靖": "one Chinese character, rare",
        "search=靖宇": "two Chinese characters",
        "search=李伟": "two Chinese characters, common",
        f"search={RARE}": "four Chinese characters",
        "search=李子涵": "three Chinese characters",
        "search=上海": "a city",
        f"search={COMMON}": "three of ten",
        f"search={COMMON}&sort=userid": "three of ten, by userid",
        f"search={LATE}": "one of fifty, the last ones",
        f"search={LATE}&sort=-userid": "one of fifty, by userid backwards",
        "search=example": "everybody",
        f"search={TAG}": "one of ten, by a tag",
        f"tag={TAG}": "the tag itself",
        "search=E0": "two characters",
        "search=z7": "two characters, rare",
        "search=7": "one digit",
        "search=%7E%7E": "two characters, none",
        "search=%7E": "one character, none",
        "search=nobody-at-all": "none",
        "search=noxample": "none, of common parts",
        "search=second.example&sort=-created_at": "one of five, from the end",
        f"search={COMMON}&tag={TAG}": "three of ten with a tag",
        f"search={COMMON}&tag=none": "three of ten with a tag that nobody has",
        f"search={COMMON}&segment=1": "three of ten of a segment",
        f"search={RARE}&segment=1": "few of a segment",
        "reach=-": "without an address",
        f"after={rows - 60}": "the last page",
        f"before={rows // 2}": "backwards from the middle",
        f"search={COMMON}&before={rows}": "three of ten, back from the end",
        f"search={LATE}&before={rows - 10}": "one of fifty, back from the end",
        f"search={RARE}&before={rows - 10}": "few, back from the end",
    }
    return {f"/users?{query}": what for query, what in given.items()}


async def look(port: int, rows: int) -> dict[str, list[float]]:
    """The times of each search in seconds, sorted."""
    base = f"http://127.0.0.1:{port}"
    headers = {"Origin": base, "Accept": "text/html"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as client:
        await client.post("/login", data={"name": "bench", "password": PASSWORD})
        return {
            f"{what}: `{page}`": await times_of(client, page)
            for page, what in searches(rows).items()
        }


async def _costs(kind: str, settings: Settings, filled: float) -> list[str]:
    """What the index costs: users written in bulk and one by one, users deleted, its size."""
    async with open_system(settings) as system:
        who = Principal("bench", frozenset({"admin"}), None, await system.directory.now())
        took: list[float] = []
        for turn in range(WRITES):
            draft = UserDraft({"name": "李四光"}, {"email": {"all": [f"n{turn}@new.example"]}})
            began = time.perf_counter()
            await administration.put(system, who, f"new{turn}", draft)
            took.append((time.perf_counter() - began) * 1000)
        gone = [f"E{turn:07d}" for turn in range(1, 2 * BULK) if turn % 3][:BULK]
        began = time.perf_counter()
        await bulk_actions.delete(system, who, gone)
        deleted = (time.perf_counter() - began) * 1000
        async with system.database.read() as tx:
            sizes = {row.name: row.size for row in await tx.rows(text(_SIZES[tx.dialect]))}
    octets = sum(map(int, sizes.values())) / 1e6
    took.sort()
    return [
        f"{kind}: {number(filled)} users/s stored, {users.MAX_ENTRIES:,} in a transaction; one user"
        f" put in {number(took[WRITES // 2])} ms (p95 {number(took[int(WRITES * 0.95)])});"
        f" {BULK} users deleted in {number(deleted)} ms; texts and their indexes take"
        f" {number(octets)} MB."
    ]
