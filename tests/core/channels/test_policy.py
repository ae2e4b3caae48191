"""The rules of a channel: which cannot be kept, and by what name that is told."""

from typing import Any

import msgspec
import pytest

from ums.core.channels.policy import check_rules
from ums.core.context.channel_policy import (
    LONGEST_CAP,
    NO_RULES,
    ChannelPolicy,
    FrequencyCap,
    QuietHours,
    read_rules,
)
from ums.errors import Invalid

QUIET = QuietHours("22:00", "08:00", "delay")


@pytest.mark.parametrize(
    "rules",
    [
        NO_RULES,
        ChannelPolicy(zone="Asia/Shanghai", quiet_hours=QUIET, frequency_cap=FrequencyCap(1, 0.5)),
        ChannelPolicy(
            zone="America/Argentina/Buenos_Aires",
            quiet_hours=QuietHours("00:00", "23:59", "refuse"),
        ),
        ChannelPolicy(
            frequency_cap=FrequencyCap(3, LONGEST_CAP), broadcasts_per_day=0, statuses=()
        ),
    ],
)
def test_rules_that_can_be_kept(rules: ChannelPolicy) -> None:
    check_rules(rules)
    assert read_rules(msgspec.json.encode(rules).decode()) == rules


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("zone", {"zone": "Asia/Peking"}),
        ("zone", {"zone": ""}),
        ("zone", {"zone": "../../etc/passwd"}),
        ("zone", {"zone": "America"}),
        ("zone", {"zone": "UTC\0"}),
        ("zone", {"zone": "x" * 5000}),
        ("quiet_hours.start", {"quiet_hours": QuietHours("8:00", "09:00", "delay")}),
        ("quiet_hours.start", {"quiet_hours": QuietHours("24:00", "09:00", "delay")}),
        ("quiet_hours.end", {"quiet_hours": QuietHours("08:00", "09:60", "delay")}),
        ("quiet_hours.end", {"quiet_hours": QuietHours("08:00", "09:00\n", "delay")}),
        ("quiet_hours.end", {"quiet_hours": QuietHours("08:00", "08:00", "delay")}),
        ("frequency_cap.count", {"frequency_cap": FrequencyCap(0, 1)}),
        ("frequency_cap.hours", {"frequency_cap": FrequencyCap(1, 0)}),
        ("frequency_cap.hours", {"frequency_cap": FrequencyCap(1, -1)}),
        ("frequency_cap.hours", {"frequency_cap": FrequencyCap(1, LONGEST_CAP + 1)}),
        ("frequency_cap.hours", {"frequency_cap": FrequencyCap(1, float("nan"))}),
        ("broadcasts_per_day", {"broadcasts_per_day": -1}),
        ("requests_per_second", {"requests_per_second": 10**9}),
        ("statuses", {"statuses": (0, 9)}),
        ("statuses", {"statuses": (1, 1)}),
    ],
)
def test_rules_that_cannot_be_kept_are_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        check_rules(msgspec.structs.replace(NO_RULES, **changes))
    assert (refused.value.reason, refused.value.values["field"]) == ("bad_rule", field)
