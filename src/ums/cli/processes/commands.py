"""Commands that run UMS and look after its installation.

What only these need is loaded inside them: `ums channel list` has no use for a web server.
"""

import asyncio
from typing import Annotated

import typer

from ums.cli import output
from ums.cli.app import AsJson, app, ask
from ums.cli.errors import fail
from ums.config import load


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (UMS_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on (UMS_PORT).", min=0, max=65535)
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            help="Delivering processes in all; more than 1 needs PostgreSQL.", min=1, max=256
        ),
    ] = 1,
) -> None:
    """Run the web server and the engine."""
    from ums.cli.processes.serve import serve_web  # noqa: PLC0415

    settings = load()
    if processes > 1 and settings.is_sqlite:
        fail("several processes need PostgreSQL: set UMS_DATABASE_URL", "sqlite")
    serve_web(settings, host, port, processes)


@app.command()
def work(
    while_open: Annotated[
        bool, typer.Option(hidden=True, help="End when the standard input ends.")
    ] = False,
) -> None:
    """Run the engine alone; any number of them, against PostgreSQL."""
    from ums.cli.processes.serve import work_alone  # noqa: PLC0415

    settings = load()
    if settings.is_sqlite:
        fail(
            "`ums work` needs PostgreSQL (UMS_DATABASE_URL); with SQLite, `ums serve` does it all",
            "sqlite",
        )
    work_alone(settings, while_open=while_open)


@app.command()
def migrate(json: AsJson = False) -> None:
    """Bring the database to this version's schema (the server does it by itself as well)."""
    output.record(ask("migrate"), raw=json)


restored = typer.Typer(
    help="A restored backup sends nothing until that is confirmed.", no_args_is_help=True
)
app.add_typer(restored, name="restored")


@restored.command("show")
def restored_show(json: AsJson = False) -> None:
    """Whether sending is held, and how much waits."""
    output.record(ask("restored.show"), raw=json)


@restored.command("confirm")
def restored_confirm(json: AsJson = False) -> None:
    """Send what waits after all."""
    output.record(ask("restored.confirm"), raw=json)


@app.command()
def doctor(json: AsJson = False) -> None:
    """Check settings, database, key file, clock and versions, and say what to do."""
    from ums.cli.processes.doctor import examine  # noqa: PLC0415

    findings = asyncio.run(examine())
    output.records(findings, ("ok", "check", "finding", "advice"), raw=json)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)
