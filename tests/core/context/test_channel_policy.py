"""The rules of a channel: shown, changed, refused."""

from typing import Any

import msgspec
import pytest

from ums.core.channels import channels
from ums.core.channels.policy import check_rules, show, with_changes
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import NO_RULES, ChannelPolicy, FrequencyCap, QuietHours
from ums.errors import Invalid

QUIET = QuietHours("22:00", "08:00", "delay")
FULL = ChannelPolicy(
    zone="Asia/Shanghai",
    quiet_hours=QUIET,
    frequency_cap=FrequencyCap(3, 24),
    broadcasts_per_day=0,
    requests_per_second=7,
    statuses=(2, 3),
)


async def test_they_are_kept(system: AppContext) -> None:
    await channels.create(system, "News", "1234")
    assert await channels.rules_of(system, "1234") == NO_RULES
    assert await channels.set_rules(system, "1234", FULL) == FULL
    assert await channels.rules_of(system, "1234") == FULL
    for unknown in (channels.rules_of(system, "x"), channels.set_rules(system, "x", FULL)):
        with pytest.raises(Invalid, match="no channel x"):
            await unknown


BAD: list[tuple[str, dict[str, Any]]] = [
    ("zone", {"zone": ""}),
    ("zone", {"zone": "Mars/Olympus"}),
    ("zone", {"zone": "../../etc/passwd"}),
    ("zone", {"zone": "Asia"}),
    ("zone", {"zone": "UTC\x00"}),
    ("quiet_hours.start", {"quiet_hours": {"start": "24:00", "end": "08:00", "action": "delay"}}),
    ("quiet_hours.start", {"quiet_hours": {"start": "7:00", "end": "08:00", "action": "delay"}}),
    ("quiet_hours.end", {"quiet_hours": {"start": "22:00", "end": "08:60", "action": "refuse"}}),
    ("quiet_hours.end", {"quiet_hours": {"start": "22:00", "end": "22:00", "action": "refuse"}}),
    ("frequency_cap.count", {"frequency_cap": {"count": 0, "hours": 1}}),
    ("frequency_cap.hours", {"frequency_cap": {"count": 1, "hours": 0}}),
    ("frequency_cap.hours", {"frequency_cap": {"count": 1, "hours": 1e9}}),
    ("broadcasts_per_day", {"broadcasts_per_day": -1}),
    ("requests_per_second", {"requests_per_second": 10**7}),
    ("statuses", {"statuses": [9]}),
    ("statuses", {"statuses": [1, 1]}),
]


@pytest.mark.parametrize(("field", "changes"), BAD)
def test_what_cannot_be_kept_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        check_rules(with_changes(NO_RULES, changes))
    assert (refused.value.reason, refused.value.values["field"]) == ("bad_rule", field)


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": 1},
        {"quiet_hours": {"start": "22:00", "end": "08:00", "action": "wait"}},
        {"requests_per_second": 1.5},
        {"statuses": "x"},
    ],
)
def test_what_is_no_rule(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="rules"):
        with_changes(NO_RULES, changes)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        with_changes(NO_RULES, {"unknown": True})
    assert (refused.value.reason, refused.value.values["field"]) == ("unknown_field", "unknown")


def test_only_what_is_named_changes_and_null_is_the_default() -> None:
    assert with_changes(FULL, {"zone": "UTC"}).quiet_hours == QUIET
    assert with_changes(FULL, {"quiet_hours": None, "requests_per_second": None}) == ChannelPolicy(
        zone="Asia/Shanghai",
        frequency_cap=FrequencyCap(3, 24),
        broadcasts_per_day=0,
        statuses=(2, 3),
    )
    assert with_changes(FULL, msgspec.to_builtins(show(FULL))) == FULL
    assert set(msgspec.to_builtins(show(NO_RULES))) == set(ChannelPolicy.__struct_fields__)
