"""The command of statistics."""

from typing import Annotated

import typer

from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask

FUNNEL = (
    "key",
    "messages",
    "target",
    "pending",
    "valid",
    "waiting",
    "submitted",
    "delivered",
    "retracted",
)


@app.command("stats")
def stats(
    by: Annotated[str, typer.Option(help="message, channel, sender, day or hour.")] = "day",
    channel: Annotated[str | None, typer.Option(help="Only this ChannelKey's.")] = None,
    sender: Annotated[str | None, typer.Option(help="Only this sender's.")] = None,
    message: Annotated[str | None, typer.Option(help="Only this msgid's.")] = None,
    since: Annotated[
        str | None, typer.Option(help="ISO 8601 with an offset; 30 days ago, by hour one.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The same, not in it; now.")] = None,
    zone: Annotated[str, typer.Option(help="Whose wall clock days and hours go by.")] = "UTC",
    after: After = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """What became of what was accepted, from target to delivered, and why it was lost."""
    report = ask(
        "stats.show",
        by=by,
        channel=channel,
        sender=sender,
        message=message,
        since=since,
        until=until,
        zone=zone,
        after=after,
        limit=limit,
    )
    if json:
        output.as_json(report)
        return
    clock = zone if by in ("day", "hour") else ""
    output.records([*report["items"], report["total"]], FUNNEL, raw=False, zone=clock)
    if report["total"]["losses"]:
        output.out.print()
        output.records(report["total"]["losses"], ("step", "state", "reason", "count"), raw=False)
    if report["next"] is not None:
        output.out.print(f"\nThere are more: --after {report['next']}")
