"""The rules of a channel as they are shown and changed, and whether they can be kept."""

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from ums.bounds import with_integers
from ums.core.common.field_errors import Check, all_of
from ums.core.context.channel_policy import (
    LONGEST_CAP,
    MOST,
    TIME,
    ChannelPolicy,
    FrequencyCap,
    QuietHours,
)
from ums.core.tables.states import EventType
from ums.errors import Detail, Invalid, UmsError
from ums.parser_words import retell

_TIME = re.compile(TIME)


def check_rules(rules: ChannelPolicy) -> None:
    """Raises Invalid (bad_rule) that names the rule."""
    for check in _checks(rules):
        check()


def errors_of(rules: ChannelPolicy) -> list[UmsError]:
    """All that is wrong with the rules."""
    return all_of(_checks(rules))


def _checks(rules: ChannelPolicy) -> list[Check]:
    """A check for each rule."""
    return [
        lambda: _check_zone(rules.zone),
        *([] if rules.quiet_hours is None else _checks_of_quiet_hours(rules.quiet_hours)),
        *([] if rules.frequency_cap is None else _checks_of_cap(rules.frequency_cap)),
        lambda: _check_number("approval_from", rules.approval_from, 1, MOST),
        lambda: _check_number("broadcasts_per_day", rules.broadcasts_per_day, 0, MOST),
        lambda: _check_number("requests_per_second", rules.requests_per_second, 0, MOST),
        lambda: _check_statuses(rules.statuses),
    ]


def with_changes(rules: ChannelPolicy, changes: dict[str, Any]) -> ChannelPolicy:
    """`rules` with those of `changes`, by name; a null brings back the default. Raises Invalid."""
    for name in changes:
        if name not in ChannelPolicy.__struct_fields__:
            raise Invalid("unknown_field", field=name[:80])
    merged = {**msgspec.to_builtins(rules), **changes}
    given = {name: value for name, value in merged.items() if value is not None}
    try:
        return msgspec.convert(with_integers(given), ChannelPolicy)
    except msgspec.ValidationError as error:
        raise Invalid("misfit", field="rules", detail=retell(str(error))) from None


class RulesShown(ChannelPolicy, frozen=True, omit_defaults=False):
    """Every rule of a channel, also those that are as they are by default."""


def show(rules: ChannelPolicy) -> RulesShown:
    return RulesShown(**structs.asdict(rules))


def _check_zone(zone: str) -> None:
    if zone == "UTC":  # wherever we run, and even where no zones are installed
        return
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        raise Invalid("bad_rule", field="zone", detail=Detail("zone_name")) from None


def _checks_of_quiet_hours(quiet: QuietHours) -> list[Check]:
    return [
        lambda: _check_time("quiet_hours.start", quiet.start),
        lambda: _check_time("quiet_hours.end", quiet.end),
        lambda: _check_length(quiet),
    ]


def _check_time(field: str, value: str) -> None:
    if not _TIME.fullmatch(value):
        raise Invalid("bad_rule", field=field, detail=Detail("time_of_day"))


def _check_length(quiet: QuietHours) -> None:
    if quiet.start == quiet.end and _TIME.fullmatch(quiet.end):
        raise Invalid("bad_rule", field="quiet_hours.end", detail=Detail("end_is_start"))


def _checks_of_cap(cap: FrequencyCap) -> list[Check]:
    return [
        lambda: _check_number("frequency_cap.count", cap.count, 1, MOST),
        lambda: _check_hours(cap),
    ]


def _check_statuses(statuses: Sequence[int]) -> None:
    if not set(statuses) <= set(EventType) or len(set(statuses)) < len(statuses):
        raise Invalid("bad_rule", field="statuses", detail=Detail("rule_statuses"))


def _check_hours(cap: FrequencyCap) -> None:
    if not 0 < cap.hours <= LONGEST_CAP:
        detail = Detail("more_than_nothing", most=f"{LONGEST_CAP:g}")
        raise Invalid("bad_rule", field="frequency_cap.hours", detail=detail)


def _check_number(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Invalid("bad_rule", field=field, detail=Detail("between", least=least, most=most))
