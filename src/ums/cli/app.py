"""The commands and their options; what they do is done by the verbs of the core."""

import asyncio
import io
import os
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from ums import __version__
from ums.cli import output
from ums.cli.errors import fail, report
from ums.config import terminal_language

app = typer.Typer(
    name="ums",
    help="UMS: accept, send, retry and account for every message.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
channel = typer.Typer(help="Business lines that ask for messages.", no_args_is_help=True)
accesskey = typer.Typer(help="The account-wide key for user management.", no_args_is_help=True)
sender = typer.Typer(help="Accounts that mail goes out through.", no_args_is_help=True)
operator = typer.Typer(help="People who may look into the console.", no_args_is_help=True)
for name, group in (
    ("channel", channel),
    ("accesskey", accesskey),
    ("sender", sender),
    ("operator", operator),
):
    app.add_typer(group, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
After = Annotated[str | None, typer.Option(help="The `next` of the page before.")]
Limit = Annotated[int, typer.Option(help="How many on a page, at most 500.", min=1, max=500)]
Key = Annotated[str, typer.Argument(help="The ChannelKey.")]
CHANNEL = ("name", "channelkey", "open", "senders", "default_sender")
SENDER = (
    "code",
    "name",
    "host",
    "port",
    "encryption",
    "from_address",
    "channels",
    "rest_reason",
    "stopped_at",
)


def ask(name: str, /, **params: object) -> Any:
    """Run one verb."""

    from ums.cli.connection import opened  # noqa: PLC0415  (loads the core, which --help can do without)

    async def work() -> Any:
        async with opened() as door:
            return await door.call(name, **params)

    return asyncio.run(work())


def follow(name: str, each: Callable[[dict[str, Any]], None], /, **params: object) -> None:
    """Run a verb that tells its steps, and do `each` with one as it comes."""
    from ums.cli.connection import opened  # noqa: PLC0415

    async def work() -> None:
        async with opened() as door, aclosing(door.follow(name, **params)) as steps:
            async for step in steps:
                each(step)

    asyncio.run(work())


@app.callback(invoke_without_command=True)
def version(
    asked: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.command("help")
def help_of(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(help="A command, such as: sender test")
    ] = None,
) -> None:
    """Say what a command does; without one, which there are."""
    found: Any = context.find_root().command
    here: Any = context.find_root()
    for word in words or []:
        inner = found.get_command(here, word) if hasattr(found, "get_command") else None
        if inner is None:
            fail(f"there is no command {' '.join(words or [])}; see `ums help`")
        here = type(context)(inner, info_name=word, parent=here)
        found = inner
    typer.echo(found.get_help(here))


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


@sender.command("create")
def sender_create(
    code: Annotated[str, typer.Option(help="1 to 30 letters and digits; never changes.")],
    name: Annotated[str, typer.Option(help="1 to 30 characters.")],
    host: Annotated[str, typer.Option(help="The server's name.")],
    port: Annotated[
        int,
        typer.Option(
            help="25, 80, 443, 465, 587, 2525; others with --allow-port.", min=1, max=65535
        ),
    ],
    encryption: Annotated[str, typer.Option(help="none, ssl or starttls.")],
    from_: Annotated[str, typer.Option("--from", help='ADDR or "Name <ADDR>".')],
    account: Annotated[str, typer.Option(help="The login; empty for none.")] = "",
    password_file: Annotated[
        str | None, typer.Option(help="A file with the password; - reads it from the input.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="A ChannelKey that may use it; repeatable.")
    ] = None,
    allow_port: Annotated[bool, typer.Option(help="Approve a port of another number.")] = False,
    change: Annotated[bool, typer.Option(help="Change the sender of this code.")] = False,
    json: AsJson = False,
) -> None:
    """Make an email sender, or change one with --change."""
    from_name, from_address = split_from(from_)
    password = read_password(password_file)
    if account and password is None and not change:
        fail("the account needs its password: --password-file FILE, or - for the input")
    made = ask(
        "sender.change" if change else "sender.create",
        code=code,
        name=name,
        host=host,
        port=port,
        encryption=encryption,
        account=account,
        password=password,
        from_address=from_address,
        from_name=from_name,
        channels=channel or [],
        allow_port=allow_port,
    )
    output.record(made, raw=json)


def split_from(text: str) -> tuple[str, str]:
    """("Name", "addr") of `Name <addr>` or a bare address."""
    name, angle, rest = text.rpartition("<")
    if angle and rest.rstrip().endswith(">"):
        return name.strip().strip('"').strip(), rest.rstrip()[:-1]
    return "", text


def read_password(file: str | None) -> str | None:
    if file is None:
        return None
    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error.strerror if isinstance(error, OSError) else 'not a text file'}")


@sender.command("list")
def sender_list(json: AsJson = False) -> None:
    """All senders; passwords are never shown."""
    output.records(ask("sender.list"), SENDER, raw=json)


@sender.command("authorise")
def sender_authorise(
    code: str,
    channel: Annotated[str, typer.Option(help="The ChannelKey.")],
    default: Annotated[bool, typer.Option(help="Make it the channel's default.")] = False,
    rank: Annotated[
        int | None,
        typer.Option(help="Its place in the channel's route, 1 to 9; 0: none.", min=0, max=9),
    ] = None,
    weight: Annotated[
        int | None, typer.Option(help="Its part of what its rank shares, 1 to 100.", min=1, max=100)
    ] = None,
    json: AsJson = False,
) -> None:
    """Let a channel use a sender."""
    given = {"code": code, "channel": channel, "default": default, "rank": rank, "weight": weight}
    output.record(ask("sender.authorise", **given), raw=json)


@sender.command("confirm")
def sender_confirm(code: str, json: AsJson = False) -> None:
    """Let a sender that was stopped send to several people again."""
    output.record(ask("sender.confirm", code=code), raw=json)


@sender.command("test")
def sender_test(
    code: str,
    to: Annotated[str | None, typer.Option(help="Also send a test mail to this address.")] = None,
    json: AsJson = False,
) -> None:
    """Connect, log in and rehearse a mail; a good test lets a resting sender go on."""
    if json:
        report = ask("sender.test", code=code, to=to)
        output.as_json(report)
        ok = report["ok"]
    else:
        ok = _test_seen(code, to)
    if not ok:
        raise typer.Exit(1)


def _test_seen(code: str, to: str | None) -> bool:
    """Show each step as it goes; whether the last of the test went well."""
    from ums.core.senders.connection_test import WAYS  # noqa: PLC0415

    language, went = terminal_language(), [False]

    def each(step: dict[str, Any]) -> None:
        output.step(step, language)
        if step["stage"] != WAYS:
            went.append(step["ok"])

    follow("sender.test", each, code=code, to=to)
    return went[-1]


def main() -> None:
    """The entry point: errors are one line that says what to do, never a trace."""
    os.umask(0o077)  # what UMS writes holds addresses, texts and secrets
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show Chinese is no reason to fail; in JSON the escape even reads.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            # Here and not at the interpreter's end, where nobody could catch what it raises.
            sys.stdout.flush()
    except BrokenPipeError:
        # `ums ... | head`: nobody reads on.
        output.discard_unwritten(sys.stdout)
        sys.exit(1)
    except Exception as error:
        report(error, as_json="--json" in sys.argv)
        sys.exit(1)
