"""The console's pages beside a million rows: how long the server takes for each."""

import asyncio
import re
import sys
import time

import httpx

from benchmarks.figures import Goal, Result, Section, number
from benchmarks.processes import serving
from benchmarks.systems import NUMBERS, Databases, prepare
from ums import clock
from ums.config import Settings
from ums.core.identity import operators
from ums.core.maintenance.startup import open_system
from ums.db import Statement

PASSWORD = "a long benchmark password"
LOOKS = 30  # at each page
SMALL = 5_000  # messages, of half the deliveries; one large message has the other half
# Every tenth fails, every fiftieth waits; the rest is sent.
_STATE = (
    "CASE WHEN n.i % 50 = 0 THEN 'queued' WHEN n.i % 10 = 1 THEN 'failed' ELSE 'sent' END AS state,"
    " CASE WHEN n.i % 10 = 1 THEN 'user_unknown' ELSE '' END AS reason"
)
_MESSAGES = (
    "INSERT INTO messages (msgid, channel_id, sender_id, audience, content, options, priority,"
    " on_unknown, state, cursor, audience_size, accepted_at, expires_at)"
    " SELECT 'bench:' || n.i, 1, 1, '{{\"addresses\": [\"a@example.org\"]}}',"
    " '{{\"subject\": \"Benchmark\", \"text\": \"Hello\"}}', '{{}}', 2, 'hold', 'expanded', 0,"
    " CASE WHEN n.i = 1 THEN {half} ELSE {each} END, :now - CAST(n.i AS bigint) * :step, :now"
    " FROM ({numbers}) n"
)
_DELIVERIES = (
    "INSERT INTO deliveries (message_id, sender_id, userid, address, state, reason, priority,"
    " due_at, epoch, counted_tries, tries, unknown_count, created_at, updated_at)"
    " SELECT CASE WHEN n.i <= {half} THEN 1 ELSE 2 + n.i % {others} END, 1, 'u' || n.i,"
    " 'u' || n.i || '@d' || (n.i % 50) || '.example', " + _STATE + ", 2, :now, 1, 0, 1, 0,"
    " :now - n.i, :now - n.i FROM ({numbers}) n"
)
_ATTEMPTS = (
    "INSERT INTO attempts (delivery_id, number, sender_id, started_at, duration_ms, stage, verdict,"
    " reason, code, enhanced, reply) SELECT d.id, 1, 1, d.updated_at, 40, 'dot',"
    " CASE WHEN d.state = 'sent' THEN 'taken' ELSE 'failed' END, d.reason, 250, '2.0.0', 'OK'"
    " FROM deliveries d WHERE d.state <> 'queued'"
)
_TAGS = (
    "INSERT INTO tags (user_id, bind_id, tag) SELECT id, 'all', 'vip' FROM users WHERE id % 20 = 0"
)


def run(databases: Databases, quick: bool) -> Result:
    rows = 20_000 if quick else 1_000_000
    section = Section(
        "Pages of the console",
        f"Beside {rows:,} users, {rows:,} deliveries with their attempts and {SMALL:,} messages,"
        f" one of which has half the deliveries. Each page is asked for {LOOKS} times by one"
        " reader over HTTP; the times include the way there and back.",
        ["database", "page", "median ms", "p95 ms"],
    )
    result = Result([section])
    for kind in databases.kinds:
        with databases.fresh(kind) as settings:
            asyncio.run(_fill(settings, rows))
            with serving(settings) as port:
                seen = asyncio.run(_look(port))
        result.goals.append(judged(section, kind, seen, f"Pages beside {rows:,} rows"))
    return result


def judged(section: Section, kind: str, seen: dict[str, list[float]], what: str) -> Goal:
    """Add a row for each page, of its sorted times in seconds; the goal that all are to reach."""
    worst = 0.0
    for page, times in seen.items():
        median, p95 = times[len(times) // 2] * 1000, times[int(len(times) * 0.95)] * 1000
        section.rows.append([kind, page, number(median), number(p95)])
        worst = max(worst, p95)
    figure = f"{number(worst)} ms for the slowest of {len(seen)}"
    return Goal(f"{what}, {kind}", "p95 100 ms", figure, worst <= 100)


async def _fill(settings: Settings, rows: int) -> None:
    await prepare(settings, 9, users=rows)
    async with open_system(settings) as system:
        await operators.create(system, "bench", PASSWORD, "administrator")
        half, others = rows // 2, SMALL - 1
        sizes = {"half": half, "others": others, "each": (rows - half) // others}
        now = clock.now()
        bound = {"now": now, "step": 90 * clock.DAY // SMALL, "count": SMALL}
        async with system.database.write() as tx:
            numbers = NUMBERS[tx.dialect]
            await tx.run(Statement(_MESSAGES.format(numbers=numbers, **sizes)), bound)
            made = _DELIVERIES.format(numbers=numbers, **sizes)
            await tx.run(Statement(made), {"now": now, "count": rows})
            await tx.run(Statement(_ATTEMPTS))
            await tx.run(Statement(_TAGS))
            await tx.run(Statement("ANALYZE"))


async def _look(port: int) -> dict[str, list[float]]:
    """The times of each page in seconds, sorted."""
    base = f"http://127.0.0.1:{port}"
    headers = {"Origin": base, "Accept": "text/html"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as client:
        await client.post("/login", data={"name": "bench", "password": PASSWORD})
        return {page: await times_of(client, page) for page in await _pages(client)}


async def _pages(client: httpx.AsyncClient) -> list[str]:
    large, small = "/messages/bench:1", "/messages/bench:9"
    first = (await client.get("/users")).text
    further = re.findall(r'rel="next" href="([^"]+)"', first)
    return [
        *("/home", "/messages", "/messages?state=failed", large, small),
        *(f"{large}?state=failed", f"{large}?address=u77"),
        *("/users", *(f"/users{one.partition('/users')[2] or one}" for one in further)),
        *("/users?prefix=u99", "/users?address=u4242@users.example", "/users?tag=vip"),
        *("/users/u777", "/channels", "/senders", "/segments", "/templates", "/imports"),
        *("/audit", "/approvals", "/send", "/statistics?days=7", "/statistics"),
        *("/statistics?by=domain", "/statistics?by=sender&days=90"),
    ]


async def times_of(client: httpx.AsyncClient, page: str) -> list[float]:
    """How long a page takes, in seconds, sorted."""
    found: list[float] = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        answer = await client.get(page)
        found.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{page}: {answer.status_code}")
        if sum(found) > 10:  # slow enough to be known
            break
    print(f"{page}: {max(found) * 1000:.0f} ms at most", file=sys.stderr, flush=True)
    return sorted(found)
