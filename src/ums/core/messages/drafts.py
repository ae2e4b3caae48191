"""Messages that operators are writing: kept until they are sent or thrown away."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.identity.principals import Principal
from ums.core.messages.new_message import MessageRequest
from ums.core.tables import drafts
from ums.db import to_json
from ums.errors import NotFound, TooLarge

KEPT = 20  # of one operator, the newest
LARGEST = 4 * 1024 * 1024  # characters of a form that is being typed
_EMPTY = to_json(MessageRequest())


class Draft(Struct, frozen=True):
    """A message that is being written."""

    id: int
    channel_id: int
    content: MessageRequest
    form: dict[str, Any] | None  # what was typed since, which may not be a message yet
    updated_at: str
    msgid: str | None  # of the message it became

    @property
    def subject(self) -> str:
        return str((self.form or {}).get("subject") or self.content.subject or "")


async def save(
    system: AppContext,
    operator_id: int,
    channel_id: int,
    content: MessageRequest,
    id: int | None = None,
) -> int:
    """Keep a new draft, or the draft `id` as it is now; its id. Raises NotFound."""
    text = to_json(content)
    return await _save(system, operator_id, id, channel_id, {"content": text, "form": None})


async def save_form(
    system: AppContext,
    operator_id: int,
    channel_id: int,
    form: dict[str, Any],
    id: int | None = None,
) -> int:
    """Keep what was typed, whether or not it is a message by now; the draft's id. Raises NotFound,
    and TooLarge."""
    text = to_json(form)
    if len(text) > LARGEST:
        raise TooLarge("too_large", limit=LARGEST)
    return await _save(system, operator_id, id, channel_id, {"form": text})


async def _save(
    system: AppContext, operator_id: int, id: int | None, channel_id: int, given: dict[str, Any]
) -> int:
    values = {**given, "channel_id": channel_id, "updated_at": clock.now()}
    async with system.database.write() as tx:
        if id is not None:
            mine = (drafts.c.id == id) & (drafts.c.operator_id == operator_id)
            open = mine & drafts.c.msgid.is_(None)
            if (await tx.run(update(drafts).where(open).values(values))).count == 0:
                raise NotFound("draft_gone")
            return id
        row = {"content": _EMPTY, **values, "operator_id": operator_id}
        made = int(await tx.value(insert(drafts).returning(drafts.c.id), row))
        mine = drafts.c.operator_id == operator_id
        newest = select(drafts.c.id).where(mine).order_by(drafts.c.id.desc()).limit(KEPT)
        await tx.run(delete(drafts).where(mine, drafts.c.id.not_in(newest)))
        return made


async def find(system: AppContext, caller: Principal, id: int) -> Draft:
    """Raises NotFound for a draft that is not there, another operator's, or of a channel that the
    caller does not see any more."""
    mine = (drafts.c.id == id) & (drafts.c.operator_id == caller.operator_id)
    async with system.database.read() as tx:
        row = await tx.first(select(drafts).where(mine))
    if row is None or not caller.sees(row.channel_id):
        raise NotFound("draft_gone")
    return _draft(row)


async def list_drafts(system: AppContext, caller: Principal) -> list[Draft]:
    """The caller's drafts that are not sent, of the channels that it sees, the newest first."""
    mine = (drafts.c.operator_id == caller.operator_id) & drafts.c.msgid.is_(None)
    query = select(drafts).where(mine).order_by(drafts.c.updated_at.desc())
    async with system.database.read() as tx:
        rows = await tx.rows(query)
    return [_draft(row) for row in rows if caller.sees(row.channel_id)]


async def sent(system: AppContext, id: int, msgid: str) -> None:
    """It became a message."""
    async with system.database.write() as tx:
        await tx.run(update(drafts).where(drafts.c.id == id).values(msgid=msgid))


async def remove(system: AppContext, operator_id: int, id: int) -> None:
    mine = (drafts.c.id == id) & (drafts.c.operator_id == operator_id)
    async with system.database.write() as tx:
        await tx.run(delete(drafts).where(mine))


def _draft(row: Any) -> Draft:
    content = msgspec.json.decode(row.content, type=MessageRequest)
    form = None if row.form is None else msgspec.json.decode(row.form, type=dict[str, Any])
    return Draft(row.id, row.channel_id, content, form, clock.iso(row.updated_at), row.msgid)
