"""Statistics: the funnel and the losses, by channel, sender, its type, domain, day and hour."""

from typing import Any, Final

from litestar import Response, get

from ums import clock
from ums.console.exporting import CSV, MARK, lines, saved_as
from ums.console.forms import Form
from ums.console.pages import AnyRequest, page
from ums.console.shapes import System, Visitor
from ums.core import stats
from ums.core.callers import Caller
from ums.core.stats import StatsReport
from ums.core.stats_sql import Asked
from ums.core.visibility import bind_names

BY: Final = ("day", "hour", "channel", "sender", "type", "domain")
DAYS: Final = (1, 7, 30, 90)
_COLUMNS: Final = (
    "key",
    "messages",
    "target",
    "pending",
    "valid",
    "waiting",
    "submitted",
    "delivered",
    "retracted",
)


@get("/statistics", scope="stats:read")
async def statistics(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    form = _form(request)
    report = await _report(system, visitor.caller, form)
    return page(
        request,
        "statistics.html",
        report=report,
        form=form,
        names=bind_names(visitor.caller),
        most=max((one.target for one in report.items), default=0),
        most_lost=max((loss.count for loss in report.total.losses), default=1),
        by=BY,
        days=DAYS,
        zone=_zone(visitor.caller, form),
    )


@get("/statistics.csv", scope="stats:read")
async def export(request: AnyRequest, system: System, visitor: Visitor) -> Response[bytes]:
    report = await _report(system, visitor.caller, _form(request))
    rows = [[getattr(one, name) for name in _COLUMNS] for one in (*report.items, report.total)]
    content = (MARK + lines([_COLUMNS, *rows])).encode()
    return Response(content, media_type=CSV, headers=saved_as("statistics.csv"))


def _form(request: AnyRequest) -> Form:
    query = request.query_params
    by, days = query.get("by", "day"), query.get("days", "30")
    by = by if by in BY else "day"
    days = days if days in map(str, DAYS) else "30"
    if by == "hour":
        days = "1"
    return Form({"by": by, "days": days, "channel": query.get("channel", "")})


def _zone(caller: Caller, form: Form) -> str:
    """The clock that days go by: the channel's, or the one that all channels have."""
    chosen = form.value("channel")
    seen = [
        channel.rules.zone
        for key, channel in caller.snapshot.channels.items()
        if caller.sees(channel.id) and chosen in ("", key)
    ]
    return seen[0] if len(set(seen)) == 1 else "UTC"


async def _report(system: Any, caller: Caller, form: Form) -> StatsReport:
    now = clock.now()
    by: Any = form.value("by")
    asked = Asked(
        by=by,
        since=now - int(form.value("days")) * clock.DAY,
        until=now + 1,
        channels=caller.among(form.value("channel") or None),
        zone=_zone(caller, form),
    )

    async def count() -> StatsReport:
        async with system.database.read() as tx:
            return await stats.statistics(tx, caller.snapshot, asked)

    key = ("statistics", by, form.value("days"), asked.channels, asked.zone)
    return await system.recent.get(key, count)


handlers = [statistics, export]
