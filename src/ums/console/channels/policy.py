"""The rules of a channel."""

from functools import partial
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from ums.console.dependencies import System, Visitor
from ums.console.forms import Form, lists, refused
from ums.console.rendering import AnyRequest, go, page
from ums.console.time_zones import known_zones
from ums.core.channels import channels, policy
from ums.core.channels.channels import OF_ADMINISTRATORS
from ums.core.channels.policy import with_changes
from ums.core.common.field_errors import all_of
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.context.directory import Channel
from ums.core.tables.states import EventType
from ums.errors import Invalid, UmsError

_TICKS: Final = (
    "approval",
    "approval_by_hand",
    "word_filter",
    "key_replaces_shared",
    "bound_replace_shared",
    "callbacks",
    "submitted_is_delivered",
)
_FIELDS: Final = {
    "quiet_hours": "quiet_start",
    "quiet_hours.start": "quiet_start",
    "quiet_hours.end": "quiet_end",
    "frequency_cap": "cap_count",
    "frequency_cap.count": "cap_count",
    "frequency_cap.hours": "cap_hours",
}


@get(
    "/channels/{key:str}/rules",
    scope="channels:read",
    channels="own",
    recent=True,
    recent_for="channels:write",
)
async def show_rules(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel = visitor.caller.channel(key)
    rules = await channels.rules_of(system, channel.key)
    return _rules(request, channel, Form(_values(rules)))


def _rules(request: AnyRequest, channel: Channel, form: Form, status: int = 200) -> Response[str]:
    return page(
        request,
        "channels/rules.html",
        status=status,
        channel=channel,
        form=form,
        statuses=[*EventType],
        zones=known_zones(),
    )


def _values(rules: ChannelPolicy) -> dict[str, Any]:
    quiet, cap = rules.quiet_hours, rules.frequency_cap
    return {
        "zone": rules.zone,
        **{name: getattr(rules, name) for name in _TICKS},
        "approval_from": rules.approval_from,
        "quiet_start": quiet.start if quiet else "",
        "quiet_end": quiet.end if quiet else "",
        "quiet_action": quiet.action if quiet else "delay",
        "cap_count": cap.count if cap else "",
        "cap_hours": f"{cap.hours:g}" if cap else "",
        "broadcasts_per_day": rules.broadcasts_per_day,
        "requests_per_second": rules.requests_per_second,
        "statuses": [str(one) for one in rules.statuses],
    }


@post("/channels/{key:str}/rules", scope="channels:write", channels="own", recent=True)
async def change_rules(
    request: AnyRequest, system: System, visitor: Visitor, key: FromPath[str]
) -> Response[str]:
    channel, given = visitor.caller.channel(key), await lists(request)
    values: dict[str, Any] = {
        name: (given.get(name) or [""])[-1].strip() for name in _values(ChannelPolicy())
    }
    values["statuses"] = given.get("statuses", [])
    theirs = () if visitor.may_protect else OF_ADMINISTRATORS
    rules = await channels.rules_of(system, channel.key)
    held = _values(rules)
    values |= {name: held[name] for name in theirs}
    try:
        changes = {name: one for name, one in _changes(values).items() if name not in theirs}
        await channels.change_rules(system, channel.key, lambda rules: with_changes(rules, changes))
    except UmsError as error:
        form = refused(request, values, error, _FIELDS, _flaws(rules, values))
        return _rules(request, channel, form, error.status)
    return go(f"/channels/{channel.key}/rules", "channels.did_change")


def _changes(values: dict[str, Any]) -> dict[str, Any]:
    """The rules that the form holds; None brings back the default. Raises Invalid."""
    quiet = {"start": values["quiet_start"], "end": values["quiet_end"]}
    cap = values["cap_count"] or values["cap_hours"]
    return {
        "zone": values["zone"] or None,
        **{name: values[name] == "on" for name in _TICKS},
        "quiet_hours": {**quiet, "action": values["quiet_action"]} if any(quiet.values()) else None,
        "frequency_cap": {
            "count": _number(values["cap_count"], "cap_count"),
            "hours": _number(values["cap_hours"], "cap_hours"),
        }
        if cap
        else None,
        "approval_from": _number(str(values["approval_from"] or 1), "approval_from"),
        "broadcasts_per_day": _number(values["broadcasts_per_day"], "broadcasts_per_day"),
        "requests_per_second": _number(values["requests_per_second"], "requests_per_second"),
        "statuses": [int(one) for one in values["statuses"] if one in map(str, EventType)],
    }


def _flaws(rules: ChannelPolicy, values: dict[str, Any]) -> list[UmsError]:
    """All that is wrong with the form."""
    wrong = all_of(partial(_number, str(values[name]), name) for name in _numbers_in(values))
    good = {**values, **{str(one.values["field"]): "1" for one in wrong}}
    try:
        return [*wrong, *policy.errors_of(with_changes(rules, _changes(good)))]
    except Invalid as error:
        return [*wrong, error]


def _numbers_in(values: dict[str, Any]) -> list[str]:
    """The fields that have to hold one."""
    cap = ["cap_count", "cap_hours"] if values["cap_count"] or values["cap_hours"] else []
    first = ["approval_from"] if values["approval_from"] else []
    return [*cap, *first, "broadcasts_per_day", "requests_per_second"]


def _number(text: str, field: str) -> int | float:
    """Only hours may be parts of one. Raises Invalid."""
    kind = int | float if field == "cap_hours" else int
    try:
        return msgspec.json.decode(text.encode(), type=kind)
    except msgspec.MsgspecError:
        raise Invalid("bad_value", field=field) from None


handlers = [show_rules, change_rules]
