"""Commands of tokens, statistics, and imports that ran."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask

token = typer.Typer(help="Tokens of the management API.", no_args_is_help=True)
imports = typer.Typer(help="Imports that ran.", no_args_is_help=True)
app.add_typer(token, name="token")
app.add_typer(imports, name="import")
TOKEN = ("id", "name", "hint", "scopes", "channels", "expires_at", "last_used_at", "revoked_at")
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
IMPORT = ("id", "name", "state", "added", "changed", "unchanged", "rejected", "created_at")


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="What it is for: 1 to 40 characters.")],
    scope: Annotated[list[str], typer.Option(help="What it may do; repeatable.")],
    channel: Annotated[
        list[str] | None, typer.Option(help="A ChannelKey it is bound to; repeatable.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="It ends after so long.", min=0, max=36500)
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a token of the management API and show it, this once."""
    made = ask("token.create", name=name, scopes=scope, channels=channel or None, days=days)
    output.record(made, raw=json)


@token.command("list")
def token_list(after: After = None, limit: Limit = 100, json: AsJson = False) -> None:
    """All tokens, the newest first, those that are over too."""
    output.page(ask("token.list", after=after, limit=limit), TOKEN, raw=json)


@token.command("revoke")
def token_revoke(
    id: Annotated[
        int, typer.Argument(help="The token's id, as the list shows it.", min=1, max=MOST_ID)
    ],
    json: AsJson = False,
) -> None:
    """End a token, from its next request on."""
    output.record(ask("token.revoke", id=id), raw=json)


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


@imports.command("list")
def import_list(after: After = None, limit: Limit = 100, json: AsJson = False) -> None:
    """All imports, the newest first."""
    output.page(ask("import.list", after=after, limit=limit), IMPORT, raw=json)


@imports.command("undo")
def import_undo(
    id: Annotated[
        int, typer.Argument(help="The import's id, as the list shows it.", min=1, max=MOST_ID)
    ],
    json: AsJson = False,
) -> None:
    """Take an import back: what nobody changed since is as it was before."""
    output.record(ask("import.undo", id=id), raw=json)
