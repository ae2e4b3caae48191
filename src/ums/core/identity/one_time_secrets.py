"""Secrets that are shown once: kept sealed for the operator who made them, until it says that it
has them or a few minutes are over. So a page that is loaded again neither loses a secret nor makes
another one."""

from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import one_time_secrets
from ums.db import to_json
from ums.errors import Invalid

LIFE: Final = 10 * clock.MINUTE
KINDS: Final = ("channel", "rotated", "token", "invitation", "recovery", "callback", "webhook")


class Shown(Struct, frozen=True):
    """A secret with what its page says beside it."""

    id: int
    kind: str
    values: dict[str, Any]


async def keep(system: AppContext, operator_id: int, kind: str, **values: object) -> int:
    """Keep what a page is about to show, for this operator alone; its id."""
    sealed = system.seal.close(to_json(values), context(operator_id, kind))
    now = clock.now()
    row = {"operator_id": operator_id, "kind": kind, "sealed": sealed, "expires_at": now + LIFE}
    async with system.database.write() as tx:
        await tx.run(delete(one_time_secrets).where(one_time_secrets.c.expires_at <= now))
        return int(await tx.value(insert(one_time_secrets).returning(one_time_secrets.c.id), row))


async def find(system: AppContext, operator_id: int, id: int) -> Shown | None:
    """None for one that is over or acknowledged, and for another operator's."""
    mine = (one_time_secrets.c.id == id) & (one_time_secrets.c.operator_id == operator_id)
    async with system.database.read() as tx:
        row = await tx.first(
            select(one_time_secrets).where(mine, one_time_secrets.c.expires_at > clock.now())
        )
    if row is None:
        return None
    try:
        text = system.seal.open(row.sealed, context(operator_id, row.kind))
    except Invalid:  # the key is another one by now
        return None
    return Shown(row.id, row.kind, msgspec.json.decode(text))


async def forget(system: AppContext, operator_id: int, id: int) -> None:
    """The operator has it."""
    mine = (one_time_secrets.c.id == id) & (one_time_secrets.c.operator_id == operator_id)
    async with system.database.write() as tx:
        await tx.run(delete(one_time_secrets).where(mine))


def context(operator_id: int, kind: str) -> str:
    """What binds a sealed secret to its operator and its kind."""
    return f"shown once {kind} {operator_id}"
