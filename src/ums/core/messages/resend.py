"""Sending a message's failed deliveries once more, because somebody says so."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import update

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.deliveries import quarantine, transitions
from ums.core.messages.approval import is_needed
from ums.core.messages.control import Tally, locked, message_id, tally
from ums.core.messages.scheduling import lifetime
from ums.core.tables import messages
from ums.core.tables.states import Halt
from ums.core.users.audience import read_audience
from ums.db import Statement, Tx, rows_json
from ums.errors import Invalid

STATES = transitions.RESEND.sources
CHUNK = 5_000

_FILTER = " AND (:any OR reason IN (SELECT n.reason FROM $rows(n: reason text)))"
_OF = (
    "SELECT * FROM (SELECT id FROM deliveries WHERE message_id = :message AND state = '{0}'"
    " AND :{0} AND id > :after" + _FILTER + " ORDER BY id LIMIT :limit) AS of_{0}"
)
_END = Statement(
    "SELECT max(id) FROM (SELECT id FROM ("
    + " UNION ALL ".join(_OF.format(state) for state in STATES)
    + ") AS found ORDER BY id LIMIT :limit) AS chunk"
)
# Whoever asks decides on one more copy; the next doubt is for whoever asks next (I4).
_AGAIN = transitions.RESEND.statement(
    "UPDATE deliveries SET state = $to,"
    " reason = CASE WHEN reason = 'expired' THEN '' ELSE reason END, due_at = :at,"
    " counted_tries = 0,"
    " unknown_count = CASE WHEN state = 'unknown' AND unknown_count = 0 THEN 1"
    " ELSE unknown_count END,"
    " updated_at = :at WHERE message_id = :message AND id > :after AND id <= :last"
    " AND state IN ($from) AND state IN (SELECT s.state FROM $rows(s: state text))" + _FILTER
)


class Resent(Tally, frozen=True, kw_only=True):
    """How many deliveries were put back into the queue, and the message since."""

    resent: int


async def resend(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    *,
    states: Sequence[str] = (),
    reasons: Sequence[str] = (),
    actor: str | None = None,
) -> Resent:
    """Queue again what ended in one of `states` and for one of `reasons`. Without either it is
    what failed; with reasons alone, in any of the three states.

    The history of attempts is kept, the schedule of retries begins anew, and a message whose life
    is over gets a new one. Raises NotFound; Invalid for other states, for a halted message,
    and (resend_unapproved) for one that needs an approval now and never had one.
    """
    chosen = set(states or (STATES if reasons else STATES[:1]))
    if not chosen <= set(STATES):
        raise Invalid("resend_states", field="state")
    if any("\x00" in reason for reason in reasons):
        raise Invalid("bad_value", field="reason")
    which: dict[str, object] = {state: state in chosen for state in STATES}
    which["s"] = rows_json((state,) for state in sorted(chosen))
    which["n"] = rows_json((reason,) for reason in reasons)
    which["any"] = not reasons
    count = await _in_chunks(system, channel_id, msgid, which, actor)
    system.wake.set()
    async with system.database.read() as tx:
        found = await tally(tx, await message_id(tx, channel_id, msgid))
    return Resent(**structs.asdict(found), resent=count)


async def _in_chunks(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    which: dict[str, object],
    actor: str | None,
) -> int:
    """By id, so that each row comes once, though it may fail again meanwhile."""
    count, after = 0, 0
    while True:
        async with system.database.write() as tx:
            row = await locked(tx, channel_id, msgid)
            _check(row, await system.directory.channel(row.channel_id))
            which |= {"message": row.id, "after": after}
            after = await tx.value(_END, {**which, "limit": CHUNK})
            if after is None:
                if not count:
                    none: dict[str, object] = {}
                    await audit_log.note(
                        tx, "message.resend", msgid, before=none, after=none, actor=actor
                    )
                return count
            await _revive(tx, row)
            await quarantine.pardon(tx, row.id)
            done = await tx.run(_AGAIN, {**which, "last": after, "at": clock.now()})
            told = f"{done.count} deliveries"
            was, now = {"ended": done.count}, {"waiting": done.count}
            await audit_log.note(
                tx, "message.resend", msgid, told, before=was, after=now, actor=actor
            )
        count += done.count


def _check(row: Any, channel: Channel) -> None:
    audience = read_audience(row.audience)
    if not row.approved_by and not row.halt and is_needed(channel, row.origin, audience):
        raise Invalid("resend_unapproved")
    if row.halt == Halt.PAUSED:
        raise Invalid("message_paused")
    if row.halt == Halt.APPROVAL:
        raise Invalid("awaits_approval")
    if row.halt:
        raise Invalid("message_stopped", halt=row.halt)


async def _revive(tx: Tx, row: Any) -> None:
    now = clock.now()
    if row.expires_at <= now:
        end = now + lifetime(broadcast=row.broadcast)
        await tx.run(update(messages).where(messages.c.id == row.id).values(expires_at=end))
