"""Times on pages: in which zone they are shown, and how they are typed."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ums.errors import Invalid

_ODD = ("Etc/", "SystemV/", "US/", "posix/", "right/", "Brazil/", "Canada/", "Chile/", "Mexico/")


@cache
def known_zones() -> tuple[str, ...]:
    """Names to choose from: those of places, and UTC. Others of the IANA list are taken too."""
    named = (one for one in available_timezones() if "/" in one and not one.startswith(_ODD))
    return ("UTC", *sorted(named))


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; UTC for an empty one. Raises Invalid."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise Invalid("zone_unknown", field="zone") from None


def entered(text: str, zone: str, field: str) -> datetime | None:
    """A time as a form has it, on the clock of `zone`; None for an empty one. Raises Invalid."""
    if not text:
        return None
    try:
        told = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
        told.timestamp()
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError):
        raise Invalid("bad_value", field=field) from None
    return told


def typed_as(told: str, zone: str) -> str:
    """A time that is ISO 8601 as a form has it, on the clock of `zone`."""
    return datetime.fromisoformat(told).astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M")


def time_words(told: str, zone: str = "") -> str:
    """A time that is ISO 8601, in `zone` and with its name, before (or without) the script that
    writes it as the reader's language does."""
    local = datetime.fromisoformat(told).astimezone(zone_of(zone))
    return f"{local:%Y-%m-%d %H:%M} {offset_words(local)}"


def offset_words(local: datetime) -> str:
    """UTC, UTC+8, UTC-3:30."""
    seconds = round((local.utcoffset() or UTC.utcoffset(None)).total_seconds())
    if not seconds:
        return "UTC"
    hours, rest = divmod(abs(seconds) // 60, 60)
    return f"UTC{'-' if seconds < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
