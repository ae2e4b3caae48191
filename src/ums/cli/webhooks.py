"""Commands of callbacks: where a channel's own systems are told what became of its messages."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask, read_password
from ums.cli.errors import fail

callback = typer.Typer(help="Telling channels what became of messages.", no_args_is_help=True)
app.add_typer(callback, name="callback")

Channel = Annotated[str, typer.Option(help="The ChannelKey.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The URL, or its id.")]
Of = Annotated[str | None, typer.Option(help="Only of this address: the URL, or its id.")]
Username = Annotated[
    str | None, typer.Option(help="Basic user that the receiver wants; '' for none.")
]
PasswordFile = Annotated[
    str | None, typer.Option(help="A file with its password; - reads it from the input.")
]
FORM = "signed: a signature; hosted: as the hosted UMS, also the channel's MasterSecret."
ADDRESS = (
    "id",
    "url",
    "is_default",
    "schedule",
    "form",
    "state",
    "failing_since",
    "waiting_since",
    "dead",
)
BATCH = ("id", "url", "size", "first_at", "last_at", "tries", "last_status", "last_error")


@callback.command("add")
def callback_add(
    url: Annotated[str, typer.Argument(help="http:// or https://.")],
    channel: Channel,
    schedule: Annotated[
        str, typer.Option(help="hosted: 3 more tries, 50 s apart; standard: 10 tries in 75 hours.")
    ] = "hosted",
    form: Annotated[str, typer.Option(help=FORM)] = "signed",
    username: Username = None,
    password_file: PasswordFile = None,
    json: AsJson = False,
) -> None:
    """Verify an address, keep it, and show its secret, this once."""
    made = ask(
        "callback.add",
        channel=channel,
        url=url,
        schedule=schedule,
        form=form,
        username=username or "",
        password=read_password(password_file) or "",
    )
    output.record(made, raw=json)


@callback.command("change")
def callback_change(
    address: Address,
    channel: Channel,
    url: Annotated[str | None, typer.Option(help="Another URL.")] = None,
    form: Annotated[str | None, typer.Option(help=FORM)] = None,
    username: Username = None,
    password_file: PasswordFile = None,
    json: AsJson = False,
) -> None:
    """Give an address another URL, form or credentials, once it passes the check with them."""
    changed = ask(
        "callback.change",
        channel=channel,
        address=address,
        url=url,
        form=form,
        username=username,
        password=read_password(password_file),
    )
    output.record(changed, raw=json)


@callback.command("list")
def callback_list(channel: Channel, json: AsJson = False) -> None:
    """The channel's addresses."""
    output.records(ask("callback.list", channel=channel), ADDRESS, raw=json)


@callback.command("verify")
def callback_verify(address: Address, channel: Channel, json: AsJson = False) -> None:
    """Check an address again; a disabled one is told again then."""
    output.record(ask("callback.verify", channel=channel, address=address), raw=json)


@callback.command("default")
def callback_default(address: Address, channel: Channel, json: AsJson = False) -> None:
    """Make it the address of messages that name none."""
    output.record(ask("callback.default", channel=channel, address=address), raw=json)


@callback.command("delete")
def callback_delete(address: Address, channel: Channel, json: AsJson = False) -> None:
    """Forget an address, and what was still to be told there."""
    output.record(ask("callback.delete", channel=channel, address=address), raw=json)


@callback.command("rotate")
def callback_rotate(
    address: Address,
    channel: Channel,
    overlap_hours: Annotated[
        float, typer.Option(help="The old secret signs as well so long.", min=0, max=8760)
    ] = 24,
    json: AsJson = False,
) -> None:
    """Give an address a new secret and show it, this once."""
    made = ask("callback.rotate", channel=channel, address=address, overlap_hours=overlap_hours)
    output.record(made, raw=json)


@callback.command("test")
def callback_test(address: Address, channel: Channel, json: AsJson = False) -> None:
    """Send one sample record and say what came back."""
    report = ask("callback.test", channel=channel, address=address)
    output.record(report, raw=json)
    if not report["ok"]:
        raise typer.Exit(1)


@callback.command("dead")
def callback_dead(
    channel: Channel,
    address: Of = None,
    after: After = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """Batches that were tried as often as they are; `replay` sends them again."""
    page = ask(
        "callback.batches",
        channel=channel,
        state="dead",
        address=address,
        after=after,
        limit=limit,
    )
    if json:
        output.as_json(page)
        return
    output.records(page["items"], BATCH, raw=False)
    if page["next"]:
        output.err.print(f"more: --after {page['next']}")


@callback.command("replay")
def callback_replay(
    channel: Channel,
    batch: Annotated[int | None, typer.Option(help="This batch.", min=1, max=MOST_ID)] = None,
    first: Annotated[
        int | None, typer.Option(help="Batches from this id on.", min=1, max=MOST_ID)
    ] = None,
    last: Annotated[
        int | None, typer.Option(help="Batches up to this id.", min=1, max=MOST_ID)
    ] = None,
    address: Of = None,
    json: AsJson = False,
) -> None:
    """Send dead batches again, under their old ids."""
    if batch is not None:
        if first is not None or last is not None:
            fail("give --batch, or --first and --last")
        first = last = batch
    done = ask("callback.replay", channel=channel, first=first, last=last, address=address)
    output.record(done, raw=json)
