"""When the time of a cap begins, and how long what was sent in it counts."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ums.mail.provider_presets import PRESETS
from ums.mail.send_limits import DAY, MONTH, SendLimit

SHANGHAI = "00:00 Asia/Shanghai"
BERLIN = "00:00 Europe/Berlin"


def ms(text: str, zone: str = "Asia/Shanghai") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("seconds", "reset", "now", "begin", "end"),
    [
        (DAY, SHANGHAI, "2026-11-26 00:00", "2026-11-26 00:00", "2026-11-27 00:00"),
        (DAY, SHANGHAI, "2026-11-26 23:59:59", "2026-11-26 00:00", "2026-11-27 00:00"),
        (DAY, "08:30 Asia/Shanghai", "2026-11-26 08:29", "2026-11-25 08:30", "2026-11-26 08:30"),
        (3600, SHANGHAI, "2026-11-26 10:59", "2026-11-26 10:00", "2026-11-26 11:00"),
        (3600, "00:20 Asia/Shanghai", "2026-11-26 00:10", "2026-11-25 23:20", "2026-11-26 00:20"),
        (900, SHANGHAI, "2026-11-26 10:16", "2026-11-26 10:15", "2026-11-26 10:30"),
        (MONTH, SHANGHAI, "2026-12-31 23:00", "2026-12-01 00:00", "2027-01-01 00:00"),
        (MONTH, "06:00 Asia/Shanghai", "2026-01-01 05:00", "2025-12-01 06:00", "2026-01-01 06:00"),
    ],
)
def test_a_time_by_the_clock(seconds: int, reset: str, now: str, begin: str, end: str) -> None:
    cap = SendLimit(count=1, seconds=seconds, reset=reset)
    assert cap.period(ms(now)) == (ms(begin), ms(end))
    assert cap.slot(ms(now)) == cap.since(ms(now)) == ms(begin)
    assert cap.frees_at(ms(begin)) == ms(end)


def test_a_day_is_as_long_as_the_clock_says() -> None:
    cap = SendLimit(count=1, seconds=DAY, reset=BERLIN)
    begin, end = cap.period(ms("2026-03-29 12:00", "Europe/Berlin"))
    assert end - begin == 23 * 3_600_000
    begin, end = cap.period(ms("2026-10-25 12:00", "Europe/Berlin"))
    assert end - begin == 25 * 3_600_000


@pytest.mark.parametrize("seconds", [1, 2, 60, 180, 3600, DAY, MONTH])
def test_what_is_sent_counts_for_a_whole_rolling_time(seconds: int) -> None:
    """Wherever in its slot it was counted, and however late within its hold it went."""
    cap = SendLimit(count=1, seconds=seconds)
    for counted in (0, 1, cap.step - 1, cap.step, 12_345_678):
        sent = counted + cap.hold
        slot = cap.slot(counted)
        assert slot <= counted < slot + cap.step
        assert cap.since(sent + seconds * 1000 - 1) <= slot  # it still counts
        assert cap.since(cap.frees_at(slot)) > slot  # and then no more
        assert cap.since(cap.frees_at(slot) - 1) <= slot
    assert cap.frees_at(0) <= seconds * 1000 * 1.13  # little of the time is given away


@pytest.mark.parametrize(
    "reset",
    ["24:00 UTC", "0:00 UTC", "00:00", "00:00 Mars/Base", "00:00 ../../etc/passwd", "x", "12:00 "],
)
def test_a_reset_that_is_none(reset: str) -> None:
    assert not SendLimit(count=1, seconds=DAY, reset=reset).is_clock


def test_what_the_clock_divides_by() -> None:
    fits = [
        n
        for n in (1, 7, 60, 180, 900, 3600, DAY, 2 * DAY, MONTH)
        if SendLimit(1, n, reset=BERLIN).fits
    ]
    assert fits == [1, 60, 180, 900, 3600, DAY, MONTH]
    assert SendLimit(1, 7).fits


def test_what_no_cap_can_be() -> None:
    for wrong in ({"count": 0, "seconds": 1}, {"count": 1, "seconds": MONTH + 1}, {"count": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, SendLimit)


def test_the_providers_caps_can_be_used() -> None:
    caps = [cap for preset in PRESETS.values() for cap in preset.caps]
    assert len(caps) >= 8
    assert all(cap.is_clock and cap.fits for cap in caps)
