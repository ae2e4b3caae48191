"""Commands of operators."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, ask, operator, read_password

Name = Annotated[str, typer.Argument(help="The name to log in with.")]
PasswordFile = Annotated[str, typer.Option(help="A file with the password; - the input.")]
Channel = Annotated[
    list[str] | None, typer.Option(help="A ChannelKey it may work for; repeatable.")
]
SHOWN = ("name", "role", "disabled", "two_factor", "created_at")
SESSION = ("id", "device", "address", "created_at", "last_seen_at")


@operator.command("create")
def create(
    name: Name,
    password_file: PasswordFile,
    role: Annotated[str, typer.Option(help="administrator, operator or viewer.")] = "administrator",
    channel: Channel = None,
    json: AsJson = False,
) -> None:
    """Make an operator; a name that is taken is refused."""
    password = read_password(password_file)
    made = ask("operator.create", name=name, password=password, role=role, channels=channel or None)
    output.record(made, raw=json)


@operator.command("password")
def password(name: Name, password_file: PasswordFile, json: AsJson = False) -> None:
    """Give an operator another password and end its sessions; nothing else changes."""
    given = read_password(password_file)
    output.record(ask("operator.password", name=name, password=given), raw=json)


@operator.command("list")
def list_operators(after: After = None, limit: Limit = 100, json: AsJson = False) -> None:
    """All operators."""
    output.page(ask("operator.list", after=after, limit=limit), SHOWN, raw=json)


@operator.command("change")
def change(
    name: Name,
    role: Annotated[str | None, typer.Option(help="administrator, operator or viewer.")] = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Let the operator in no more.")
    ] = None,
    channel: Channel = None,
    every_channel: Annotated[bool, typer.Option(help="It may work for all of them.")] = False,
    json: AsJson = False,
) -> None:
    """Give an operator another role or other channels, disable or enable one."""
    given: dict[str, object] = {"role": role, "disabled": disable}
    if channel or every_channel:
        given["channels"] = None if every_channel else channel
    output.record(ask("operator.change", name=name, **given), raw=json)


@operator.command("sessions")
def sessions(name: Name, json: AsJson = False) -> None:
    """Where an operator is signed in to the console."""
    output.records(ask("operator.sessions", name=name), SESSION, raw=json)


@operator.command("end-session")
def end_session(
    name: Name,
    id: Annotated[
        int | None,
        typer.Argument(help="The session's id, as the list shows it; all.", min=0, max=MOST_ID),
    ] = None,
    json: AsJson = False,
) -> None:
    """Sign an operator out, in one browser or in all; what is left is shown."""
    output.records(ask("operator.end_session", name=name, id=id), SESSION, raw=json)


@operator.command("reset-second-factor")
def reset_second_factor(name: Name, json: AsJson = False) -> None:
    """Take away a second factor that was lost, and sign the operator out everywhere."""
    output.record(ask("operator.reset_second_factor", name=name), raw=json)
