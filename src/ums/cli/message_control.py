"""Commands that approve, stop, resume and resend messages, and settle deliveries in doubt."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, OneChannel, app, ask
from ums.cli.messages import message

Msgid = Annotated[str, typer.Argument(help="What the acceptance gave back.")]


@app.command("retract")
def retract(msgid: Msgid, json: AsJson = False) -> None:
    """Stop a message of the last 24 hours for good."""
    output.record(ask("message.retract", msgid=msgid), raw=json)


@message.command("cancel")
def message_cancel(msgid: Msgid, json: AsJson = False) -> None:
    """Stop a message for good, however old it is."""
    output.record(ask("message.cancel", msgid=msgid), raw=json)


@message.command("pause")
def message_pause(msgid: Msgid, json: AsJson = False) -> None:
    """Stop a message until it is resumed."""
    output.record(ask("message.pause", msgid=msgid), raw=json)


@message.command("resume")
def message_resume(msgid: Msgid, json: AsJson = False) -> None:
    """Let a paused message go on."""
    output.record(ask("message.resume", msgid=msgid), raw=json)


@message.command("reschedule")
def message_reschedule(
    msgid: Msgid,
    at: Annotated[str, typer.Option(help="Not before this time.")],
    deliver_by: Annotated[str | None, typer.Option(help="Not after this time.")] = None,
    json: AsJson = False,
) -> None:
    """Give a scheduled message another start, as long as it has not begun."""
    told = ask("message.reschedule", msgid=msgid, at=at, deliver_by=deliver_by)
    output.record(told, raw=json)


@message.command("resend")
def message_resend(
    msgid: Msgid,
    state: Annotated[
        list[str] | None, typer.Option(help="failed, expired or unknown; repeatable.")
    ] = None,
    reason: Annotated[list[str] | None, typer.Option(help="A reason; repeatable.")] = None,
    json: AsJson = False,
) -> None:
    """Send once more what failed."""
    output.record(ask("message.resend", msgid=msgid, state=state, reason=reason), raw=json)


@message.command("resolve")
def message_resolve(
    msgid: Msgid,
    arrived: Annotated[
        bool, typer.Option("--arrived/--not-arrived", help="What was found out of them.")
    ],
    delivery: Annotated[
        list[int] | None,
        typer.Option(help="The id of one; repeatable. Else all.", min=1, max=MOST_ID),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say whether deliveries with an unknown outcome arrived."""
    told = ask("message.resolve", msgid=msgid, arrived=arrived, delivery=delivery)
    output.record(told, raw=json)


WAITING = ("msgid", "channelkey", "owner", "subject", "audience", "accepted_at")
approval = typer.Typer(help="Messages that wait for a second person.", no_args_is_help=True)
app.add_typer(approval, name="approval")
As = Annotated[
    str | None, typer.Option("--as", help="The operator who decides. Default: this machine's user.")
]


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
