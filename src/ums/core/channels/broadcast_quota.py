"""How many broadcasts a channel may send in a day of its zone (ums-spec 2.4, code 1015029)."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core.channels.quiet_hours import today
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import broadcast_usage
from ums.db import Statement, Tx, rows_json
from ums.errors import Refused

KEPT = 40 * clock.DAY

_TAKE = Statement(
    "INSERT INTO broadcast_usage (channel_id, day, broadcasts)"
    " SELECT r.channel_id, r.day, r.count"
    " FROM $rows(r: channel_id bigint, day text, count int) WHERE true"
    " ON CONFLICT (channel_id, day) DO UPDATE SET"
    " broadcasts = broadcast_usage.broadcasts + excluded.broadcasts"
    " RETURNING channel_id, day, broadcasts"
)
_FORGET = Statement("DELETE FROM broadcast_usage WHERE day < :over")


class Quota(Struct, frozen=True):
    """What one broadcast takes: one of the day's `limit`."""

    channel_id: int
    day: str
    limit: int


def quota_of(channel: Channel, *, broadcast: bool) -> Quota | None:
    """The quota that a message of the channel takes from; None when it takes from none."""
    limit = channel.rules.broadcasts_per_day
    if not broadcast or limit == 0:
        return None
    return Quota(channel.id, today(channel.rules, clock.now()), limit)


async def used(system: AppContext, quota: Quota) -> int:
    """Count the broadcasts of the quota's day so far; whether one more fits, `take` decides."""
    mine = (broadcast_usage.c.channel_id == quota.channel_id) & (broadcast_usage.c.day == quota.day)
    async with system.database.read() as tx:
        return int(await tx.value(select(broadcast_usage.c.broadcasts).where(mine)) or 0)


async def take(tx: Tx, quotas: Iterable[Quota]) -> None:
    """Count broadcasts. Raises Refused when one is over its quota; roll back then: nothing of
    the transaction may stay. Rows are locked in one order, so that processes do not deadlock."""
    wanted = Counter(quotas)
    if not wanted:
        return
    counts: Counter[tuple[int, str]] = Counter()
    for quota, count in wanted.items():
        counts[quota.channel_id, quota.day] += count
    rows = sorted((*key, count) for key, count in counts.items())
    taken = await tx.rows(_TAKE, {"r": rows_json(rows)})
    total = {(row.channel_id, row.day): row.broadcasts for row in taken}
    for quota in wanted:
        if total[quota.channel_id, quota.day] > quota.limit:
            raise Refused("broadcast_quota", limit=quota.limit)


async def forget(tx: Tx) -> None:
    """Drop the counts of days long gone."""
    await tx.run(_FORGET, {"over": clock.iso(clock.now() - KEPT)[:10]})
