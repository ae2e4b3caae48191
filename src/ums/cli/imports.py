"""Commands of imports that ran."""

from typing import Annotated

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, app, ask

imports = typer.Typer(help="Imports that ran.", no_args_is_help=True)
app.add_typer(imports, name="import")
IMPORT = ("id", "name", "state", "added", "changed", "unchanged", "rejected", "created_at")


@imports.command("list")
def import_list(after: After = None, limit: Limit = 100, json: AsJson = False) -> None:
    """All imports, the newest first."""
    output.page(ask("import.list", after=after, limit=limit), IMPORT, raw=json)


@imports.command("undo")
def import_undo(
    id: Annotated[
        int, typer.Argument(help="The import's id, as the list shows it.", min=1, max=MOST_ID)
    ],
    json: AsJson = False,
) -> None:
    """Take an import back: what nobody changed since is as it was before."""
    output.record(ask("import.undo", id=id), raw=json)
