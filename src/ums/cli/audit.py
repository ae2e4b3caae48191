"""Commands of the audit log."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from ums.cli import output
from ums.cli.app import AsJson, app, ask
from ums.cli.errors import fail

audit = typer.Typer(help="Whether the audit log is as it was written.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command("show")
def audit_show(json: AsJson = False) -> None:
    """The state of the chain: its end, what was verified last, the last checkpoint."""
    output.record(ask("audit.show"), raw=json)


@audit.command("verify")
def audit_verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A file that `ums audit checkpoint` wrote.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Walk the whole chain; exit code 1 where an entry was changed or is missing."""
    given = None if checkpoint is None else _read(checkpoint)
    proof = ask("audit.verify", checkpoint=given)
    output.record(proof, raw=json)
    if not proof["ok"]:
        raise typer.Exit(1)


@audit.command("accept")
def audit_accept(json: AsJson = False) -> None:
    """Go on with a broken audit log as it is: after a restored database, or when you know who
    tampered with it. Keep a copy of the database first: it is the evidence."""
    output.record(ask("audit.accept"), raw=json)


@audit.command("checkpoint")
def audit_checkpoint(
    file: Annotated[Path | None, typer.Option(help="Where to write it; else it is shown.")] = None,
) -> None:
    """Sign where the chain ends now; keep it where nobody reaches who reaches the database."""
    text = json_text.dumps(ask("audit.checkpoint"), indent=2)
    if file is None:
        typer.echo(text)
        return
    try:
        file.write_text(f"{text}\n", "utf-8")
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _read(path: Path) -> Any:
    try:
        found: Any = json_text.loads(path.read_text("utf-8"))
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError:
        fail(f"{path}: no checkpoint; `ums audit checkpoint` writes one")
    return found
