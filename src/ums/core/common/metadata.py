"""Single values of the whole installation, by their names (the table `meta`).

Several workers may write one at the same moment, so each is written in one statement.
"""

from typing import Final

from sqlalchemy import delete, select

from ums.core.tables import meta
from ums.db import Statement, Tx

HELD: Final = "restored_at"  # the time of the backup; nothing is claimed while it stands
_PUT = Statement(
    "INSERT INTO meta (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_PUT_FIRST = Statement(
    "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
)


async def value(tx: Tx, name: str) -> str | None:
    """What stands under `name`; None where nothing does."""
    return await tx.value(select(meta.c.value).where(meta.c.name == name))


async def put(tx: Tx, name: str, value: str) -> None:
    await tx.run(_PUT, {"name": name, "value": value})


async def put_first(tx: Tx, name: str, value: str) -> bool:
    """Write `value` unless somebody did so before; True when it is ours that stands there."""
    return (await tx.run(_PUT_FIRST, {"name": name, "value": value})).count > 0


async def remove(tx: Tx, name: str) -> bool:
    """True when something stood there."""
    return (await tx.run(delete(meta).where(meta.c.name == name))).count > 0


async def is_held(tx: Tx) -> bool:
    """Tell whether sending is held because the database is a restored backup."""
    return await value(tx, HELD) is not None
