"""Whether the database is a restored backup, and keeping it from sending then (reliability.md,
threat 48).

A backup does not know what was sent after it was made: what waits in it may have gone out. So the
time is kept in two places, in the database and in a file beside it that is no part of a backup.
Where the file has seen a later time than the database, or where SQLite's file is not there while
the database was used before, nothing is sent until an operator says so.
"""

import asyncio
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import structlog
from msgspec import Meta, Struct
from sqlalchemy import and_, exists, func, or_, select, text

from ums import clock
from ums.core.audit import audit_chain, audit_log
from ums.core.common import metadata
from ums.core.common.durable_files import replace_file
from ums.core.common.metadata import HELD
from ums.core.tables import deliveries, messages
from ums.core.tables.states import WAITING
from ums.db import Database, Statement, Tx

if TYPE_CHECKING:
    from ums.config import Settings
    from ums.core.context.app_context import AppContext

log = structlog.get_logger()
FILE: Final = "ums.seen"
MOST: Final = 100_000  # deliveries that are counted
LISTED: Final = 100  # messages
# As the partial index has it: a parameter would have the database walk all messages.
_EXPANDING: Final = and_(text("messages.state <> 'expanded'"), messages.c.halt == "")
_INSTANCE: Final = "instance"
_SEEN: Final = "seen_at"

_SEE = Statement(
    "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE"
    # Several machines' clocks may differ; the time only goes on.
    " SET value = CASE WHEN CAST(meta.value AS bigint) > CAST(excluded.value AS bigint)"
    " THEN meta.value ELSE excluded.value END"
)


class Restored(Struct, frozen=True):
    """Whether sending is held because this is a restored backup."""

    backup_at: Annotated[
        str | None, Meta(description="When the backup was made; null: nothing is held.")
    ]
    waiting: Annotated[
        int, Meta(description=f"Recipients still to be sent to; at most {MOST} deliveries count.")
    ]
    messages: Annotated[
        list[str], Meta(description=f"The msgids of what waits, newest first; at most {LISTED}.")
    ] = []


async def check(database: Database, settings: "Settings") -> None:
    """Hold sending if the database is older than what was seen beside it. Called whenever the data
    folder is opened and before a worker begins: whoever looks first sees that it is held."""
    path = settings.data_dir / FILE
    # The file first: others of this machine write it after the database, so that what is read
    # here is never later than what stands there.
    known = await asyncio.to_thread(_read, path)
    async with database.write() as tx:
        await metadata.put_first(tx, _INSTANCE, secrets.token_hex(8))
        instance = await metadata.value(tx, _INSTANCE)
        seen = await metadata.value(tx, _SEEN)
        if known is None:  # on PostgreSQL it is a machine that joins the others
            older = settings.is_sqlite
        else:
            older = known.instance == instance and known.at > int(seen or 0)
        if seen is not None and older:
            await _hold(tx, int(seen))
    if seen is None:  # killed between the two, the first start must not look like a restored one
        await asyncio.to_thread(_write, path, str(instance), 0)
    await _note(database, path)


async def see(system: "AppContext") -> None:
    """Note the time in both places, as long as a worker runs."""
    await _note(system.database, system.settings.data_dir / FILE)


async def _note(database: Database, path: Path) -> None:
    """The database first, so that it is never behind."""
    now = clock.now()
    async with database.write() as tx:
        await tx.run(_SEE, {"name": _SEEN, "value": str(now)})
        instance = await metadata.value(tx, _INSTANCE)
    await asyncio.to_thread(_write, path, str(instance), now)


async def show(system: "AppContext") -> Restored:
    async with system.database.read() as tx:
        held = await metadata.value(tx, HELD)
        if held is None:
            return Restored(None, 0)
        waiting = await count_waiting(tx)
        return Restored(clock.iso(int(held)), waiting, await _messages_that_wait(tx))


async def count_waiting(tx: Tx) -> int:
    """How many recipients are still to be sent to, now or later: deliveries, at most `MOST`, and
    those of messages that have no deliveries yet."""
    waiting = select(deliveries.c.id).where(deliveries.c.state.in_(WAITING)).limit(MOST)
    made = int(await tx.value(select(func.count()).select_from(waiting.subquery())))
    return made + await _pending(tx)


async def _pending(tx: Tx) -> int:
    """Recipients of messages that are not stopped, who have no delivery yet."""
    made = select(func.count()).select_from(deliveries).join(messages).where(_EXPANDING)
    sizes = select(func.coalesce(func.sum(messages.c.audience_size), 0)).where(_EXPANDING)
    return max(int(await tx.value(sizes)) - int(await tx.value(made)), 0)


async def _messages_that_wait(tx: Tx) -> list[str]:
    """The newest messages of which something is still to be sent."""
    waits = exists().where(
        (deliveries.c.message_id == messages.c.id) & deliveries.c.state.in_(WAITING)
    )
    query = select(messages.c.msgid).where(or_(_EXPANDING, waits))
    rows = await tx.rows(query.order_by(messages.c.id.desc()).limit(LISTED))
    return [row.msgid for row in rows]


async def confirm(system: "AppContext", *, actor: str | None = None) -> Restored:
    """Send what waits after all, and go on with the audit log as the backup has it."""
    async with system.database.read() as tx:
        held = await metadata.is_held(tx)
    if held:
        await audit_chain.accept_older(system)
    async with system.database.write() as tx:
        if await metadata.remove(tx, HELD):
            before, after = {"held": True}, {"held": False}
            subject = "installation"
            await audit_log.note(
                tx, "restored.confirm", subject, before=before, after=after, actor=actor
            )
    system.wake.set()
    return await show(system)


async def _hold(tx: Tx, seen: int) -> None:
    if await metadata.put_first(tx, HELD, str(seen)):
        await audit_log.note(tx, "restored.hold", "installation", clock.iso(seen))
    log.warning("restored from a backup: nothing is sent until `ums restored confirm`")


class _Seen(NamedTuple):
    """What stands in the file."""

    instance: str
    at: int


def _write(path: Path, instance: str, at: int) -> None:
    replace_file(path, json.dumps({"instance": instance, "at": at}).encode())


def _read(path: Path) -> _Seen | None:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
        return _Seen(str(found["instance"]), int(found["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
