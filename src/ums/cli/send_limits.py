"""The command of what a sender may send in a time."""

import re
from typing import Annotated, Any, Final

import typer

from ums.cli import output
from ums.cli.app import AsJson, ask, sender
from ums.cli.errors import fail

UNITS: Final = {
    "second": 1,
    "minute": 60,
    "15min": 900,
    "hour": 3600,
    "day": 86_400,
    "month": 2_592_000,
}
_CAP = re.compile(r"(\d{1,10})/(\w{1,10})(?:@(.{1,80}))?")
COLUMNS = ("cap", "used", "left", "reserved", "renews_at")


@sender.command("caps")
def sender_caps(
    code: str,
    cap: Annotated[
        list[str] | None,
        typer.Option(help="Such as 20/second, 100/day or '100/day@00:00 Asia/Shanghai'."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all caps away.")] = False,
    urgent_reserve_percent: Annotated[
        int | None,
        typer.Option(help="Percent of each cap that only urgent mail may use.", min=0, max=90),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say what a sender may send in a time, and show how far that is used."""
    given = [_read(text) for text in cap or []]
    caps = given if given or none else None
    found = ask("sender.caps", code=code, caps=caps, urgent_reserve_percent=urgent_reserve_percent)
    if not json:
        found = [{**one, "cap": _shown(one)} for one in found]
    output.records(found, COLUMNS, raw=json)


@sender.command("warm-up")
def sender_warm_up(
    code: str,
    target: Annotated[
        int | None,
        typer.Option(help="Mails a day at which it ends; begins the plan.", min=1, max=10**7),
    ] = None,
    start: Annotated[int, typer.Option(help="Mails on the first day.", min=1, max=10**6)] = 50,
    growth: Annotated[
        int, typer.Option(help="Percent more each day that went well.", min=1, max=200)
    ] = 50,
    zone: Annotated[str, typer.Option(help="By whose clock days are counted.")] = "Asia/Shanghai",
    end: Annotated[bool, typer.Option("--end", help="End the plan.")] = False,
    json: AsJson = False,
) -> None:
    """Warm a new account up: few mails a day at first, more each day that goes well."""
    plan = {"start": start, "growth": growth, "target": target, "zone": zone}
    found = ask("sender.warm_up", code=code, plan=None if target is None else plan, end=end)
    if json:
        output.as_json(found)
    elif found is None:
        typer.echo("It is not being warmed up.")
    else:
        output.record(found, raw=False)


def _read(text: str) -> dict[str, object]:
    match = _CAP.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    seconds = UNITS.get(unit, int(unit) if unit.isdecimal() and unit.isascii() else 0)
    if match is None or not seconds:
        fail(
            f"{text!r} is no cap: give a number, a slash and one of {', '.join(UNITS)} or a number"
            " of seconds; with @ and a time and zone where it is counted anew by the clock"
        )
    return {"count": int(match[1]), "seconds": seconds, "reset": (match[3] or "").strip()}


def _shown(one: dict[str, Any]) -> str:
    names = {length: unit for unit, length in UNITS.items()}
    reset = f"@{one['reset']}" if one["reset"] else ""
    return f"{one['count']}/{names.get(one['seconds'], one['seconds'])}{reset}"
