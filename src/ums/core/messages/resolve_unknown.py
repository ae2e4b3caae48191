"""Unknown outcomes that somebody found out about: in the Sent folder, or by asking."""

from collections.abc import Sequence

from msgspec import structs

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.deliveries import transitions
from ums.core.messages.control import Tally, locked, tally
from ums.core.tables.states import DeliveryState as State
from ums.core.webhooks import outbox
from ums.db import Statement, Tx, rows_json

CHUNK = 2_000
_UNKNOWN = Statement(
    "SELECT id FROM deliveries WHERE message_id = :message AND state = 'unknown' AND id > :after"
    " AND (:any OR id IN (SELECT r.id FROM $rows(r: id bigint))) ORDER BY id LIMIT :limit"
)
_RESOLVE = transitions.RESOLVE.statement(
    "UPDATE deliveries SET state = $to, reason = :reason, updated_at = :at"
    " FROM $rows(r: id bigint) WHERE deliveries.id = r.id AND deliveries.state IN ($from)"
    " RETURNING deliveries.id"
)


class Resolved(Tally, frozen=True, kw_only=True):
    """How many deliveries were unknown and are so no more, and the message since."""

    resolved: int


async def resolve(
    system: AppContext,
    channel_id: int | None,
    msgid: str,
    *,
    arrived: bool,
    only: Sequence[int] | None = None,
    actor: str | None = None,
) -> Resolved:
    """Say of the message's unknown deliveries, or of those in `only`, that they arrived (`sent`) or
    did not (`failed`, to be resent if somebody wants). Its callback is told. Raises NotFound."""
    count, after = 0, 0
    while True:
        async with system.database.write() as tx:
            message = (await locked(tx, channel_id, msgid)).id
            found = await _chunk(tx, message, only, after)
            if not found:
                if not count:
                    await audit_log.note(
                        tx, "message.resolve", msgid, before={}, after={}, actor=actor
                    )
                break
            after = found[-1]
            count += await _settle(tx, found, arrived=arrived)
            word = "arrived" if arrived else "did not arrive"
            told = f"{len(found)} {word}"
            was: dict[str, object] = {State.UNKNOWN: len(found)}
            now: dict[str, object] = {_state(arrived=arrived): len(found)}
            await audit_log.note(
                tx, "message.resolve", msgid, told, before=was, after=now, actor=actor
            )
    async with system.database.read() as tx:
        since = await tally(tx, message)
    return Resolved(**structs.asdict(since), resolved=count)


async def _chunk(tx: Tx, message: int, only: Sequence[int] | None, after: int) -> list[int]:
    which: dict[str, object] = {"message": message, "after": after, "limit": CHUNK}
    which |= {"any": only is None, "r": rows_json((id,) for id in only or ())}
    return [row[0] for row in await tx.rows(_UNKNOWN, which)]


async def _settle(tx: Tx, ids: list[int], *, arrived: bool) -> int:
    state, reason = _state(arrived=arrived), "" if arrived else "not_received"
    params: dict[str, object] = {"state": state, "reason": reason, "at": clock.now()}
    moved = await tx.rows(_RESOLVE, {**params, "r": rows_json((id,) for id in ids)})
    await outbox.note(tx, [(row[0], outbox.OF_STATE[state]) for row in moved])
    return len(moved)


def _state(*, arrived: bool) -> State:
    return State.SENT if arrived else State.FAILED
