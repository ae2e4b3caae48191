"""The first page: how things stand, and what needs somebody."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get
from litestar.response import ServerSentEvent
from msgspec import Struct

from ums import clock
from ums.console.dependencies import System, Visitor
from ums.console.live_updates import live
from ums.console.rendering import AnyRequest, page, render
from ums.core.common import metadata
from ums.core.identity import operator_access
from ums.core.identity.operators import ADMINISTRATOR
from ums.core.identity.principals import Principal
from ums.core.imports import drafts
from ums.core.messages import approval, auto_pause
from ums.core.reporting import reports, statistics
from ums.core.reporting.delivery_eta import Forecast, forecast
from ums.core.reporting.reports import MessageInfo
from ums.core.reporting.statistics import OwnDays, Stats
from ums.core.reporting.statistics_sql import Asked
from ums.core.senders import mailboxes, reputation, senders
from ums.core.senders.status import SenderStatus
from ums.core.tables.states import DeliveryState, MessageState
from ums.core.users import users

DAYS: Final = 14
FEW: Final = 20  # refusals that may be chance


class Notice(Struct, frozen=True):
    """Something that needs somebody; `word` is among the words of this page."""

    word: str
    where: str
    values: dict[str, object] = {}
    bad: bool = False
    dismiss: str = ""  # where to say that it was seen


@get("/home", scope="any")
async def home(request: AnyRequest, system: System, visitor: Visitor) -> Response[str]:
    caller = visitor.caller
    now = clock.now()
    asked = Asked(
        by="day", since=now - (DAYS - 1) * clock.DAY, until=now + 1, channels=caller.channels
    )

    async def count() -> OwnDays:
        async with system.database.read() as tx:
            return await statistics.own_days(tx, caller.snapshot, asked)

    zones = [*statistics.zones_of(caller.snapshot, caller.channels)]
    counted = await system.recent.get(("home", caller.channels, *zones), count)
    report, today = counted.report, counted.today
    async with system.database.read() as tx:
        steps = await _steps(tx, system, visitor)
        running = await _running(tx, caller)
    days = report.items
    return page(
        request,
        "home.html",
        days=days,
        today=today,
        zone=", ".join(zones),
        zones=zones,
        most=max((day.target for day in days), default=0),
        total=report.total,
        running=running,
        notices=[*await _notices(system, visitor), *_of_refusals(days, today)],
        steps=None if report.total.messages else steps,
    )


async def _running(tx: Any, caller: Principal) -> list[tuple[MessageInfo, Forecast | None]]:
    found: list[MessageInfo] = []
    for state in (MessageState.EXPANDING, MessageState.SENDING):
        page = await reports.list_messages(tx, caller.channels, state=state, limit=5)
        found += page.items
    return [(one, await forecast(tx, caller.snapshot, one)) for one in found[:5]]


@get("/home/live", scope="any")
async def live_home(request: AnyRequest, system: System, visitor: Visitor) -> ServerSentEvent:
    """What is running."""

    async def look() -> tuple[str, bool]:
        async with system.database.read() as tx:
            running = await _running(tx, visitor.caller)
        return render(request, "messages/_running.html", running=running), not running

    return live(request, look)


def _of_refusals(days: Sequence[Stats], now: Stats) -> list[Notice]:
    """Whether more is refused today than was usual: it begins so when a list is stale, or when a
    receiver takes the mail for spam."""
    before = [(_failed(day), day.submitted) for day in days if day.key < now.key]
    failed = _failed(now)
    tried = failed + now.submitted
    usual = sum(bad for bad, _ in before) / max(1, sum(map(sum, before)))
    if failed < FEW or failed / tried < max(0.05, 2 * usual):
        return []
    share = round(100 * failed / tried)
    return [Notice("refusals", "/statistics?by=day", {"share": share, "count": failed}, bad=True)]


def _failed(day: Stats) -> int:
    return sum(loss.count for loss in day.losses if loss.state == DeliveryState.FAILED)


async def _steps(tx: Any, system: Any, visitor: Any) -> dict[str, bool]:
    """What a new installation still needs: each with whether it is done."""
    caller = visitor.caller
    own = [one for one in caller.snapshot.senders.values() if one.type != "sandbox"]
    safe = {"factor": ADMINISTRATOR in operator_access.required_roles(system)}
    return {
        "channel": any(caller.sees(id) for id in caller.snapshot.channel_ids),
        "sender": bool(own),
        "users": await users.any_there(tx),
        "send": False,
        **(safe if visitor.may_protect else {}),
    }


async def _notices(system: Any, visitor: Any) -> list[Notice]:
    found: list[Notice] = []
    async with system.database.read() as tx:
        if await metadata.is_held(tx):
            found.append(Notice("restored", "/restored", bad=True))
    if visitor.may("senders:read") and visitor.caller.channels is None:
        found += _of_senders(await senders.list_senders(system))
        found += await _of_bounces(system)
        found += await _of_mailboxes(system)
        found += await _of_imports(system, may_dismiss=visitor.may("users:write"))
    if visitor.may("messages:read"):
        found += await _of_paused(system, visitor.caller)
    if visitor.may("messages:approve"):
        waiting = await approval.list_waiting(system, visitor.caller.channels, limit=100)
        if waiting.items:
            count = f"{len(waiting.items)}{'+' if waiting.next else ''}"
            found.append(Notice("approvals", "/approvals", {"count": count}))
    return found


def _of_senders(known: list[senders.SenderInfo]) -> list[Notice]:
    found = [
        Notice(
            f"sender_{one.status}",
            f"/senders/{one.code}",
            {"name": one.name},
            bad=one.status in _BAD,
        )
        for one in known
        if one.status not in (SenderStatus.READY, SenderStatus.HELD)  # the notice of the backup
    ]
    return sorted(found, key=lambda notice: not notice.bad)


_BAD: Final = (SenderStatus.SUSPENDED, SenderStatus.COOLDOWN)


async def _of_bounces(system: Any) -> list[Notice]:
    """Senders on their way to be stopped."""
    known = (await system.directory.now()).sender_codes
    return [
        Notice(
            "bounces",
            f"/senders/{code}",
            {
                "name": known[code].name,
                "count": one.mails,
                "bounced": one.bounced,
                "complained": one.complained,
            },
        )
        for code, one in (await reputation.standings(system)).items()
        if one.verdict == "warn" and code in known and known[code].suspended_at is None
    ]


async def _of_mailboxes(system: Any) -> list[Notice]:
    """Mailboxes that cannot be looked into."""
    known = (await system.directory.now()).sender_codes
    return [
        Notice("mailbox", f"/senders/{code}", {"name": known[code].name})
        for code in await mailboxes.in_trouble(system)
        if code in known
    ]


async def _of_paused(system: Any, caller: Principal) -> list[Notice]:
    """Messages that UMS itself paused."""
    async with system.database.read() as tx:
        found = await auto_pause.paused_by_us(tx, caller.channels, 3)
        shown = [await reports.message(tx, msgid, caller.channels) for msgid in found]
    return [
        Notice(
            f"halted_{one.halt_reason}",
            f"/messages/{one.msgid}",
            {"subject": one.subject or one.msgid},
            bad=True,
        )
        for one in shown
        if one.halt_reason
    ]


async def _of_imports(system: Any, *, may_dismiss: bool) -> list[Notice]:
    async with system.database.read() as tx:
        found = await drafts.in_need(tx, clock.now() - clock.DAY, 5)
    return [
        Notice(
            "failed" if one.state == "failed" else "rejects",
            f"/imports/{one.id}",
            {"name": one.name, "count": f"{one.rejected:,}"},
            bad=one.state == "failed",
            dismiss=f"/imports/{one.id}/dismiss" if may_dismiss else "",
        )
        for one in found
    ]


handlers = [home, live_home]
