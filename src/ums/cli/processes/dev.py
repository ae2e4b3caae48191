"""Commands for people who work on UMS itself."""

import asyncio
from typing import Annotated

import typer
from msgspec import structs

from ums.bounds import MOST
from ums.cli import output
from ums.cli.app import AsJson, app
from ums.cli.errors import fail, refuse_held
from ums.config import Settings, load
from ums.db import HeldError
from ums.logs import configure

dev = typer.Typer(help="What helps to develop UMS.", no_args_is_help=True)
app.add_typer(dev, name="dev")


@dev.command("seed")
def seed(
    users: Annotated[int, typer.Option(help="So many users.", min=0, max=MOST)] = 1_000,
    messages: Annotated[int, typer.Option(help="So many messages.", min=0, max=MOST)] = 100,
    channel: Annotated[
        str | None,
        typer.Option(help="The ChannelKey of a channel that gets the messages, not new ones."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even where there are messages already.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Fill this installation with made-up users, channels, templates and messages."""
    settings = load()
    try:
        done = asyncio.run(_seed(settings, users, messages, channel, anyway=anyway))
    except HeldError:
        refuse_held(settings)
    output.record(done, raw=json)


async def _seed(
    settings: Settings, users: int, messages: int, key: str | None, *, anyway: bool
) -> dict[str, object]:
    from ums.core.channels import channels  # noqa: PLC0415  (what --help can do without)
    from ums.core.maintenance.health_checks import require_key  # noqa: PLC0415
    from ums.core.maintenance.startup import open_system  # noqa: PLC0415
    from ums.sample_data import seed as sample  # noqa: PLC0415

    configure(structs.replace(settings, log_level="warning"))
    async with open_system(settings) as system:
        await require_key(system)
        channel = channels.find(await system.directory.now(), key) if key else None
        if channel is None and not anyway and await sample.has_messages(system):
            fail(
                "there are messages already, which made-up ones would hide: choose another"
                " UMS_DATA_DIR, a channel by --channel, or say --anyway",
                "not_empty",
            )
        done = await sample.seed(system, users=users, messages=messages, channel=channel)
        return structs.asdict(done)
