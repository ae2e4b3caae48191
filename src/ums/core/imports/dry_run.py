"""What an import would do, counted without doing it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, cast

from msgspec import Meta, Struct

from ums.core.context.app_context import AppContext
from ums.core.imports.columns import check_columns
from ums.core.imports.drafts import columns_of, file_of
from ums.core.imports.row_mapping import Table, read
from ums.core.spreadsheets import reader as sheet_reader
from ums.core.spreadsheets.protocol import Batch, Head, Line
from ums.core.users.bulk_upsert import State, change, fill
from ums.core.users.entry_parser import Entry, Rights
from ums.db import Statement, Tx, rows_json
from ums.errors import Invalid, UmsError

KINDS = ("new", "changed", "unchanged", "duplicate", "invalid")
TOLD = 20  # rows of a kind that are shown
_KNOWN = Statement("""
    SELECT u.id, u.userid, CAST(u.attributes AS text)
    FROM $rows(r: userid text) JOIN users u ON u.userid = r.userid
""")


_HOLDERS = Statement("""
    SELECT a.value, a.bind_id, min(u.userid) AS userid, count(*) AS number
    FROM $rows(r: value text) JOIN addresses a ON a.value = r.value AND a.kind = 'email'
    JOIN users u ON u.id = a.user_id GROUP BY a.value, a.bind_id
""")


class SharedRow(Struct, frozen=True):
    """A row whose address another userid has too."""

    row: int
    userid: str
    address: str
    other: Annotated[str, Meta(description="The other userid.")]


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
    users: Annotated[int, Meta(description="Users that valid rows are about.")] = 0
    shared: Annotated[
        int,
        Meta(
            description="Valid rows whose address another userid has, in the file or before: a "
            "message to both goes to it once."
        ),
    ] = 0
    shared_examples: Annotated[list[SharedRow], Meta(description="The first of them.")] = []


class _Count:
    def __init__(self, table: Table, language: str) -> None:
        self._table, self._language = table, language
        self.userids: set[str] = set()  # that valid rows are about
        self._owners: dict[tuple[str, str], str] = {}  # address and bind id: who has it
        self.shared = 0
        self.shared_examples: list[SharedRow] = []
        self._users: set[str] = set()  # that the rows so far would have made
        self._rows: set[tuple[str, tuple[Any, ...]]] = set()
        self.of: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.examples: list[InvalidRow] = []

    async def batch(self, tx: Tx, lines: Sequence[Line]) -> None:
        entries: list[Entry | UmsError] = []
        for start in range(0, len(lines), 100):
            entries += [read(self._table, line) for line in lines[start : start + 100]]
            await asyncio.sleep(0)  # requests are served in between
        good = [one for one in entries if isinstance(one, Entry)]
        states = await _known(tx, [one.userid for one in good])
        await self._note_owners(tx, good)
        for line, entry in zip(lines, entries, strict=True):
            outcome = self._outcome(states, entry)
            if isinstance(outcome, UmsError):
                self._reject(line, outcome)
            else:
                self.of[outcome] += 1
                self._share(line, cast("Entry", entry))

    async def _note_owners(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Remember who has the addresses of these entries already."""
        wanted = {value for one in entries for _, value in _emails(one)}
        rows = await tx.rows(_HOLDERS, {"r": rows_json((one,) for one in wanted)})
        for row in rows:
            self._owners.setdefault((row.bind_id, row.value), row.userid)

    def _share(self, line: Line, entry: Entry) -> None:
        self.userids.add(entry.userid)
        for place in _emails(entry):
            other = self._owners.setdefault(place, entry.userid)
            if other != entry.userid:
                self.shared += 1
                if len(self.shared_examples) < TOLD:
                    shown = SharedRow(line.number, entry.userid, place[1], other)
                    self.shared_examples.append(shown)

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
            self.examples.append(InvalidRow(line.number, line.cells, error.words(self._language)))


def _emails(entry: Entry) -> list[tuple[str, str]]:
    """The bind id and address of each address that the entry sets."""
    return [
        (change.slot[1], value)
        for change in entry.changes
        if change.slot[0] == "email"
        for value in change.values
    ]


async def _known(tx: Tx, userids: list[str]) -> dict[str, State]:
    rows = await tx.rows(_KNOWN, {"r": rows_json((one,) for one in dict.fromkeys(userids))})
    states = {row.userid: State(row.id, False, row[2], {}, {}) for row in rows}
    await fill(tx, {state.id: state for state in states.values()})
    return states


async def dry_run(system: AppContext, import_id: int, language: str = "en") -> DryRun:
    """Count what the draft would do as the users are now. Raises NotFound, Conflict, Invalid."""
    row, file = await file_of(system, import_id)
    columns = columns_of(row)
    check_columns(columns)
    rights = Rights(await system.directory.now())
    Table(columns, row.bind_id, rights).check()
    async with sheet_reader.reading(
        file, system.settings, 0, columns, row.sheet, row.header_row
    ) as reader:
        head = await reader.next()
        if not isinstance(head, Head):
            raise sheet_reader.lost()
        count = _Count(Table(head.columns, row.bind_id, rights, head.header), language)
        while isinstance(item := await reader.next(), Batch):
            async with system.database.read() as tx:
                await count.batch(tx, item.lines)
    return DryRun(
        size=sum(count.of.values()),
        examples=count.examples,
        users=len(count.userids),
        shared=count.shared,
        shared_examples=count.shared_examples,
        **count.of,
    )
