"""Compares what the database says with what the ledger holds."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Executable

from faults.ledger import Entry, Ledger
from ums.config import Settings
from ums.core.tables.states import OnUnknown
from ums.db import Statement, open_database

_ROWS = Statement(
    "SELECT d.id, d.address, d.state, m.on_unknown, (SELECT count(*) FROM attempts a"
    " WHERE a.delivery_id = d.id AND a.verdict = 'unknown') AS unknown_count"
    " FROM deliveries d JOIN messages m ON m.id = d.message_id ORDER BY d.id"
)
_PENDING = Statement(
    "SELECT (SELECT count(*) FROM messages WHERE state <> 'expanded') + (SELECT count(*)"
    " FROM deliveries WHERE state IN ('queued', 'deferred', 'claimed', 'at_dot'))"
)
_STATES = Statement("SELECT state, count(*) FROM deliveries GROUP BY state")


class Row(NamedTuple):
    id: int
    address: str
    state: str
    on_unknown: str
    unknown_count: int  # attempts of unknown outcome
    copies: int  # in the ledger

    @property
    def accounted_for(self) -> bool:
        return self.copies > 0 or self.state in ("unknown", "failed", "expired", "cancelled")


class Audit(NamedTuple):
    rows: Sequence[Row]
    unexpected: int  # in the ledger, and nobody asked for it

    def of(self, on_unknown: str) -> list[Row]:
        return [row for row in self.rows if row.on_unknown == on_unknown]

    @property
    def lost(self) -> int:
        return sum(not row.accounted_for for row in self.rows)

    @property
    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.rows)

    def check(self, size: int) -> None:
        """What holds after any faults whatever (invariants I1 to I5 of reliability.md)."""
        assert len(self.rows) == size
        assert self.lost == 0
        assert self.unexpected == 0
        assert set(self.states) <= {"sent", "unknown"}
        for row in self.rows:
            # `sent` is never a guess, and a second copy never comes without a recorded doubt.
            assert row.state != "sent" or row.copies > 0, row
            assert row.copies <= 1 + row.unknown_count, row
            assert row.copies <= (1 if row.on_unknown == OnUnknown.HOLD else 2), row
            unknown_count = 1 if row.on_unknown == OnUnknown.HOLD else 2
            assert (row.state == "unknown") == (row.unknown_count == unknown_count), row

    def check_bounds(self, size: int) -> None:
        """What holds even where verdicts may have been written late: nothing lost, no broadcast
        doubled, nobody with a third copy, no second one without a doubt."""
        assert len(self.rows) == size
        assert (self.lost, self.unexpected) == (0, 0)
        for row in self.rows:
            assert row.state != "sent" or row.copies > 0, row
            assert row.copies <= 1 + row.unknown_count, row
            assert row.copies <= (1 if row.on_unknown == OnUnknown.HOLD else 2), row

    def summary(self) -> str:
        parts = [f"{len(self.rows)} deliveries", f"lost {self.lost}"]
        for name, policy in (("broadcast", OnUnknown.HOLD), ("transactional", OnUnknown.RESEND)):
            rows = self.of(policy)
            twice = sum(row.copies > 1 for row in rows)
            unknown = sum(row.state == "unknown" for row in rows)
            parts.append(f"{name}: duplicated {twice}, unknown {unknown} of {len(rows)}")
        worst = max((row.copies for row in self.rows), default=0)
        return "; ".join([*parts, f"most copies {worst}", f"unexpected {self.unexpected}"])


async def audit(settings: Settings, ledger: Ledger) -> Audit:
    """Take stock, of a system in which nothing runs."""
    copies, names = Counter[int](), dict[int, Entry]()
    unexpected = 0
    for entry in ledger.entries:
        number = int(entry.message_id.partition(".")[0], 16)
        copies[number] += 1
        # Every copy carries the same Message-ID (I5); another one would be a stranger.
        unexpected += names.setdefault(number, entry) != entry
    database = open_database(settings.database_url, settings.data_dir)
    async with database.read() as tx:
        found = [Row(*row, copies[row.id]) for row in await tx.rows(_ROWS)]
    await database.close()
    addresses = {row.id: row.address for row in found}
    unexpected += sum(entry.address != addresses.get(id) for id, entry in names.items())
    return Audit(found, unexpected)


async def states(settings: Settings) -> dict[str, int]:
    """How many deliveries are in which state."""
    database = open_database(settings.database_url, settings.data_dir)
    async with database.read() as tx:
        found = {row[0]: row[1] for row in await tx.rows(_STATES)}
    await database.close()
    return found


async def counted(
    settings: Settings, query: Executable, enough: Callable[[int], bool], seconds: float
) -> None:
    """Wait until what `query` counts is enough; raises TimeoutError."""
    database = open_database(settings.database_url, settings.data_dir)
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with database.read() as tx:
                    if enough(int(await tx.value(query))):
                        return
                await asyncio.sleep(0.1)
    finally:
        await database.close()


async def drained(settings: Settings, seconds: float) -> None:
    """Wait until nothing waits and nothing is held; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    database = open_database(settings.database_url, settings.data_dir)
    try:
        while True:
            async with database.read() as tx:
                left = await tx.value(_PENDING)
            if not left:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} still pending after {seconds} s")
            # Another process's database tells nobody when it changes.
            await asyncio.sleep(0.2)
    finally:
        await database.close()


Record = Callable[[str, object], None]
"""pytest's `record_property`; what is recorded as "faults" is printed at the end of the run."""
