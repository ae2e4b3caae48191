"""Commands of tokens of the management API."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask

token = typer.Typer(help="Tokens of the management API.", no_args_is_help=True)
app.add_typer(token, name="token")
TOKEN = ("id", "name", "hint", "scopes", "channels", "expires_at", "last_used_at", "revoked_at")


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
