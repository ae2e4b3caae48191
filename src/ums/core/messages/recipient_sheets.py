"""Spreadsheets of a message's recipients, kept while the message is being written.

They lie beside the files of imports, in the same table (state `list`), and go after a week like
drafts of imports do. Each is its operator's alone.
"""

import asyncio
from pathlib import Path
from typing import IO

from msgspec import Struct
from sqlalchemy import insert, select

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.imports.columns import Choice, look
from ums.core.imports.runner import is_kept
from ums.core.imports.uploads import discard, keep_stream
from ums.core.spreadsheets import reader
from ums.core.tables import imports
from ums.core.users.fields import ALL
from ums.errors import Invalid


class KeptList(Struct, frozen=True):
    """A list that was uploaded: what it was called, and how many rows it has."""

    id: int
    name: str
    size: int
    file: Path


async def keep(system: AppContext, operator_id: int, source: IO[bytes], name: str) -> KeptList:
    """Keep what an operator uploads. Raises Invalid for a file that is no spreadsheet."""
    copy, digest = await keep_stream(system.settings, source, name)
    try:
        await reader.check(copy, system.settings)
        found = await look(system, copy, Choice())
        shown = "".join(char if char.isprintable() else " " for char in name)[:200]
        row = {
            **found.values(),
            "file": str(copy),
            "name": shown,
            "digest": digest,
            "bind_id": ALL,
            "state": "list",
            "detail": "",
            "owner": _owner(operator_id),
            **dict.fromkeys(("cursor", "added", "changed", "unchanged", "rejected"), 0),
            "created_at": clock.now(),
        }
        async with system.database.write() as tx:
            id = await tx.value(insert(imports).returning(imports.c.id), row)
        return KeptList(id, shown, found.sight.size, copy)
    finally:
        if not await is_kept(system, copy):
            await discard(copy)


async def find(system: AppContext, operator_id: int, id: int) -> KeptList:
    """Raises Invalid for a list that is not there any more, or another operator's."""
    mine = (imports.c.id == id) & (imports.c.state == "list")
    query = select(imports).where(mine & (imports.c.owner == _owner(operator_id)))
    async with system.database.read() as tx:
        row = await tx.first(query)
    if row is None or not await asyncio.to_thread(Path(row.file).exists):
        raise Invalid("list_gone", field="list")
    return KeptList(row.id, row.name, row.size, Path(row.file))


def _owner(operator_id: int) -> str:
    return f"operator:{operator_id}"
