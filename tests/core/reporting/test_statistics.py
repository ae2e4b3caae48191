"""Statistics: every recipient counts once, whatever they are grouped by."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import touch
from ums.core.reporting import statistics
from ums.core.reporting.reports import STATES
from ums.core.reporting.statistics_sql import Asked, By
from ums.core.senders.senders import NewSender, create
from ums.core.tables import channels as channel_rows
from ums.core.tables import deliveries, messages
from ums.core.tables import senders as sender_rows
from ums.core.tables.states import FINAL
from ums.errors import Invalid

LOST = {
    "invalid": ("no_user", "no_address", "duplicate"),
    "failed": ("no_mailbox", "policy"),
    "expired": ("greylisted",),
    "unknown": ("unknown_outcome",),
    "cancelled": ("retracted",),
    "suppressed": ("bounced",),
}
START = int(datetime(2026, 3, 7, 12, tzinfo=UTC).timestamp() * 1000)


async def prepare(system: AppContext) -> tuple[list[int], list[int]]:
    """Two channels, the second of which counts what was submitted as delivered; two senders."""
    for name in ("A", "B"):
        await channels.create(system, name, name)
        given = NewSender(
            code=f"S{name}",
            name=f"S{name}",
            host="smtp.example.org",
            port=25,
            encryption="none",
            from_address="a@b.org",
            channels=[name],
        )
        await create(system, given)
    rules = msgspec.json.encode(ChannelPolicy(submitted_is_delivered=True)).decode()
    async with system.database.write() as tx:
        await tx.run(update(channel_rows).where(channel_rows.c.key == "B").values(rules=rules))
        await touch(tx)
        own = [row.id for row in await tx.rows(select(channel_rows.c.id))]
        out = [row.id for row in await tx.rows(select(sender_rows.c.id))]
    system.directory.forget()
    return sorted(own), sorted(out)


async def fill(system: AppContext, own: Sequence[int], out: Sequence[int], count: int) -> list[Any]:
    """`count` messages over three days: (msgid, channel, sender, accepted, states) of each."""
    dice = random.Random(7)
    made: list[Any] = []
    async with system.database.write() as tx:
        for number in range(count):
            at = START + dice.randrange(3 * clock.DAY)
            channel = dice.choice(own)
            sender = out[own.index(channel)]
            found = [_outcome(dice) for _ in range(dice.randrange(20))]
            pending = dice.choice((0, 0, 0, 5))
            message = {
                "msgid": f"m{number}",
                "channel_id": channel,
                "sender_id": sender,
                "audience": "{}",
                "content": '{"subject":"s","text":"t"}',
                "options": "{}",
                "priority": 2,
                "on_unknown": "hold",
                "cursor": 0,
                "accepted_at": at,
                "state": "accepted" if pending else "expanded",
                "audience_size": len(found) + pending,
                "expires_at": at + clock.DAY,
            }
            id = await tx.value(insert(messages).returning(messages.c.id), message)
            for place, (state, reason) in enumerate(found):
                row = {
                    "message_id": id,
                    "sender_id": sender,
                    "userid": "",
                    "state": state,
                    "address": f"a{place}@d{place % 3}.org" if place != 7 else "",
                    "reason": reason,
                    "priority": 2,
                    "due_at": at,
                    "epoch": 0,
                    "counted_tries": 0,
                    "tries": 0,
                    "unknown_count": 0,
                    "created_at": at,
                    "updated_at": at,
                }
                await tx.run(insert(deliveries), row)
            made.append((f"m{number}", channel, sender, at, found, pending))
    return made


def _outcome(dice: random.Random) -> tuple[str, str]:
    state = dice.choice(STATES)
    return state, dice.choice(LOST.get(state, ("",)))


async def ask(system: AppContext, by: By, **more: Any) -> statistics.StatsReport:
    asked = Asked(by=by, **{"since": 0, "until": START + 9 * clock.DAY, **more})
    async with system.database.read() as tx:
        return await statistics.statistics(tx, await system.directory.now(), asked)


def check(row: statistics.Stats, of: list[Any], delivered: set[int]) -> None:
    """`row` is what the messages `of` add up to."""
    states = Counter(state for one in of for state, _ in one[4])
    assert row.states == dict(states)
    assert row.messages == len(of)
    assert row.pending == sum(one[5] for one in of)
    assert row.target == row.pending + states.total()
    assert row.valid == states.total() - states["invalid"] - states["suppressed"]
    assert row.submitted == states["sent"]
    assert row.delivered == sum(
        state == "sent" for one in of if one[1] in delivered for state, _ in one[4]
    )
    assert row.retracted == states["cancelled"]
    assert row.waiting == sum(states[state] for state in STATES if state not in FINAL)
    losses = Counter(outcome for one in of for outcome in one[4] if outcome[0] in LOST)
    assert {(loss.state, loss.reason): loss.count for loss in row.losses} == dict(losses)
    lost = Counter[str]()
    for loss in row.losses:
        lost[loss.step] += loss.count
    assert row.target == row.pending + row.valid + lost["valid"]
    assert row.valid == row.submitted + row.waiting + lost["submitted"]


async def test_the_sums_are_exact_however_they_are_grouped(system: AppContext) -> None:
    own, out = await prepare(system)
    made = await fill(system, own, out, 60)
    delivered = {own[1]}
    zone = "Asia/Kathmandu"  # days that begin at a quarter past the hour
    ways: list[tuple[By, dict[str, Any], Any]] = [
        ("message", {}, lambda one: one[0]),
        ("channel", {}, lambda one: "AB"[own.index(one[1])]),
        ("sender", {}, lambda one: ["SA", "SB"][out.index(one[2])]),
        ("type", {}, lambda _: "email"),
        ("day", {"since": START}, lambda one: local(one[3], "UTC")[:10]),
        ("day", {"since": START, "zone": zone}, lambda one: local(one[3], zone)[:10]),
    ]
    for by, more, key in ways:
        report = await ask(system, by, **more)
        groups: dict[str, list[Any]] = {}
        for one in made:
            groups.setdefault(key(one), []).append(one)
        rows = {row.key: row for row in report.items}
        assert set(groups) <= set(rows)
        for name, row in rows.items():
            check(row, groups.get(name, []), delivered)
        check(report.total, made, delivered)
    hours = await ask(system, "hour", since=START, until=START + clock.DAY)
    assert len(hours.items) == 24
    check(hours.total, [one for one in made if one[3] < START + clock.DAY], delivered)
    assert sum(row.target for row in hours.items) == hours.total.target


async def test_domains_are_counted_and_the_small_ones_together(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, out = await prepare(system)
    made = await fill(system, own, out, 40)
    expected: dict[str, Counter[str]] = {}
    for one in made:
        for place, (state, _) in enumerate(one[4]):
            domain = f"d{place % 3}.org" if place != 7 else ""
            expected.setdefault(domain, Counter())[state] += 1
    report = await ask(system, "domain")
    assert {row.key: row.states for row in report.items} == expected
    check(report.total, made, {own[1]})
    sizes = [row.target for row in report.items]
    assert sizes == sorted(sizes, reverse=True)
    assert all(row.messages <= len(made) and row.pending == 0 for row in report.items)
    monkeypatch.setattr(statistics, "DOMAINS", 2)
    *large, others = (await ask(system, "domain")).items
    assert others.key == "*"
    assert [row.target for row in (*large, others)] == [*sizes[:2], sum(sizes[2:])]


def local(at: int, zone: str) -> str:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).isoformat()


async def test_what_is_filtered(system: AppContext) -> None:
    own, out = await prepare(system)
    made = await fill(system, own, out, 30)
    delivered = {own[1]}
    middle = START + clock.DAY
    for more, wanted in (
        ({"channels": frozenset({own[0]})}, lambda one: one[1] == own[0]),
        ({"channels": frozenset[int]()}, lambda one: False),
        ({"sender": out[1]}, lambda one: one[2] == out[1]),
        ({"msgid": "m7"}, lambda one: one[0] == "m7"),
        ({"since": middle}, lambda one: one[3] >= middle),
        ({"until": middle}, lambda one: one[3] < middle),
    ):
        for by in ("message", "channel", "sender"):
            report = await ask(system, by, **more)  # type: ignore[arg-type]
            check(report.total, [one for one in made if wanted(one)], delivered)


async def test_messages_come_in_parts(system: AppContext) -> None:
    own, out = await prepare(system)
    made = await fill(system, own, out, 9)
    asked = Asked(by="message", since=0, until=START + 9 * clock.DAY)
    names: list[str] = []
    after = None
    for _ in range(5):
        async with system.database.read() as tx:
            report = await statistics.statistics(
                tx, await system.directory.now(), asked, after=after, limit=2
            )
        check(report.total, made, {own[1]})
        names += [row.key for row in report.items]
        after = report.next
    assert after is None
    assert names == [one[0] for one in made[::-1]]


async def test_days_are_those_of_the_wall_clock(system: AppContext) -> None:
    """On 2026-03-08 New York's clocks went forward: that day has 23 hours."""
    zone = ZoneInfo("America/New_York")
    since = int(datetime(2026, 3, 7, 12, tzinfo=zone).timestamp() * 1000)
    until = int(datetime(2026, 3, 10, tzinfo=zone).timestamp() * 1000)
    days = await ask(system, "day", since=since, until=until, zone="America/New_York")
    assert [row.key for row in days.items] == ["2026-03-07", "2026-03-08", "2026-03-09"]
    since = int(datetime(2026, 3, 8, tzinfo=zone).timestamp() * 1000)
    until = int(datetime(2026, 3, 9, tzinfo=zone).timestamp() * 1000)
    hours = await ask(system, "hour", since=since, until=until, zone="America/New_York")
    assert len(hours.items) == 23
    assert [row.key for row in hours.items][1:3] == [
        "2026-03-08T01:00-05:00",
        "2026-03-08T03:00-04:00",
    ]


async def test_each_channel_s_days_are_those_of_its_own_zone(system: AppContext) -> None:
    own, out = await prepare(system)
    one_zone = statistics.zones_of(await system.directory.now(), None)
    assert one_zone == {"UTC": None}
    zones = dict(zip(own, ("Asia/Shanghai", "America/New_York"), strict=True))
    async with system.database.write() as tx:
        for id, zone in zones.items():
            rules = msgspec.json.encode(ChannelPolicy(zone=zone)).decode()
            await tx.run(update(channel_rows).where(channel_rows.c.id == id).values(rules=rules))
        await touch(tx)
    system.directory.forget()
    made = await fill(system, own, out, 60)
    now = await system.directory.now()
    until = START + 2 * clock.DAY + 10 * 3_600_000  # 22:00 UTC: the next day in Shanghai
    asked = Asked(by="day", since=START, until=until)
    async with system.database.read() as tx:
        found = await statistics.own_days(tx, now, asked)
        only = await statistics.own_days(
            tx, now, msgspec.structs.replace(asked, channels=frozenset(own[1:]))
        )
        none = await statistics.own_days(
            tx, now, msgspec.structs.replace(asked, channels=frozenset())
        )
    counted = [one for one in made if one[3] < until]
    days: dict[str, list[Any]] = {}
    for one in counted:
        days.setdefault(local(one[3], zones[one[1]])[:10], []).append(one)
    assert [row.key for row in found.report.items] == sorted(days)
    assert len(days) == 4
    for row in found.report.items:
        check(row, days[row.key], set())
    check(found.report.total, counted, set())
    today = {own[0]: "2026-03-10", own[1]: "2026-03-09"}
    assert found.today.key == "2026-03-09"
    check(
        found.today,
        [one for one in counted if local(one[3], zones[one[1]])[:10] == today[one[1]]],
        set(),
    )
    assert [row.key for row in only.report.items] == ["2026-03-07", "2026-03-08", "2026-03-09"]
    check(only.report.total, [one for one in counted if one[1] == own[1]], set())
    assert {row.messages for row in none.report.items} == {0}


@pytest.mark.parametrize(
    "more",
    [
        {"by": "day", "since": 0},
        {"by": "hour", "since": START - 40 * clock.DAY},
        {"by": "day", "since": START, "zone": "Moon/Base"},
        {"by": "day", "since": START, "zone": "../../etc/passwd"},
        {"by": "day", "since": START, "zone": ""},
    ],
)
async def test_what_cannot_be_asked(system: AppContext, more: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as error:
        await ask(system, **more)
    assert error.value.reason == "bad_filter"
