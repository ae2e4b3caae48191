"""Commands of senders."""

from typing import Annotated, Any

import typer

from ums.cli import output
from ums.cli.app import AsJson, ask, follow, read_password, sender
from ums.cli.errors import fail
from ums.config import terminal_language

SENDER = (
    "code",
    "name",
    "type",
    "host",
    "port",
    "encryption",
    "from_address",
    "channels",
    "status",
    "status_reason",
    "status_until",
)


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


@sender.command("create-webhook")
def sender_create_webhook(
    code: Annotated[str, typer.Option(help="1 to 30 letters and digits; never changes.")],
    name: Annotated[str, typer.Option(help="1 to 30 characters.")],
    url: Annotated[str, typer.Option(help="Where each delivery is posted to.")],
    account: Annotated[
        str, typer.Option(help="The user of HTTP Basic; empty: the password is a bearer token.")
    ] = "",
    password_file: Annotated[
        str | None,
        typer.Option(help="A file with the password or token; - reads it from the input."),
    ] = None,
    deduplicates: Annotated[
        bool,
        typer.Option(help="The receiver takes no webhook-id twice: post again without an answer."),
    ] = False,
    channel: Annotated[
        list[str] | None, typer.Option(help="A ChannelKey that may use it; repeatable.")
    ] = None,
    change: Annotated[bool, typer.Option(help="Change the sender of this code.")] = False,
    json: AsJson = False,
) -> None:
    """Make a sender that posts to an HTTP service of your own, or change one with --change. Its
    signing secret is shown once."""
    made = ask(
        "sender.webhook_change" if change else "sender.webhook_create",
        code=code,
        name=name,
        url=url,
        account=account,
        password=read_password(password_file),
        deduplicates=deduplicates,
        channels=channel or [],
    )
    output.record(made, raw=json)


@sender.command("rotate")
def sender_rotate(
    code: str,
    overlap_hours: Annotated[
        float, typer.Option(help="So long the old one signs as well.", min=0, max=8760)
    ] = 24.0,
    json: AsJson = False,
) -> None:
    """Give a webhook sender a new signing secret, which is shown once."""
    output.record(ask("sender.rotate", code=code, overlap_hours=overlap_hours), raw=json)


def split_from(text: str) -> tuple[str, str]:
    """("Name", "addr") of `Name <addr>` or a bare address."""
    name, angle, rest = text.rpartition("<")
    if angle and rest.rstrip().endswith(">"):
        return name.strip().strip('"').strip(), rest.rstrip()[:-1]
    return "", text


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
    """Connect, log in and rehearse a mail; a successful test ends a cooldown."""
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
