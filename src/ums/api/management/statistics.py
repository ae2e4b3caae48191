"""Statistics: the funnel and the losses."""

from typing import Annotated

from litestar import get
from litestar.params import FromQuery, QueryParameter

from ums import clock
from ums.api.management.dependencies import Caller, ChannelKey, Moment, Paging, System, ms
from ums.core.reporting import statistics
from ums.core.reporting.statistics import StatsReport
from ums.core.reporting.statistics_sql import Asked, By
from ums.errors import NotFound

Zone = Annotated[str, QueryParameter(description="Whose wall clock days and hours go by.")]


@get("/api/stats", scope="stats:read", channels="own")
async def show_stats(
    system: System,
    caller: Caller,
    paging: Paging,
    by: FromQuery[By] = "day",
    channel: ChannelKey = None,
    sender: Annotated[str | None, QueryParameter(description="A sender's code.")] = None,
    message: Annotated[str | None, QueryParameter(description="A msgid.")] = None,
    since: Moment = None,
    until: Moment = None,
    zone: Zone = "UTC",
) -> StatsReport:
    """The funnel and the losses of what was accepted from `since` (30 days ago; by hour a day)
    until `until` (now), which is not in it. By `message` they come in parts, the newest first.
    """
    end = clock.now() if until is None else (ms(until, "until") or 0)
    begin = ms(since, "since")
    if begin is None:
        whole = message is not None and by not in ("day", "hour")
        begin = 0 if whole else statistics.default_since(by, end)
    asked = Asked(
        by=by,
        since=begin,
        until=end,
        channels=caller.among(channel),
        sender=None if sender is None else _sender(caller, sender),
        msgid=message,
        zone=zone,
    )
    async with system.database.read() as tx:
        return await statistics.statistics(
            tx, caller.snapshot, asked, after=paging.after, limit=paging.limit
        )


def _sender(caller: Caller, code: str) -> int:
    found = caller.snapshot.sender_codes.get(code)
    mine = caller.bind_ids()
    if found is None or (mine is not None and code not in mine):
        raise NotFound("sender_unknown", code=code[:30])
    return found.id


handlers = [show_stats]
