"""Commands of what a channel may send: its rules, words, and strategies."""

import json as jsons
from typing import Annotated, Any

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, ChannelKey, Key, Limit, Name, OneChannel, app, ask, channel
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


WORD = ("word", "exempt", "channelkey", "created_at")
STRATEGY = ("id", "name", "steps", "valid", "created_at")
word = typer.Typer(help="Words that messages must not hold.", no_args_is_help=True)
strategy = typer.Typer(help="By which sender types a message goes out.", no_args_is_help=True)
app.add_typer(word, name="word")
app.add_typer(strategy, name="strategy")
OneWord = Annotated[str, typer.Argument(help="1 to 100 characters.")]


@word.command("add")
def word_add(
    word: OneWord,
    channel: OneChannel = None,
    exempt: Annotated[bool, typer.Option("--exempt", help="Allow it to the channel.")] = False,
    json: AsJson = False,
) -> None:
    """Forbid a word to every channel, or to one."""
    output.record(ask("word.add", word=word, channel=channel, exempt=exempt), raw=json)


@word.command("remove")
def word_remove(word: OneWord, channel: OneChannel = None, json: AsJson = False) -> None:
    """Take back what was added for every channel, or for this one."""
    output.record(ask("word.remove", word=word, channel=channel), raw=json)


@word.command("list")
def word_list(
    channel: OneChannel = None, after: After = None, limit: Limit = 100, json: AsJson = False
) -> None:
    """The words of every channel, or one channel's own."""
    output.page(ask("word.list", channel=channel, after=after, limit=limit), WORD, raw=json)


@strategy.command("create")
def strategy_create(name: Name, channel: ChannelKey, json: AsJson = False) -> None:
    """Make a strategy of one step: by email."""
    made = ask("strategy.create", channel=channel, name=name)
    output.record(made if json else _flat(made), raw=json)


@strategy.command("list")
def strategy_list(
    channel: ChannelKey, after: After = None, limit: Limit = 100, json: AsJson = False
) -> None:
    """The channel's strategies."""
    found = ask("strategy.list", channel=channel, after=after, limit=limit)
    if not json:
        found["items"] = [_flat(one) for one in found["items"]]
    output.page(found, STRATEGY, raw=json)


@strategy.command("delete")
def strategy_delete(
    id: Annotated[int, typer.Argument(help="The strategy's id.", min=1, max=MOST_ID)],
    channel: ChannelKey,
    json: AsJson = False,
) -> None:
    """Delete a strategy."""
    output.record(ask("strategy.delete", channel=channel, id=id), raw=json)


def _flat(strategy: dict[str, Any]) -> dict[str, Any]:
    return {**strategy, "steps": [step["type"] for step in strategy["steps"]]}
