"""Commands of what a channel may send, and to whom: lists, approval, words, strategies."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask
from ums.cli.errors import fail

ChannelKey = Annotated[str, typer.Option("--channel", help="The ChannelKey.")]
OneChannel = Annotated[
    str | None, typer.Option("--channel", help="The ChannelKey; without it, for every channel.")
]
ListId = Annotated[int, typer.Argument(help="The list's id.", min=1, max=MOST_ID)]
Name = Annotated[str, typer.Argument(help="1 to 60 characters.")]
Values = Annotated[list[str] | None, typer.Argument(help="Addresses; userids with --userids.")]
Userids = Annotated[bool, typer.Option("--userids", help="They are userids, not addresses.")]
FromFile = Annotated[Path | None, typer.Option(help="A file with one on each line.")]
AT_ONCE = 10_000
LIST = ("id", "name", "entries", "created_at")
ENTRY = ("kind", "value")
WAITING = ("msgid", "channelkey", "owner", "subject", "audience", "accepted_at")
WORD = ("word", "exempt", "channelkey", "created_at")
STRATEGY = ("id", "name", "steps", "valid", "created_at")


def read_values(given: list[str] | None, file: Path | None) -> list[str]:
    values = list(given or [])
    if file is not None:
        try:
            values += [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
        except OSError as error:
            fail(f"{file}: {error.strerror}")
        except UnicodeDecodeError:
            fail(f"{file}: not UTF-8 text")
    values = [value for value in values if value]
    if not values:
        fail("give addresses or userids, or --file")
    return values


def _list_commands(kind: str, help: str) -> None:
    group = typer.Typer(help=help, no_args_is_help=True)
    app.add_typer(group, name=f"{kind}list")

    @group.command("create")
    def create(name: Name, channel: ChannelKey, json: AsJson = False) -> None:
        """Make an empty list."""
        output.record(ask(f"{kind}list.create", channel=channel, name=name), raw=json)

    @group.command("list")
    def all_lists(
        channel: ChannelKey, after: After = None, limit: Limit = 100, json: AsJson = False
    ) -> None:
        """The channel's lists."""
        found = ask(f"{kind}list.list", channel=channel, after=after, limit=limit)
        output.page(found, LIST, raw=json)

    @group.command("show")
    def show_list(
        id: ListId,
        channel: ChannelKey,
        after: After = None,
        limit: Limit = 100,
        json: AsJson = False,
    ) -> None:
        """A list and what stands on it."""
        found = ask(f"{kind}list.show", channel=channel, id=id, after=after, limit=limit)
        if not json:
            values, following = found.pop("values"), found.pop("next")
            output.record(found, raw=False)
            output.out.print()
            found = {"items": values, "next": following}
        output.page(found, ENTRY, raw=json)

    @group.command("add")
    def add(
        id: ListId,
        channel: ChannelKey,
        values: Values = None,
        userids: Userids = False,
        file: FromFile = None,
        json: AsJson = False,
    ) -> None:
        """Put addresses or userids on the list, all or none."""
        _change(
            f"{kind}list.add", id, channel, read_values(values, file), userids=userids, raw=json
        )

    @group.command("remove")
    def remove(
        id: ListId,
        channel: ChannelKey,
        values: Values = None,
        userids: Userids = False,
        file: FromFile = None,
        json: AsJson = False,
    ) -> None:
        """Take addresses or userids off the list."""
        verb = f"{kind}list.remove"
        _change(verb, id, channel, read_values(values, file), userids=userids, raw=json)

    @group.command("delete")
    def delete(id: ListId, channel: ChannelKey, json: AsJson = False) -> None:
        """Delete the list; messages accepted with it are still held to it."""
        output.record(ask(f"{kind}list.delete", channel=channel, id=id), raw=json)


def _change(
    verb: str, id: int, channel: str, values: list[str], *, userids: bool, raw: bool
) -> None:
    kind = "userid" if userids else "address"
    total = {"changed": 0, "unchanged": 0}
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        done = ask(verb, channel=channel, id=id, values=part, kind=kind)
        total = {name: count + done[name] for name, count in total.items()}
    output.record(total, raw=raw)


_list_commands("block", "Whom a message must not reach.")
_list_commands("allow", "Whom alone a message may reach.")

approval = typer.Typer(help="Messages that wait for a second person.", no_args_is_help=True)
word = typer.Typer(help="Words that messages must not hold.", no_args_is_help=True)
strategy = typer.Typer(help="By which sender types a message goes out.", no_args_is_help=True)
app.add_typer(approval, name="approval")
app.add_typer(word, name="word")
app.add_typer(strategy, name="strategy")
Msgid = Annotated[str, typer.Argument(help="What the acceptance gave back.")]
As = Annotated[
    str | None, typer.Option("--as", help="The operator who decides. Default: this machine's user.")
]
OneWord = Annotated[str, typer.Argument(help="1 to 100 characters.")]


@approval.command("list")
def approval_list(
    channel: OneChannel = None, after: After = None, limit: Limit = 100, json: AsJson = False
) -> None:
    """The messages that wait, the oldest first."""
    output.page(ask("approval.list", channel=channel, after=after, limit=limit), WAITING, raw=json)


@approval.command("approve")
def approval_approve(msgid: Msgid, as_: As = None, json: AsJson = False) -> None:
    """Let a message go that somebody else asked for."""
    output.record(ask("approval.approve", msgid=msgid, by=as_), raw=json)


@approval.command("refuse")
def approval_refuse(
    msgid: Msgid,
    why: Annotated[str, typer.Option(help="For the audit log.")] = "",
    as_: As = None,
    json: AsJson = False,
) -> None:
    """Stop a message for good."""
    output.record(ask("approval.refuse", msgid=msgid, why=why, by=as_), raw=json)


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
