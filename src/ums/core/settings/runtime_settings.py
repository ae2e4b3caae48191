"""Changing settings while UMS runs: what is kept for how long, and how much may come at once.

What the environment sets wins: whoever starts UMS has the last word.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_type_hints

from msgspec import Meta, Struct

from ums import clock
from ums.config import Settings, SettingsError, read_setting
from ums.core.audit import audit_chain, audit_ends, audit_log
from ums.core.common import metadata
from ums.core.context.app_context import AppContext
from ums.core.context.setting_overrides import PREFIX
from ums.core.identity import grants
from ums.core.identity.operator_access import read_roles
from ums.errors import Invalid
from ums.mail.email_account import read_ports

Group = Literal["access", "sending", "limits", "retention"]
MB: Final = 1024 * 1024


class Adjustable(Struct, frozen=True):
    """A setting that may be changed, and within which bounds."""

    name: str  # in `Settings`
    group: Group
    least: int = 0
    most: int = 0
    unit: int = 1  # people type it in so many
    floor: int = 0  # 0, or at least this


ADJUSTABLE: Final = (
    Adjustable("two_factor_roles", "access"),
    Adjustable("sender_ports", "sending"),
    Adjustable("smtp_sessions", "sending", 1, 100),
    Adjustable("smtp_session_messages", "sending", 1, 1_000),
    Adjustable("import_rows", "limits", 1, 1_000_000),
    Adjustable("import_limit_bytes", "limits", MB, 200 * MB, MB),
    Adjustable("attachments_limit_bytes", "limits", MB, 100 * MB, MB),
    Adjustable("material_limit_bytes", "limits", MB, 200 * MB, MB),
    Adjustable("materials_limit_bytes", "limits", MB, 1_000_000 * MB, MB),
    Adjustable("message_retention_days", "retention", 0, 36_500),
    Adjustable("audit_retention_days", "retention", 0, 36_500, floor=30),
    Adjustable("done_callback_retention_days", "retention", 0, 365),
    Adjustable("dead_callback_retention_days", "retention", 0, 365),
    Adjustable("sandbox_keep", "retention", 0, 100_000),
)
_PORT: Final = "([1-9][0-9]{0,4} *)?"
_ROLE: Final = "((administrator|operator|viewer) *)?"
_WORDS: Final = {
    "sender_ports": f"^({_PORT}(, *{_PORT})*)?$",
    "two_factor_roles": f"^ *{_ROLE}(, *{_ROLE})*$",
}
_BY_NAME: Final = {one.name: one for one in ADJUSTABLE}


def shape_of(one: Adjustable) -> dict[str, Any]:
    """What programs may say of it, as JSON Schema has it."""
    if one.name in _WORDS:
        return {"type": "string", "pattern": _WORDS[one.name]}
    whole = get_type_hints(Settings)[one.name] is int
    kind = {"type": "integer" if whole else "number"}
    least = {**kind, "minimum": one.floor or one.least, "maximum": one.most}
    return {"anyOf": [least, {"const": 0}]} if one.floor else least


class Setting(Struct, frozen=True):
    """A setting that may be changed while UMS runs."""

    name: str
    group: Group
    value: str | int | float
    default: str | int | float
    fixed: Annotated[bool, Meta(description="The environment sets it, so it cannot be changed.")]


def show(system: AppContext) -> list[Setting]:
    """All of them, as they are now."""
    fixed = system.fixed_settings
    return [
        Setting(
            one.name,
            one.group,
            getattr(system.settings, one.name),
            getattr(system.default_settings, one.name),
            one.name in fixed,
        )
        for one in ADJUSTABLE
    ]


async def change(
    system: AppContext, changes: Mapping[str, Any], *, actor: str | None = None
) -> list[Setting]:
    """Change these, all or none; None is the default. Raises Invalid, and Forbidden for whoever is
    no administrator of the whole installation: a setting may stand for any right, such as the
    approval of a port or how long the audit log is kept."""
    grants.need(grants.ALL)
    values = {name: checked(system, name, value) for name, value in changes.items()}
    old = {name: getattr(system.settings, name) for name in values}
    told = ", ".join(f"{name} {values[name]}" for name in values if values[name] != old[name])
    async with system.directory.change() as tx:
        for name, value in values.items():
            if value == getattr(system.default_settings, name):
                await metadata.remove(tx, PREFIX + name)
            else:
                await metadata.put(tx, PREFIX + name, str(value))
        if "audit_retention_days" in values:
            await tx.exclude(audit_chain.LOCK)
            keep_ms = round(values["audit_retention_days"] * clock.DAY)
            await audit_ends.set_retention(tx, system.seal, keep_ms)
        await audit_log.note(
            tx, "settings.change", "settings", told, before=old, after=values, actor=actor
        )
    await system.directory.fresh()
    return show(system)


def checked(system: AppContext, name: str, given: Any) -> Any:
    """The value of a setting that is to be `given`. Raises Invalid."""
    one = _BY_NAME.get(name)
    if one is None:
        raise Invalid("unknown_field", field=name[:60])
    if name in system.fixed_settings:
        raise Invalid("setting_fixed", field=name)
    if given is None:
        return getattr(system.default_settings, name)
    if not isinstance(given, str | int | float) or isinstance(given, bool):
        raise Invalid("bad_value", field=name)
    return _TEXTS[name](given) if name in _TEXTS else _number(one, given)


def _ports(given: object) -> str:
    try:
        value = read_setting("sender_ports", str(given))
        read_ports(value)
    except (SettingsError, ValueError):
        raise Invalid("bad_value", field="sender_ports") from None
    return value


def _roles(given: object) -> str:
    return ", ".join(sorted(read_roles(str(given))))


_TEXTS: Final = {"sender_ports": _ports, "two_factor_roles": _roles}


def _number(one: Adjustable, given: object) -> Any:
    try:
        value = read_setting(one.name, str(given))
    except SettingsError:
        value = None
    if value is None or not one.least <= value <= one.most:
        least, most = one.least // one.unit, one.most // one.unit
        raise Invalid("out_of_bounds", field=one.name, least=least, most=most)
    if 0 < value < one.floor:
        raise Invalid("below_floor", field=one.name, floor=one.floor, most=one.most)
    return value
