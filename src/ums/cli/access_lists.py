"""Commands of blocklists and allowlists."""

from pathlib import Path
from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, ChannelKey, Limit, Name, app, ask
from ums.cli.errors import fail

ListId = Annotated[int, typer.Argument(help="The list's id.", min=1, max=MOST_ID)]
Values = Annotated[list[str] | None, typer.Argument(help="Addresses; userids with --userids.")]
Userids = Annotated[bool, typer.Option("--userids", help="They are userids, not addresses.")]
FromFile = Annotated[Path | None, typer.Option(help="A file with one on each line.")]
AT_ONCE = 10_000
LIST = ("id", "name", "entries", "created_at")
ENTRY = ("kind", "value")


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
