"""Commands that bring in users, send messages and show what became of them."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import AsJson, app, ask
from ums.cli.errors import fail
from ums.config import terminal_language

if TYPE_CHECKING:  # the core takes its time to load, and --help can do without
    from ums.cli.connection import Door

user = typer.Typer(help="The people we can reach.", no_args_is_help=True)
message = typer.Typer(help="Messages and their deliveries.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(message, name="message")
DELIVERY = ("id", "userid", "address", "state", "reason", "tries", "updated_at")


@user.command("import")
def user_import(
    file: Path,
    bind_id: Annotated[str, typer.Option(help="`all` or a ChannelKey.")] = "all",
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected rows go; default FILE-rejected.xlsx.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Which sheet of a workbook; default is the first table.")
    ] = None,
    header_row: Annotated[
        int | None,
        typer.Option(
            help="The row with the headings, 0 for none; default is to find it.",
            min=0,
            max=1_048_576,
        ),
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=FIELD: what a column holds; repeatable.", metavar="COLUMN=FIELD"),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column that is not read; repeatable.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Read users from an .xlsx, .ods or .csv: addresses, tags and attributes."""
    target = rejects or file.with_name(f"{file.stem}-rejected.xlsx")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        fail(f"{target}: cannot be written; say with --rejects where rejected rows may go")
    given = {"bind_id": bind_id, "sheet": sheet, "header_row": header_row}
    given |= {"map": map or [], "ignore": ignore or []}
    result = asyncio.run(_import(file, given, target, quiet=json))
    output.record(result, raw=json)
    if result["state"] == "failed":
        fail(str(result["detail"]), "import")


async def _import(
    file: Path, given: dict[str, Any], target: Path, *, quiet: bool
) -> dict[str, Any]:
    path = str(file.absolute())
    from ums.cli.connection import opened  # noqa: PLC0415

    async with opened() as door:
        found = await door.call("import.open", path=path, name=file.name, **given)
        work = asyncio.create_task(door.run_import(found["id"]))
        try:
            result = await _watch(door, found["id"], work, quiet=quiet)
        finally:
            work.cancel()
            await asyncio.wait([work])
        if result["rejected"]:
            told = {"target": str(target.absolute()), "language": terminal_language()}
            made = await door.call("import.rejects", id=result["id"], **told)
            result["rejected_rows"] = made["file"]
        return result


async def _watch(
    door: "Door", import_id: int, work: asyncio.Task[None], *, quiet: bool
) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=output.err, disable=quiet) as progress:
        task = progress.add_task("importing", total=None)
        while True:
            if work.done():
                work.result()  # raises what went wrong
            now: dict[str, Any] = await door.call(
                "import.show", id=import_id, language=terminal_language()
            )
            progress.update(task, completed=now["cursor"], total=now["size"] or None)
            if now["state"] in ("done", "failed"):
                return now
            await asyncio.sleep(0.2)


@app.command("send")
def send(
    channel: Annotated[str, typer.Option(help="The ChannelKey it is sent for.")],
    subject: Annotated[str, typer.Option(help="The subject.")],
    text: Annotated[str | None, typer.Option(help="The body; HTML is allowed in it.")] = None,
    text_file: Annotated[Path | None, typer.Option(help="A file with the body.")] = None,
    to: Annotated[list[str] | None, typer.Option(help="An address; repeatable.")] = None,
    userid: Annotated[list[str] | None, typer.Option(help="A userid; repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeatable.")] = None,
    segment: Annotated[str | None, typer.Option(help="A segment's id.")] = None,
    broadcast: Annotated[bool, typer.Option(help="To every user.")] = False,
    file: Annotated[list[str] | None, typer.Option(help="An attachment's URL.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key.")] = None,
    at: Annotated[str | None, typer.Option(help="Not before this time.")] = None,
    deliver_by: Annotated[str | None, typer.Option(help="Not after this time.")] = None,
    on_unknown: Annotated[
        str | None, typer.Option(help="hold or resend what has an unknown outcome.")
    ] = None,
    block_list: Annotated[
        int | None, typer.Option(help="A blocklist's id.", min=1, max=MOST_ID)
    ] = None,
    allow_list: Annotated[
        int | None, typer.Option(help="An allowlist's id.", min=1, max=MOST_ID)
    ] = None,
    json: AsJson = False,
) -> None:
    """Accept a message; a running server delivers it."""
    if (text is None) == (text_file is None):
        fail("give --text or --text-file")
    content = text if text_file is None else _read(text_file)
    body: dict[str, Any] = {"msg_email": [{"subject": subject, "text": content}]}
    if file:
        body["msg_email"][0]["files"] = file
    if to:
        body["aud_email"] = [{"data": to}]
    audience = (("aud_userid", userid), ("aud_tag", tag), ("aud_segment", segment and [segment]))
    body.update({name: value for name, value in audience if value})
    lists = {"black_id": block_list, "white_id": allow_list}
    if any(lists.values()):
        body["option"] = {name: id for name, id in lists.items() if id}
    when = {"at": at, "deliver_by": deliver_by, "on_unknown": on_unknown}
    answer = ask("message.send", channel=channel, body=body, broadcast=broadcast, key=key, **when)
    output.record(answer, raw=json)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text")


@message.command("show")
def message_show(
    msgid: str,
    deliveries: Annotated[bool, typer.Option(help="With its deliveries.")] = False,
    state: Annotated[str | None, typer.Option(help="Only deliveries in this state.")] = None,
    after: Annotated[str | None, typer.Option(help="The `next` of the page before.")] = None,
    limit: Annotated[
        int, typer.Option(help="Deliveries on a page, at most 500.", min=1, max=500)
    ] = 100,
    json: AsJson = False,
) -> None:
    """A message with counts by state."""
    shown = ask(
        "message.show", msgid=msgid, deliveries=deliveries, state=state, after=after, limit=limit
    )
    if json:
        output.as_json(shown)
        return
    rows, following = shown.pop("deliveries", None), shown.pop("next", None)
    output.record(shown, raw=False)
    if rows is not None:
        output.out.print()
        output.records(rows, DELIVERY, raw=False)
    if following is not None:
        output.out.print(f"\nThere are more: --after {following}")
