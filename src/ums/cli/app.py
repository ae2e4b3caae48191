"""The frame of the `ums` command: groups, shared options, and how verbs are asked for."""

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
ChannelKey = Annotated[str, typer.Option("--channel", help="The ChannelKey.")]
OneChannel = Annotated[
    str | None, typer.Option("--channel", help="The ChannelKey; without it, for every channel.")
]
Name = Annotated[str, typer.Argument(help="1 to 60 characters.")]


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


def read_password(file: str | None) -> str | None:
    if file is None:
        return None
    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error.strerror if isinstance(error, OSError) else 'not a text file'}")


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
