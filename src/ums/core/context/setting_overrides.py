"""Settings that administrators changed while UMS runs, as the database has them."""

from typing import Any, Final

from sqlalchemy import select

from ums.config import SettingsError, read_setting
from ums.core.tables import meta
from ums.db import Tx

PREFIX: Final = "setting:"  # of their names in `meta`


async def load(tx: Tx) -> dict[str, Any]:
    """By their names in `Settings`. One that this version cannot use is passed over."""
    found: dict[str, Any] = {}
    for row in await tx.rows(select(meta).where(meta.c.name.startswith(PREFIX))):
        name = row.name.removeprefix(PREFIX)
        try:
            found[name] = read_setting(name, row.value)
        except (SettingsError, KeyError):
            continue
    return found
