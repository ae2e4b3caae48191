"""Which sheet and header of a spreadsheet are meant, and what its columns hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import select

from ums.core.context.app_context import AppContext
from ums.core.spreadsheets import reader
from ums.core.spreadsheets.headings import BOTH, COLUMNS, is_attribute, letters, normal
from ums.core.spreadsheets.protocol import Sight
from ums.core.tables import imports
from ums.db import Tx, to_json
from ums.errors import Detail, Invalid

Sheet = Annotated[str, Meta(max_length=200)]
HeaderRow = Annotated[int, Meta(ge=0, le=1_048_576)]
"""As the spreadsheet program counts; 0: there are no headings."""
_SHOWN = 60  # characters of a heading in an error


class Choice(Struct, frozen=True):
    """What a caller says of a file; what is not said is found out."""

    sheet: str | None = None
    header_row: int | None = None  # as the spreadsheet program counts; 0: no row
    fields: Mapping[str, str] = {}  # by heading, or the letter of a column: what it holds
    ignore: Sequence[str] = ()  # headings, or letters


class Look(Struct, frozen=True):
    """A file as it is to be read."""

    sight: Sight
    columns: list[str]

    def over(self, columns: list[str], choice: Choice) -> "Look":
        """The same with what `choice` says in place of some of `columns`."""
        return Look(self.sight, _chosen(self.sight.header, columns, choice))

    def values(self) -> dict[str, Any]:
        """The columns of the table of imports that say so."""
        return {
            "sheet": self.sight.sheet,
            "header_row": self.sight.header_row,
            "header": header_of(self.sight),
            "size": self.sight.size,
            "mapping": to_json(self.columns),
        }


async def look(
    system: AppContext, file: Path, choice: Choice, *, remembered: bool = False, show: int = 0
) -> Look:
    """Look into the file and settle what its columns hold: as chosen, else, if `remembered`, as
    with the last file of this header, else as the headings say. Raises Invalid."""
    sight = await reader.look(file, system.settings, show, choice.sheet, choice.header_row)
    columns = sight.columns
    if remembered and any(sight.header):
        async with system.database.read() as tx:
            columns = await _remembered(tx, header_of(sight)) or columns
    if choice.fields or choice.ignore:
        columns = _chosen(sight.header, columns, choice)
    return Look(sight, columns)


def header_of(sight: Sight) -> str:
    """The header as it is stored: the headings as they stand."""
    return to_json(sight.header)


async def _remembered(tx: Tx, header: str) -> list[str] | None:
    """What the columns of the last file with this header held."""
    started = imports.c.state.notin_(("draft", "list", "failed")) & imports.c.mapping.is_not(None)
    # Headers were kept in lower case once.
    same = select(imports.c.mapping).where(imports.c.header.in_([header, header.lower()]) & started)
    found = await tx.value(same.order_by(imports.c.id.desc()).limit(1))
    return None if found is None else msgspec.json.decode(found, type=list[str])


def _chosen(header: list[str], columns: list[str], choice: Choice) -> list[str]:
    fields = {_place(header, name): field.strip() for name, field in choice.fields.items()}
    fields |= dict.fromkeys((_place(header, name) for name in choice.ignore), "")
    taken = set(fields.values()) | ({"userid", "email"} if BOTH in fields.values() else set())
    if taken & {"userid", "email"}:
        taken.add(BOTH)
    # What is said of one column is no longer guessed of another.
    kept = ["" if column in taken else column for column in columns]
    if "userid" in fields.values() and BOTH in columns and "email" not in fields.values():
        kept[columns.index(BOTH)] = "email"
    return [fields.get(place, column) for place, column in enumerate(kept)]


def _place(header: list[str], name: str) -> int:
    """The place of the column with the heading `name`, or of the letter `name`. Raises Invalid."""
    wanted = normal(name)
    for place, heading in enumerate(header):
        if heading.strip() == name.strip() or (wanted and normal(heading) == wanted):
            return place
    for place in range(len(header)):
        if letters(place) == name.strip().upper():
            return place
    known = ", ".join(cell[:_SHOWN] for cell in header if cell)[:500]
    detail = Detail("columns_no_heading", name=name[:_SHOWN], known=known)
    raise Invalid("sheet_columns", field="columns", detail=detail)


def check_columns(columns: Sequence[str]) -> None:
    """Raises Invalid for names that there are not, or twice, or without a userid."""
    named = [name for name in columns if name]
    for name in named:
        if name not in COLUMNS and name != BOTH and not is_attribute(name):
            known = ", ".join((*COLUMNS, BOTH))
            raise _wrong("columns_unknown", name=name[:_SHOWN], known=known)
        if named.count(name) > 1:
            raise _wrong("columns_twice", name=name)
    if BOTH in named and (double := {"userid", "email"} & set(named)):
        raise _wrong("columns_twice", name=min(double))
    if not has_userid(named):
        raise _wrong("columns_no_userid")


def has_userid(columns: Sequence[str]) -> bool:
    return "userid" in columns or BOTH in columns


def _wrong(detail: str, **values: object) -> Invalid:
    return Invalid("sheet_columns", field="columns", detail=Detail(detail, **values))


def read_fields(given: Sequence[str]) -> dict[str, str]:
    """`COLUMN=FIELD`, each, as a command gives them; COLUMN may hold the mark. Raises Invalid."""
    found: dict[str, str] = {}
    for one in given:
        name, mark, field = one.rpartition("=")
        if not mark or not name.strip():
            raise Invalid("bad_map", text=one[:_SHOWN])
        found[name] = field
    return found
