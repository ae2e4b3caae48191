"""Commands of channels and of the access key."""

from typing import Annotated

import typer

from ums.cli import output
from ums.cli.app import AsJson, Key, accesskey, ask, channel
from ums.cli.errors import fail

CHANNEL = ("name", "channelkey", "open", "senders", "default_sender")


@channel.command("show")
def channel_show(key: Key, json: AsJson = False) -> None:
    """A channel, and which senders it uses."""
    known = {one["channelkey"]: one for one in ask("channel.list")}
    if key not in known:
        fail(f"there is no channel {key}; see `ums channel list`", "channel_unknown")
    output.record(known[key], raw=json)


@channel.command("create")
def channel_create(
    name: Annotated[str, typer.Argument(help="1 to 30 characters.")],
    key: Annotated[str | None, typer.Option(help="Choose the ChannelKey.")] = None,
    zone: Annotated[
        str, typer.Option(help="The time zone of its days and hours, such as Asia/Shanghai.")
    ] = "UTC",
    json: AsJson = False,
) -> None:
    """Make a channel and show its MasterSecret, this once."""
    output.record(ask("channel.create", name=name, key=key, zone=zone), raw=json)


@channel.command("list")
def channel_list(json: AsJson = False) -> None:
    """All channels."""
    output.records(ask("channel.list"), CHANNEL, raw=json)


@channel.command("rotate")
def channel_rotate(
    key: Key,
    overlap_hours: Annotated[
        float, typer.Option(help="The old secret stays good so long.", min=0, max=8760)
    ] = 24,
    json: AsJson = False,
) -> None:
    """Give the channel a new MasterSecret."""
    made = ask("channel.rotate", key=key, overlap_hours=overlap_hours)
    output.record(made, raw=json)


@channel.command("open")
def channel_open(key: Key, json: AsJson = False) -> None:
    """Let the channel send again."""
    output.record(ask("channel.open", key=key), raw=json)


@channel.command("close")
def channel_close(key: Key, json: AsJson = False) -> None:
    """Refuse the channel's requests."""
    output.record(ask("channel.close", key=key), raw=json)


@accesskey.command("create")
def accesskey_create(json: AsJson = False) -> None:
    """Make an access key and show its secret, this once."""
    output.record(ask("accesskey.create"), raw=json)
