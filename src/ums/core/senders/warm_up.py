"""Warming a new account up: few mails a day at first, more each day that goes well, until it has a
name with the receivers (reliability.md 4.4 guards it on the way).

The plan is one more cap of the sender, by the day, whose count grows at the turn of each day.
"""

from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta
from sqlalchemy import select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.field_errors import Check, all_of
from ums.core.context.app_context import AppContext
from ums.core.senders import quota_ledger, reputation
from ums.core.tables import cap_usage as spent
from ums.core.tables import senders
from ums.db import Tx, to_json
from ums.errors import Detail, Invalid, NotFound, UmsError
from ums.mail.warm_up_plan import WarmUp, read

MOST_START: Final = 10**6
USED: Final = 0.5  # of a day's mails at least, for the next day to have more
ENDED: Final[dict[str, Any]] = {
    "warm_up": None,
    "warm_up_count": 0,
    "warm_up_day_ends_at": None,
    "warm_up_frozen": False,
}


class Warming(WarmUp, frozen=True, kw_only=True):
    """How far a sender is warmed up."""

    today: Annotated[int, Meta(description="Mails that it may send today.")]
    days: Annotated[int, Meta(description="More good days until the target.")]
    held: Annotated[
        bool, Meta(description="Its server refused it for sending too much: no more tomorrow.")
    ]


async def begin(system: AppContext, code: str, plan: WarmUp) -> None:
    """Warm the sender up from today on. Raises Invalid, NotFound."""
    for check in _checks(plan):
        check()
    ends = plan.cap(plan.start).period(clock.now())[1]
    values = {"warm_up": to_json(plan), "warm_up_count": plan.start}
    told = f"{plan.start} a day, {plan.growth} % more each, {plan.target} at last"
    await _set(
        system, code, {**ENDED, **values, "warm_up_day_ends_at": ends}, "sender.warm_up", told
    )


async def end(system: AppContext, code: str) -> None:
    """Let the sender send as much as its other limits have it. Raises NotFound."""
    await _set(system, code, ENDED, "sender.warm_up_end", "")


async def show(system: AppContext, code: str) -> Warming | None:
    """How far the sender is; None where it is not being warmed up. Raises NotFound."""
    query = select(senders).where(senders.c.code == code)
    async with system.database.read() as tx:
        row = await tx.first(query)
    if row is None:
        raise NotFound("sender_unknown", code=code)
    return None if row.warm_up is None else _shown(row)


async def grow(system: AppContext) -> None:
    """At the turn of the day: more for those of whom the day was good. It was when half of what
    was allowed was used, no server said that it was too much, and few addresses did not exist."""
    now = clock.now()
    due = select(senders).where(
        senders.c.warm_up.is_not(None), senders.c.warm_up_day_ends_at <= now
    )
    async with system.database.read() as tx:
        rows = await tx.rows(due)
    if not rows:
        return
    known = await reputation.standings(system)
    for row in rows:
        verdict = known[row.code].verdict if row.code in known else "good"
        async with system.directory.change() as tx:
            await _turn(tx, row, verdict, now)
        system.wake.set()


async def _turn(tx: Tx, row: Any, verdict: str, now: int) -> None:
    plan = read(row.warm_up)
    mine = (senders.c.id == row.id) & (senders.c.warm_up_day_ends_at == row.warm_up_day_ends_at)
    good = verdict == "good" and not row.warm_up_frozen and row.suspended_at is None
    count = row.warm_up_count
    if good and await _used(tx, row, plan) >= count * USED:
        if count >= plan.target:
            await tx.run(update(senders).where(mine).values({**ENDED, **quota_ledger.UNSPENT}))
            await audit_log.note(
                tx,
                "sender.warmed_up",
                row.code,
                f"{count} a day",
                before=_noted(row.warm_up, row.warm_up_count),
                after={},
                actor=audit_log.ENGINE,
            )
            return
        count = plan.after(count)
    elif verdict == "stop" or row.suspended_at is not None:
        count = plan.start
    values = {
        "warm_up_count": count,
        "warm_up_frozen": False,
        "warm_up_day_ends_at": plan.cap(1).period(now)[1],
    }
    await tx.run(update(senders).where(mine).values({**values, **quota_ledger.UNSPENT}))


async def _used(tx: Tx, row: Any, plan: WarmUp) -> int:
    """How many went on the day that is over."""
    cap = plan.cap(1)
    start = cap.period(row.warm_up_day_ends_at - 1)[0]
    mine = (
        (spent.c.sender_id == row.id) & (spent.c.cap == cap.key) & (spent.c.window_start == start)
    )
    return int(await tx.value(select(spent.c.used).where(mine)) or 0)


async def _set(
    system: AppContext, code: str, values: dict[str, Any], action: str, told: str
) -> None:
    mine = senders.c.code == code
    async with system.directory.change() as tx:
        row = await tx.first(select(senders).where(mine).with_for_update())
        if row is None:
            raise NotFound("sender_unknown", code=code)
        await tx.run(update(senders).where(mine).values({**values, **quota_ledger.UNSPENT}))
        before = _noted(row.warm_up, row.warm_up_count)
        after = _noted(values["warm_up"], values["warm_up_count"])
        await audit_log.note(tx, action, code, told, before=before, after=after)
    system.wake.set()


def _noted(plan: str | None, count: int) -> dict[str, object]:
    """What the audit log says of a plan; nothing where there is none."""
    return {} if plan is None else {**msgspec.structs.asdict(read(plan)), "today": count}


def errors_of(plan: WarmUp) -> list[UmsError]:
    """All that is wrong with a plan."""
    return all_of(_checks(plan))


def _checks(plan: WarmUp) -> list[Check]:
    """A check for each field."""
    least = plan.start if 1 <= plan.start <= MOST_START else 1
    return [
        lambda: _check_number("start", plan.start, 1, MOST_START),
        lambda: _check_number("growth", plan.growth, 1, 200),
        lambda: _check_number("target", plan.target, least, 10**7),
        lambda: _check_zone(plan),
    ]


def _check_number(field: str, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise Invalid("not_in_range", field=field, least=least, most=most)


def _check_zone(plan: WarmUp) -> None:
    try:
        ZoneInfo(plan.zone)
    except (ValueError, KeyError, OSError):
        raise Invalid("bad_rule", field="zone", detail=Detail("zone_name")) from None


def _shown(row: Any) -> Warming:
    plan, days, count = read(row.warm_up), 0, row.warm_up_count
    while count < plan.target:
        count, days = plan.after(count), days + 1
    held = bool(row.warm_up_frozen)
    return Warming(**msgspec.structs.asdict(plan), today=row.warm_up_count, days=days, held=held)
