"""Commands that look at the installation: its state, its messages, its users."""

import asyncio
from typing import Annotated, Any

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask
from ums.cli.messages import message, user

MESSAGE = ("msgid", "channelkey", "sender", "state", "subject", "audience", "counts", "accepted_at")
USER = ("userid", "email", "tags", "attributes", "updated_at")


@app.command("status")
def status(json: AsJson = False) -> None:
    """Whether a server runs and where, what waits, and what is on hold."""
    output.record(asyncio.run(_status()), raw=json)


async def _status() -> dict[str, Any]:
    from ums.cli.connection import opened, running  # noqa: PLC0415  (loads the core)

    async with opened() as door:
        url, _ = await running(door.settings)
        return {"server": url or None, **await door.call("status")}


@message.command("list")
def message_list(
    channel: Annotated[str | None, typer.Option(help="Only this ChannelKey's.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only messages in this state, such as sending or done.")
    ] = None,
    sender: Annotated[str | None, typer.Option(help="Only this sender's.")] = None,
    subject: Annotated[str | None, typer.Option(help="A part of the subject.")] = None,
    after: After = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """Messages, the newest first."""
    wanted = {"channel": channel, "state": state, "sender": sender, "subject": subject}
    output.page(ask("message.list", **wanted, after=after, limit=limit), MESSAGE, raw=json)


@user.command("list")
def user_list(
    search: Annotated[
        str | None,
        typer.Option(help="Any part of the userid, an address, an attribute or a tag."),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="How the userid begins.")] = None,
    address: Annotated[str | None, typer.Option(help="An address it has.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag it has.")] = None,
    segment: Annotated[
        int | None, typer.Option(help="The id of a segment it belongs to.", min=1, max=MOST_ID)
    ] = None,
    sort: Annotated[
        str, typer.Option(help="created_at or userid; with - before it the last first.")
    ] = "created_at",
    after: After = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """Users; several options have to fit all."""
    wanted = {"search": search, "prefix": prefix, "address": address, "tag": tag}
    wanted |= {"sort": sort, "after": after}
    found = ask("user.list", **wanted, segment=segment, limit=limit)
    if not json:
        found["items"] = [_flat(one) for one in found["items"]]
    output.page(found, USER, raw=json)


@user.command("show")
def user_show(
    userid: Annotated[str, typer.Argument(help="The userid.")], json: AsJson = False
) -> None:
    """A user with its addresses, tags and attributes."""
    found = ask("user.show", userid=userid)
    output.record(found if json else _flat(found), raw=json)


def _flat(user: dict[str, Any]) -> dict[str, Any]:
    """A field for each kind of address; what all channels use stands without its bind id."""
    kinds = {kind: _bound(by_id) for kind, by_id in user["addresses"].items()}
    times = {name: user[name] for name in ("created_at", "updated_at")}
    known = {"tags": _bound(user["tags"]), "attributes": user["attributes"]}
    return {"userid": user["userid"], **kinds, **known, **times}


def _bound(by_id: dict[str, list[str]]) -> list[str]:
    return [
        value if bind_id == "all" else f"{value} ({bind_id})"
        for bind_id, values in sorted(by_id.items(), key=lambda one: (one[0] != "all", one[0]))
        for value in values
    ]
