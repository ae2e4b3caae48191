"""Statistics: the funnel and the losses, by channel, sender, its type, domain, day and hour."""

from typing import Any, Final

from litestar import Response, get

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.export import CSV, MARK, lines, saved_as
from ums.console.forms import Form
from ums.console.rendering import AnyRequest, page
from ums.core.audit import audit_log
from ums.core.identity.principals import Principal
from ums.core.reporting import statistics as stats
from ums.core.reporting.statistics import StatsReport
from ums.core.reporting.statistics_sql import Asked
from ums.core.users.visibility import bind_names

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


@get("/statistics", scope="stats:read", channels="own")
async def statistics(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    form = _form(request)
    report = await _report(system, visitor.caller, form)
    zones = _zones(visitor.caller, form)
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
        zone=", ".join(zones),
        zones=zones,
    )


@get("/statistics.csv", scope="stats:read", channels="own")
async def export(request: AnyRequest, system: System, visitor: Visitor) -> Response[bytes]:
    form = _form(request)
    report = await _report(system, visitor.caller, form)
    channel = form.value("channel") or "all channels"
    audit_log.about(f"{channel}, {form.value('days')} days by {form.value('by')}")
    rows = [[getattr(one, name) for name in _COLUMNS] for one in (*report.items, report.total)]
    content = (MARK + lines([_heads(visitor.caller, form), *rows])).encode()
    return Response(content, media_type=CSV, headers=saved_as("statistics.csv"))


def _form(request: AnyRequest) -> Form:
    query = request.query_params
    by, days = query.get("by", "day"), query.get("days", "30")
    by = by if by in BY else "day"
    days = days if days in map(str, DAYS) else "30"
    if by == "hour":
        days = "1"
    return Form({"by": by, "days": days, "channel": query.get("channel", "")})


def _heads(caller: Principal, form: Form) -> list[str]:
    """The heads of the file's columns; that of days and hours says by whose clock they are."""
    if form.value("by") not in ("day", "hour"):
        return [*_COLUMNS]
    return [f"key ({', '.join(_zones(caller, form))})", *_COLUMNS[1:]]


def _zones(caller: Principal, form: Form) -> list[str]:
    """The clocks that days go by: the channels' own. Hours need one for all, or else UTC."""
    zones = [*stats.zones_of(caller.snapshot, caller.among(form.value("channel") or None))]
    return zones if form.value("by") != "hour" or len(zones) == 1 else ["UTC"]


async def _report(system: Any, caller: Principal, form: Form) -> StatsReport:
    now = clock.now()
    by: Any = form.value("by")
    zones = _zones(caller, form)
    asked = Asked(
        by=by,
        since=now - int(form.value("days")) * clock.DAY,
        until=now + 1,
        channels=caller.among(form.value("channel") or None),
        zone=zones[0],
    )

    async def count() -> StatsReport:
        async with system.database.read() as tx:
            if by == "day":
                return (await stats.own_days(tx, caller.snapshot, asked)).report
            return await stats.statistics(tx, caller.snapshot, asked)

    key = ("statistics", by, form.value("days"), asked.channels, *zones)
    return await system.recent.get(key, count)


handlers = [statistics, export]
