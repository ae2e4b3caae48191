"""Commands about materials."""

from pathlib import Path
from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import AsJson, app, ask

material = typer.Typer(help="Uploaded attachments.", no_args_is_help=True)
app.add_typer(material, name="material")
MATERIAL = ("id", "name", "content_type", "size", "channelkey", "expires_at", "needed")


@material.command("upload")
def material_upload(
    file: Path,
    ttl: Annotated[int, typer.Option(help="Hours it is kept, 1 to 168.", min=1, max=168)] = 24,
    json: AsJson = False,
) -> None:
    """Store a file and show the URL under which messages can name it."""
    output.record(ask("material.upload", path=str(file.absolute()), ttl=ttl), raw=json)


@material.command("list")
def material_list(
    after: Annotated[str | None, typer.Option(help="The `next` of the page before.")] = None,
    limit: Annotated[
        int, typer.Option(help="Materials on a page, at most 500.", min=1, max=500)
    ] = 100,
    json: AsJson = False,
) -> None:
    """All materials, the newest first."""
    page = ask("material.list", after=after, limit=limit)
    output.page(page, MATERIAL, raw=json)


@material.command("delete")
def material_delete(
    id: Annotated[int, typer.Argument(help="Its id.", min=1, max=MOST_ID)], json: AsJson = False
) -> None:
    """End a material's time; it goes as soon as no unfinished message needs it."""
    output.record(ask("material.delete", id=id), raw=json)
