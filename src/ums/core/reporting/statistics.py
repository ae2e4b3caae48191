"""Statistics: the funnel of what was asked for, and where it was lost (ums-spec 5.5).

    target > valid > submitted > delivered > clicked

Each recipient counts once, with its message: on the day and in the hour in which the message was
accepted. The numbers add up: target = pending + the sum of `states`, and each loss is a reason
for which target became no valid one, or a valid one was not submitted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from ums import clock
from ums.core.common.pagination import Page, number, page_size
from ums.core.context.directory import Snapshot
from ums.core.reporting.statistics_sql import (
    LOSSES,
    MESSAGES,
    PAGES,
    STATES,
    Asked,
    By,
    params_of,
    shape_of,
)
from ums.core.tables.states import FINAL, NEVER_VALID, DeliveryState
from ums.db import Tx
from ums.errors import Detail, Invalid

DAYS, HOURS = 400, 24 * 31  # the most rows of a series
DOMAINS = 200  # the largest; the others are one row
OTHERS = "*"


class Loss(Struct, frozen=True):
    """How many were lost at a step, for a reason."""

    step: Annotated[str, Meta(description="`valid` or `submitted`: what they did not become.")]
    state: str
    reason: str
    count: int


class Stats(Struct, frozen=True):
    """A row of the statistics."""

    key: Annotated[
        str,
        Meta(
            description="A msgid, a ChannelKey, a sender's code or type, a recipients' domain, a"
            " day or an hour."
        ),
    ]
    messages: int
    target: Annotated[int, Meta(description="Recipients.")]
    valid: Annotated[int, Meta(description="Those with an address that passed all checks.")]
    waiting: Annotated[int, Meta(description="Valid ones whose outcome is not settled.")]
    submitted: Annotated[int, Meta(description="Taken by the receiving server.")]
    delivered: Annotated[
        int, Meta(description="Told by a receipt, or submitted where that counts as delivered.")
    ]
    clicked: int
    retracted: Annotated[int, Meta(description="Stopped before they went out.")]
    pending: Annotated[int, Meta(description="Recipients that have no delivery yet.")]
    states: Annotated[dict[str, int], Meta(description="Deliveries by state.")]
    losses: list[Loss]


class StatsReport(Struct, frozen=True):
    """Statistics in rows, and all of them together."""

    items: list[Stats]
    total: Stats
    next: Annotated[str | None, Meta(description="`after` of the following part; null: none.")]


async def statistics(
    tx: Tx, snapshot: Snapshot, asked: Asked, *, after: str | None = None, limit: int = 500
) -> StatsReport:
    """The statistics that `asked` wants. Only those by message come in parts. Raises Invalid."""
    page_size(limit)
    if asked.by in ("day", "hour"):
        return await _series(tx, snapshot, asked)
    total = _Sum("total")
    if asked.by == "domain":
        return await _domains(tx, snapshot, asked)
    if asked.by == "type":
        return await _types(tx, snapshot, asked)
    if asked.by != "message":
        sums = await _sums(tx, snapshot, asked)
        for one in sums.values():
            total.add(one)
        names = _names(snapshot, asked.by)
        rows = [one.shown(names.get(group, str(group))) for group, one in sums.items()]
        return StatsReport(sorted(rows, key=lambda row: row.key), total.shown("total"), None)
    total = await _total(tx, snapshot, asked)
    page = await _messages(tx, asked, after, limit)
    sums = await _sums(tx, snapshot, asked, [id for id, _ in page.items])
    empty = _Sum("")
    rows = [sums.get(id, empty).shown(msgid) for id, msgid in page.items]
    return StatsReport(rows, total.shown("total"), page.next)


def _names(snapshot: Snapshot, by: By) -> dict[int, str]:
    if by == "channel":
        return {id: channel.key for id, channel in snapshot.channel_ids.items()}
    return {id: sender.code for id, sender in snapshot.senders.items()}


async def _total(tx: Tx, snapshot: Snapshot, asked: Asked) -> "_Sum":
    total = _Sum("total")
    for one in (await _sums(tx, snapshot, msgspec.structs.replace(asked, by="channel"))).values():
        total.add(one)
    return total


async def _types(tx: Tx, snapshot: Snapshot, asked: Asked) -> StatsReport:
    sums = await _sums(tx, snapshot, msgspec.structs.replace(asked, by="sender"))
    types: dict[str, _Sum] = {}
    total = _Sum("total")
    for id, one in sums.items():
        sender = snapshot.senders.get(id)
        name = sender.type if sender is not None else str(id)
        types.setdefault(name, _Sum(name)).add(one)
        total.add(one)
    rows = [one.shown(name) for name, one in sorted(types.items())]
    return StatsReport(rows, total.shown("total"), None)


async def _domains(tx: Tx, snapshot: Snapshot, asked: Asked) -> StatsReport:
    """The domains with the most recipients; "" are recipients without an address. A message
    counts in each domain that it goes to."""
    sums: dict[str, _Sum] = await _sums(tx, snapshot, asked)
    by_size = sorted(sums, key=lambda name: (-sum(sums[name].states.values()), name))
    rows = [sums[name].shown(name) for name in by_size[:DOMAINS]]
    if len(by_size) > DOMAINS:
        others = _Sum(OTHERS)
        for name in by_size[DOMAINS:]:
            others.add(sums[name])
        rows.append(others.shown(OTHERS))
    return StatsReport(rows, (await _total(tx, snapshot, asked)).shown("total"), None)


async def _series(tx: Tx, snapshot: Snapshot, asked: Asked) -> StatsReport:
    total, rows = _Sum("total"), list[Stats]()
    for name, one in await _in_order(tx, snapshot, asked):
        total.add(one)
        rows.append(one.shown(name))
    return StatsReport(rows, total.shown("total"), None)


async def _in_order(tx: Tx, snapshot: Snapshot, asked: Asked) -> list[tuple[str, "_Sum"]]:
    """Every day or hour of the range, also those without a message."""
    buckets = _buckets(asked)
    sums = await _sums(tx, snapshot, asked, buckets)
    return [(name, sums.get(start, _Sum(name))) for start, _, name in buckets]


class OwnDays(Struct, frozen=True):
    """The days of several channels. `today` adds up the day that each has now; its key is the
    earliest of these days, which differ while midnight goes round the world."""

    report: StatsReport
    today: Stats


async def own_days(tx: Tx, snapshot: Snapshot, asked: Asked) -> OwnDays:
    """Statistics by day, each channel's by the clock of its own zone; days of the same date are
    one row. Raises Invalid."""
    days: dict[str, _Sum] = {}
    total, today, dates = _Sum("total"), _Sum("today"), list[str]()
    for zone, channels in zones_of(snapshot, asked.channels).items():
        part = msgspec.structs.replace(asked, by="day", zone=zone, channels=channels)
        found = await _in_order(tx, snapshot, part)
        for name, one in found:
            days.setdefault(name, _Sum(name)).add(one)
            total.add(one)
        for name, one in found[-1:]:
            today.add(one)
            dates.append(name)
    rows = [one.shown(name) for name, one in sorted(days.items())]
    report = StatsReport(rows, total.shown("total"), None)
    return OwnDays(report, today.shown(min(dates, default="")))


def zones_of(
    snapshot: Snapshot, channels: frozenset[int] | None
) -> dict[str, frozenset[int] | None]:
    """The zones that these channels go by, by name, with the channels of each; None: all there
    are. UTC where there is no channel."""
    found: dict[str, set[int]] = {}
    for id, channel in snapshot.channel_ids.items():
        if channels is None or id in channels:
            found.setdefault(channel.rules.zone, set()).add(id)
    if len(found) < 2:  # no need to name the channels
        return {next(iter(found), "UTC"): channels}
    return {zone: frozenset(found[zone]) for zone in sorted(found)}


def _buckets(asked: Asked) -> list[tuple[int, int, str]]:
    """(start, end, name) of every day or hour of the range, by the wall clock of its zone."""
    zone = zone_of(asked.zone)
    step = timedelta(days=1) if asked.by == "day" else timedelta(hours=1)
    most = DAYS if asked.by == "day" else HOURS
    if asked.until - asked.since > most * step.total_seconds() * 1000:
        raise Invalid("bad_filter", field="since", detail=Detail(f"at_most_{asked.by}s", most=most))
    found: list[tuple[int, int, str]] = []
    at = _floor(datetime.fromtimestamp(asked.since / 1000, zone), asked.by)
    while _ms(at) < asked.until:
        following = _next(at, step, asked.by, zone)
        name = at.date().isoformat() if asked.by == "day" else at.isoformat(timespec="minutes")
        found.append((_ms(at), _ms(following), name))
        at = following
    return found


def zone_of(name: str) -> ZoneInfo:
    """Raises Invalid for what is no time zone of the IANA list."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid("bad_filter", field="zone", detail=Detail("not_a_zone")) from None


def _floor(moment: datetime, by: By) -> datetime:
    first = moment.replace(minute=0, second=0, microsecond=0)
    return first.replace(hour=0, fold=0) if by == "day" else first


def _next(at: datetime, step: timedelta, by: By, zone: ZoneInfo) -> datetime:
    if by == "day":  # the next midnight, however long the day is
        return (at.replace(tzinfo=None) + step).replace(tzinfo=zone)
    return datetime.fromtimestamp(at.timestamp() + step.total_seconds(), zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# -- what is counted ------------------------------------------------------------------------------


class _Sum:
    """Counts of one row."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages = self.pending = self.delivered = 0
        self.states: dict[str, int] = {}
        self.losses: dict[tuple[str, str], int] = {}

    def add(self, other: "_Sum") -> None:
        self.messages += other.messages
        self.pending += other.pending
        self.delivered += other.delivered
        for state, count in other.states.items():
            self.states[state] = self.states.get(state, 0) + count
        for loss, count in other.losses.items():
            self.losses[loss] = self.losses.get(loss, 0) + count

    def shown(self, key: str) -> Stats:
        states = self.states
        target = self.pending + sum(states.values())
        never = sum(states.get(state, 0) for state in NEVER_VALID)
        waiting = sum(count for state, count in states.items() if state not in FINAL)
        return Stats(
            key=key,
            messages=self.messages,
            target=target,
            valid=target - self.pending - never,
            waiting=waiting,
            submitted=states.get(DeliveryState.SENT, 0),
            delivered=self.delivered,
            clicked=0,  # no links are followed
            retracted=states.get(DeliveryState.CANCELLED, 0),
            pending=self.pending,
            states=dict(sorted(states.items())),
            losses=[_loss(*loss, count) for loss, count in sorted(self.losses.items())],
        )


def _loss(state: str, reason: str, count: int) -> Loss:
    return Loss("valid" if state in NEVER_VALID else "submitted", state, reason, count)


async def _sums(
    tx: Tx, snapshot: Snapshot, asked: Asked, only: Sequence[Any] | None = None
) -> dict[Any, _Sum]:
    """By group; `only` are the messages or the times that are wanted."""
    if only is not None and not only:
        return {}
    params = params_of(asked, only)
    sums: dict[Any, _Sum] = {}
    for group, channel, state, count in await tx.rows(STATES[shape_of(asked)], params):
        one = sums.setdefault(group, _Sum(""))
        one.states[state] = one.states.get(state, 0) + count
        channel_rules = snapshot.channel_ids[channel].rules
        if state == DeliveryState.SENT and channel_rules.submitted_is_delivered:
            one.delivered += count
    for group, state, reason, count in await tx.rows(LOSSES[shape_of(asked)], params):
        sums.setdefault(group, _Sum("")).losses[state, reason] = count
    for group, messages, pending in await tx.rows(MESSAGES[shape_of(asked)], params):
        one = sums.setdefault(group, _Sum(""))
        one.messages, one.pending = messages, int(pending)
    return sums


async def _messages(tx: Tx, asked: Asked, after: str | None, limit: int) -> Page[tuple[int, str]]:
    place = 2**62 if after is None else number(after, "after")
    params = {**params_of(asked, None), "after": place, "limit": limit + 1}
    rows = await tx.rows(PAGES[shape_of(asked)], params)
    found = [(int(id), str(msgid)) for id, msgid in rows[:limit]]
    return Page(found, str(found[-1][0]) if len(rows) > limit else None)


def default_since(by: By, until: int) -> int:
    """Where statistics begin when nobody says it: a day ago for hours, else 30 days ago."""
    return until - (clock.DAY if by == "hour" else 30 * clock.DAY)
