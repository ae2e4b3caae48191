"""When a message starts, until when it is tried, and what is said about bad times."""

from typing import Any

import pytest
from sqlalchemy import select

from support.flow import Flow, open_flow
from support.queues import expanded, take
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.messages import control
from ums.core.messages.scheduling import BULK_LIFE, FARTHEST, SINGLE_LIFE, moment
from ums.core.reporting import reports
from ums.core.tables import messages
from ums.errors import Invalid


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def row_of(flow: Flow, msgid: str) -> Any:
    async with flow.system.database.read() as tx:
        return await tx.first(select(messages).where(messages.c.msgid == msgid))


async def pass_time(flow: Flow, monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + milliseconds)


async def test_a_scheduled_message_waits_for_its_time(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    msgid = await take(flow, starts_at=clock.now() + clock.HOUR)
    other = await take(flow)
    await expanded(flow)
    assert await flow.deliveries(msgid) == []
    assert await flow.counts(other) == {"queued": 1}
    async with flow.system.database.read() as tx:
        info = await reports.message(tx, msgid)
    row = await row_of(flow, msgid)
    assert (info.state, info.starts_at) == ("scheduled", clock.iso(row.starts_at))
    await pass_time(flow, monkeypatch, clock.HOUR + 1)
    await expanded(flow)
    assert await flow.counts(msgid) == {"queued": 1}


@pytest.mark.parametrize(("broadcast", "life"), [(False, SINGLE_LIFE), (True, BULK_LIFE)])
async def test_its_life_counts_from_the_start(flow: Flow, broadcast: bool, life: int) -> None:
    start = clock.now() + 10 * clock.DAY
    row = await row_of(flow, await take(flow, broadcast=broadcast, starts_at=start))
    assert (row.starts_at, row.expires_at) == (start, start + life)
    assert row.origin == "api"


async def test_a_start_that_has_just_passed_is_now(flow: Flow) -> None:
    row = await row_of(flow, await take(flow, starts_at=clock.now() - clock.SECOND))
    assert (row.starts_at, row.expires_at) == (0, row.accepted_at + SINGLE_LIFE)


async def test_deliver_by_is_the_end(flow: Flow) -> None:
    end = clock.now() + clock.MINUTE
    assert (await row_of(flow, await take(flow, deliver_by=end))).expires_at == end


@pytest.mark.parametrize("broadcast", [True, False])
@pytest.mark.parametrize("given", ["hold", "resend", None])
async def test_what_doubt_means_can_be_said(flow: Flow, broadcast: bool, given: str | None) -> None:
    row = await row_of(flow, await take(flow, broadcast=broadcast, on_unknown=given))
    assert row.on_unknown == (given or ("hold" if broadcast else "resend"))


async def test_v1_says_nothing_of_it(flow: Flow) -> None:
    extra = {"starts_at": clock.now() + clock.HOUR, "deliver_by": 1, "on_unknown": "hold"}
    row = await row_of(flow, await flow.send("a@x.cn", **extra))
    assert (row.starts_at, row.on_unknown) == (0, "resend")
    assert row.expires_at == row.accepted_at + SINGLE_LIFE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"starts_at": FARTHEST + clock.HOUR}, "starts_too_late"),
        ({"starts_at": -clock.DAY}, "starts_in_past"),
        ({"starts_at": -2 * clock.MINUTE}, "starts_in_past"),
        ({"deliver_by": 0}, "bad_deliver_by"),
        ({"deliver_by": -clock.HOUR}, "bad_deliver_by"),
        ({"starts_at": clock.HOUR, "deliver_by": clock.HOUR}, "bad_deliver_by"),
        ({"deliver_by": 2 * FARTHEST}, "bad_deliver_by"),
    ],
)
async def test_times_that_cannot_be(flow: Flow, changes: dict[str, int], reason: str) -> None:
    now = clock.now()
    with pytest.raises(Invalid) as refused:
        await take(flow, **{name: now + value for name, value in changes.items()})
    assert refused.value.reason == reason
    assert refused.value.values["field"] in changes


async def test_a_scheduled_message_that_is_cancelled_is_accounted_for_at_once(flow: Flow) -> None:
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(3)})
    msgid = await take(flow, broadcast=True, starts_at=clock.now() + clock.HOUR)
    assert (await control.cancel(flow.system, None, msgid)).stopped == 3
    await expanded(flow)
    assert await flow.counts(msgid) == {"cancelled": 3}


async def test_a_scheduled_message_that_is_paused_finds_its_audience_when_it_starts(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flow.add_users({"u1": "u1@x.cn"})
    msgid = await take(flow, broadcast=True, starts_at=clock.now() + clock.HOUR)
    assert (await control.pause(flow.system, None, msgid)).audience == 0
    await expanded(flow)
    assert await flow.deliveries(msgid) == []
    await flow.add_users({"u2": "u2@x.cn"})
    await pass_time(flow, monkeypatch, clock.HOUR + 1)
    await expanded(flow)
    assert await flow.counts(msgid) == {"paused": 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T08:00:00.250+08:00", 250),
        ("2026-10-25T02:30:00+02:00", 1792888200000),  # the clocks go back in that night
        ("2026-10-25T02:30:00+01:00", 1792891800000),
    ],
)
def test_times_are_read(text: str, told: int) -> None:
    assert moment(text, "at") == told


@pytest.mark.parametrize("text", ["", "soon", "2026-10-25T02:30:00", "2026-13-01T00:00:00Z", "1"])
def test_bad_times_are_not(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        moment(text, "starts_at")
    assert (refused.value.reason, refused.value.values["field"]) == ("bad_time", "starts_at")
