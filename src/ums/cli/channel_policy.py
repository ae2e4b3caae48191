"""The command that settles the rules of a channel."""

import json as jsons
from typing import Annotated, Any

import typer

from ums.cli import output
from ums.cli.app import AsJson, Key, ask, channel
from ums.cli.errors import fail


@channel.command("rules")
def channel_rules(
    key: Key,
    set_: Annotated[
        str | None, typer.Option("--set", help="A JSON object of the rules that change.")
    ] = None,
    requests_per_second: Annotated[
        int | None, typer.Option(help="Calls of the API; 0: any number.", min=0, max=1_000_000)
    ] = None,
    broadcasts_per_day: Annotated[
        int | None, typer.Option(help="0: any number.", min=0, max=1_000_000)
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="The time zone of its days, such as Asia/Shanghai.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the channel's rules, or change some of them."""
    changes = _read(set_)
    options = {
        "requests_per_second": requests_per_second,
        "broadcasts_per_day": broadcasts_per_day,
        "zone": zone,
    }
    changes |= {name: value for name, value in options.items() if value is not None}
    output.record(ask("channel.rules", key=key, changes=changes or None), raw=json)


def _read(text: str | None) -> dict[str, Any]:
    try:
        given = jsons.loads(text or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        fail("--set takes a JSON object, such as '{\"requests_per_second\": 20}'")
    return given
