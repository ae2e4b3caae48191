"""Quiet hours by the wall clock: across midnight, and where the clocks are moved."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ums import clock
from ums.core.channels import quiet_hours
from ums.core.context.channel_policy import NO_RULES, ChannelPolicy, QuietHours
from ums.errors import Refused


def ms(text: str) -> int:
    """An ISO time, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def rules(start: str, end: str, zone: str = "UTC", action: str = "delay") -> ChannelPolicy:
    return ChannelPolicy(zone=zone, quiet_hours=QuietHours(start, end, action))  # type: ignore[arg-type]


NIGHT = rules("22:00", "08:00", "Asia/Shanghai")  # 14:00 to 00:00 in UTC


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-01T13:59:59.999", None),
        ("2026-03-01T14:00", "2026-03-02T00:00"),
        ("2026-03-01T23:59:59.999", "2026-03-02T00:00"),
        ("2026-03-02T00:00", None),
        ("2026-03-02T06:00", None),
        ("2026-02-28T18:00", "2026-03-01T00:00"),
    ],
)
def test_a_night_ends_in_the_morning(at: str, until: str | None) -> None:
    assert quiet_hours.quiet_until(NIGHT, ms(at)) == (None if until is None else ms(until))


def test_a_window_within_a_day() -> None:
    noon = rules("12:00", "13:30")
    assert quiet_hours.quiet_until(noon, ms("2026-03-01T11:59")) is None
    assert quiet_hours.quiet_until(noon, ms("2026-03-01T12:00")) == ms("2026-03-01T13:30")
    assert quiet_hours.quiet_until(noon, ms("2026-03-01T13:30")) is None
    assert quiet_hours.quiet_until(NO_RULES, ms("2026-03-01T12:00")) is None


# New York: on 2026-03-08 02:00 EST becomes 03:00 EDT (07:00 UTC); on 2026-11-01 02:00 EDT becomes
# 01:00 EST (06:00 UTC), so that 01:00 to 02:00 comes twice, from 05:00 and from 06:00 UTC.
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("start", "end", "at", "until"),
    [
        # The usual night is an hour shorter, or longer.
        ("22:00", "08:00", "2026-03-08T04:00", "2026-03-08T12:00"),
        ("22:00", "08:00", "2026-11-01T03:00", "2026-11-01T13:00"),
        # A time that is left out is the moment the clocks are moved.
        ("22:00", "02:30", "2026-03-08T06:59:59.999", "2026-03-08T07:00"),
        ("22:00", "02:30", "2026-03-08T07:00", None),
        ("02:30", "05:00", "2026-03-08T06:59:59.999", None),
        ("02:30", "05:00", "2026-03-08T07:00", "2026-03-08T09:00"),
        # An hour that comes twice is quiet from its first time to its last.
        ("22:00", "01:30", "2026-11-01T05:45", "2026-11-01T06:30"),
        ("22:00", "01:30", "2026-11-01T06:30", None),
        ("01:30", "04:00", "2026-11-01T05:30", "2026-11-01T09:00"),
        ("01:30", "04:00", "2026-11-01T06:10", "2026-11-01T09:00"),
        ("01:30", "04:00", "2026-11-01T05:29:59.999", None),
        # Both ends in the gap: the window is left out that day, and there again the next.
        ("02:10", "02:50", "2026-03-08T07:00", None),
        ("02:10", "02:50", "2026-03-09T06:10", "2026-03-09T06:50"),
        # One window begins where another ends: it is the later end that counts.
        ("02:50", "02:10", "2026-03-08T06:00", "2026-03-09T06:10"),
    ],
)
def test_where_the_clocks_are_moved(start: str, end: str, at: str, until: str | None) -> None:
    found = quiet_hours.quiet_until(rules(start, end, NEW_YORK), ms(at))
    assert found == (None if until is None else ms(until))


def test_half_an_hour_and_a_whole_day_left_out() -> None:
    # Lord Howe moves its clocks by half an hour; Samoa left out 2011-12-30.
    howe = quiet_hours.quiet_until(
        rules("22:00", "02:15", "Australia/Lord_Howe"), ms("2026-10-03T15:29")
    )
    assert howe == ms("2026-10-03T15:30")
    samoa = quiet_hours.quiet_until(rules("22:00", "08:00", "Pacific/Apia"), ms("2011-12-30T09:00"))
    assert samoa == ms("2011-12-30T18:00")


ZONES = ["UTC", "Asia/Shanghai", NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]
TIMES = st.times().map(lambda time: time.isoformat(timespec="minutes"))
MOMENTS = st.integers(ms("2020-01-01"), ms("2030-01-01"))


@given(start=TIMES, end=TIMES, zone=st.sampled_from(ZONES), at=MOMENTS)
def test_the_end_is_later_and_outside(start: str, end: str, zone: str, at: int) -> None:
    if start == end:
        return
    window = rules(start, end, zone)
    until = quiet_hours.quiet_until(window, at)
    if until is not None:
        assert at < until <= at + 2 * clock.DAY
        assert quiet_hours.quiet_until(window, until) is None
        assert quiet_hours.quiet_until(window, until - 1) == until


@given(start=TIMES, end=TIMES, at=MOMENTS)
def test_without_moved_clocks_it_is_the_wall_clock_that_counts(
    start: str, end: str, at: int
) -> None:
    if start == end:
        return
    wall = (datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=8)).strftime("%H:%M")
    inside = start <= wall < end if start < end else wall >= start or wall < end
    found = quiet_hours.quiet_until(rules(start, end, "Asia/Shanghai"), at)
    assert (found is not None) == inside


def test_what_may_begin_when() -> None:
    at, end = ms("2026-03-01T15:00"), ms("2026-03-02T00:00")
    assert quiet_hours.start(NIGHT, at, priority=2, broadcast=False) == end
    assert quiet_hours.start(NIGHT, at, priority=1, broadcast=True) == end
    assert quiet_hours.start(NIGHT, at, priority=1, broadcast=False) == at
    assert quiet_hours.start(NIGHT, end, priority=2, broadcast=False) == end
    refusing = rules("22:00", "08:00", "Asia/Shanghai", "refuse")
    with pytest.raises(Refused) as refused:
        quiet_hours.start(refusing, at, priority=2, broadcast=False)
    assert (refused.value.code, refused.value.values) == (1015038, {"until": clock.iso(end)})
    assert quiet_hours.start(refusing, at, priority=1, broadcast=False) == at


def test_a_day_is_the_channels_own() -> None:
    at = ms("2026-03-01T16:30")
    assert quiet_hours.today(NO_RULES, at) == "2026-03-01"
    assert quiet_hours.today(NIGHT, at) == "2026-03-02"
