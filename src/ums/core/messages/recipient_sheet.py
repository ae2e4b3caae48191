"""A spreadsheet of those whom one message is for, without making users of them.

Of its columns one holds addresses or userids; what else stands in a row are values of that one
recipient, under the column's name, for a template's variables.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from msgspec import Struct

from ums.core.common.identifiers import is_userid
from ums.core.context.app_context import AppContext
from ums.core.imports.uploads import discard, keep_stream
from ums.core.messages.new_message import MAX_RECIPIENTS, Recipient
from ums.core.spreadsheets import reader as sheet_reader
from ums.core.spreadsheets.headings import BOTH, letters
from ums.core.spreadsheets.protocol import Batch, Line, Sight
from ums.errors import Invalid
from ums.mail.addresses import BadAddress, clean

TOLD: Final = 5  # wrong rows that are named
_VARIABLE: Final = re.compile(r"[^\W\d]\w{0,99}").fullmatch


class MailingList(Struct, frozen=True):
    """Whom the rows name, in their order, and the rows that name nobody."""

    recipients: list[Recipient]
    wrong: list[str]


class _Columns(Struct, frozen=True):
    """Where in a row things stand."""

    address: int | None
    userid: int | None
    variables: dict[int, str]


async def read(
    system: AppContext, source: IO[bytes], name: str, *, with_variables: bool = False
) -> MailingList:
    """The list in the spreadsheet `source`, which was called `name`.

    Raises Invalid for a file that is none, one without a column of addresses or userids, and one
    of more than MAX_RECIPIENTS.
    """
    copy, _ = await keep_stream(system.settings, source, name)
    try:
        await sheet_reader.check(copy, system.settings)
        return await read_file(system, copy, with_variables=with_variables)
    finally:
        await discard(copy)


async def read_file(system: AppContext, file: Path, *, with_variables: bool = False) -> MailingList:
    """The same of a file that is kept and was checked."""
    sight = await sheet_reader.look(file, system.settings, 0)
    columns = _columns(sight)
    if sight.size > MAX_RECIPIENTS:
        raise Invalid("list_long", limit=MAX_RECIPIENTS)
    names = [header or letters(place) for place, header in enumerate(sight.header)]
    lines: list[Line] = []
    async with sheet_reader.reading(
        file, system.settings, 0, names, sight.sheet, sight.header_row
    ) as reader:
        await reader.next()  # the head
        while isinstance(item := await reader.next(), Batch):
            lines += item.lines
    return _listed(lines, columns, with_variables=with_variables)


def _columns(sight: Sight) -> _Columns:
    holds = ["email" if column == BOTH else column for column in sight.columns]
    address = holds.index("email") if "email" in holds else None
    userid = holds.index("userid") if "userid" in holds else None
    if address is None and userid is None:
        raise Invalid("list_columns", header=", ".join(cell[:40] for cell in sight.header[:10]))
    others = {
        place: header.strip()
        for place, header in enumerate(sight.header)
        if place not in (address, userid) and _VARIABLE(header.strip())
    }
    return _Columns(address, userid, others)


def _listed(lines: Sequence[Line], columns: _Columns, *, with_variables: bool) -> MailingList:
    recipients: list[Recipient] = []
    wrong: list[str] = []
    for line in lines:
        variables = _variables(line, columns) if with_variables else {}
        try:
            recipients.append(_recipient(line, columns, variables))
        except (BadAddress, ValueError):
            wrong.append(f"{line.number} ({_named(line, columns)[:60]})")
    return MailingList(recipients, wrong)


def _recipient(line: Line, columns: _Columns, variables: dict[str, Any]) -> Recipient:
    """By the address where the row has one, else by the userid."""
    address, userid = _cell(line, columns.address), _cell(line, columns.userid)
    if address:
        return Recipient(address=clean(address), variables=variables)
    if line.flaw or not is_userid(userid):
        raise ValueError(userid)
    return Recipient(userid=userid, variables=variables)


def _named(line: Line, columns: _Columns) -> str:
    return _cell(line, columns.address) or _cell(line, columns.userid) or "–"


def _cell(line: Line, place: int | None) -> str:
    return "" if place is None or place >= len(line.cells) else line.cells[place].strip()


def _variables(line: Line, columns: _Columns) -> dict[str, Any]:
    cells = ((name, _cell(line, place)) for place, name in columns.variables.items())
    return {name: cell for name, cell in cells if cell}
