"""Commands of the addresses that a channel does not write to."""

from typing import Annotated

import typer

from ums.cli import output
from ums.cli.access_lists import AT_ONCE, FromFile, read_values
from ums.cli.app import After, AsJson, ChannelKey, Limit, app, ask

suppression = typer.Typer(
    help="Addresses that a channel does not write to: nobody is there.", no_args_is_help=True
)
app.add_typer(suppression, name="suppression")
Addresses = Annotated[list[str] | None, typer.Argument(help="Addresses.")]
COLUMNS = ("address", "reason", "reply", "created_at", "expires_at")


@suppression.command("list")
def suppression_list(
    channel: ChannelKey,
    address: Annotated[str | None, typer.Option(help="Only this address.")] = None,
    after: After = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """The addresses, the newest first, each with what its server said."""
    found = ask("suppression.list", channel=channel, address=address, after=after, limit=limit)
    output.page(found, COLUMNS, raw=json)


@suppression.command("add")
def suppression_add(
    channel: ChannelKey,
    addresses: Addresses = None,
    file: FromFile = None,
    json: AsJson = False,
) -> None:
    """Suppress addresses until somebody lifts them."""
    _change("suppression.add", channel, read_values(addresses, file), raw=json)


@suppression.command("lift")
def suppression_lift(
    channel: ChannelKey,
    addresses: Addresses = None,
    file: FromFile = None,
    json: AsJson = False,
) -> None:
    """Let the channel write to addresses again."""
    _change("suppression.lift", channel, read_values(addresses, file), raw=json)


def _change(verb: str, channel: str, addresses: list[str], *, raw: bool) -> None:
    total = {"changed": 0, "unchanged": 0}
    for start in range(0, len(addresses), AT_ONCE):
        done = ask(verb, channel=channel, addresses=addresses[start : start + AT_ONCE])
        total = {name: count + done[name] for name, count in total.items()}
    output.record(total, raw=raw)
