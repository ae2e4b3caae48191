"""What an import would do, counted without doing it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from ums.core import sheet_reader
from ums.core.import_drafts import check_columns, columns_of, file_of
from ums.core.import_rows import Table, read
from ums.core.sheets import Batch, Line
from ums.core.system import System
from ums.core.user_changes import State, change, fill
from ums.core.user_entries import Entry, Rights
from ums.db import Hot, Tx, rows_json
from ums.errors import Invalid, UmsError

KINDS = ("new", "changed", "unchanged", "duplicate", "invalid")
TOLD = 20  # invalid rows that are shown
_KNOWN = Hot("""
    SELECT u.id, u.userid, CAST(u.attributes AS text)
    FROM $rows(r: userid text) JOIN users u ON u.userid = r.userid
""")


class InvalidRow(Struct, frozen=True):
    """A row that would be rejected."""

    row: int
    cells: list[str]
    reason: str


class DryRun(Struct, frozen=True):
    """Rows by what would become of them; together they are all rows of the sheet."""

    size: int
    new: Annotated[int, Meta(description="Rows that would make a user.")]
    changed: int
    unchanged: int
    duplicate: Annotated[
        int, Meta(description="Rows of a user and bind id that stand in the file before.")
    ]
    invalid: int
    examples: Annotated[list[InvalidRow], Meta(description="The first invalid rows.")]


class _Count:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._users: set[str] = set()  # that the rows so far would have made
        self._rows: set[tuple[str, tuple[Any, ...]]] = set()
        self.of: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.examples: list[InvalidRow] = []

    async def batch(self, tx: Tx, lines: Sequence[Line]) -> None:
        entries: list[Entry | UmsError] = []
        for start in range(0, len(lines), 100):
            entries += [read(self._table, line) for line in lines[start : start + 100]]
            await asyncio.sleep(0)  # requests are served in between
        states = await _known(tx, [one.userid for one in entries if isinstance(one, Entry)])
        for line, entry in zip(lines, entries, strict=True):
            outcome = self._outcome(states, entry)
            if isinstance(outcome, UmsError):
                self._reject(line, outcome)
            else:
                self.of[outcome] += 1

    def _outcome(self, states: dict[str, State], entry: Entry | UmsError) -> str | UmsError:
        if not isinstance(entry, Entry):
            return entry
        place = (entry.userid, tuple(sorted(step.slot for step in entry.changes)))
        if place in self._rows:
            return "duplicate"
        new = entry.userid not in states
        state = states.setdefault(entry.userid, State(0, True, "{}", {}, {}))
        try:
            changed = change(state, entry)
        except Invalid as error:
            if new:
                del states[entry.userid]
            return error
        self._rows.add(place)
        if new and entry.userid not in self._users:
            self._users.add(entry.userid)
            return "new"
        return "changed" if changed else "unchanged"

    def _reject(self, line: Line, error: UmsError) -> None:
        self.of["invalid"] += 1
        if len(self.examples) < TOLD:
            self.examples.append(InvalidRow(line.number, line.cells, error.words()))


async def _known(tx: Tx, userids: list[str]) -> dict[str, State]:
    rows = await tx.rows(_KNOWN, {"r": rows_json((one,) for one in dict.fromkeys(userids))})
    states = {row.userid: State(row.id, False, row[2], {}, {}) for row in rows}
    await fill(tx, {state.id: state for state in states.values()})
    return states


async def dry_run(system: System, import_id: int) -> DryRun:
    """Count what the draft would do as the users are now. Raises NotFound, Conflict, Invalid."""
    row, file = await file_of(system, import_id)
    columns = columns_of(row)
    check_columns(columns)
    table = Table(columns, row.bind_id, Rights(await system.directory.now()))
    table.check()
    count = _Count(table)
    async with sheet_reader.reading(file, system.settings, 0, columns, row.sheet) as reader:
        await reader.next()  # the head
        while isinstance(item := await reader.next(), Batch):
            async with system.database.read() as tx:
                await count.batch(tx, item.lines)
    return DryRun(size=sum(count.of.values()), examples=count.examples, **count.of)
