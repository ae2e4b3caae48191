"""`ums simulate`: a mail server that plays a provider, to rehearse with."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ums.bounds import MOST, MOST_ID
from ums.cli import output
from ums.cli.app import AsJson, app
from ums.cli.errors import fail
from ums.config import terminal_language

if TYPE_CHECKING:
    from ums.simulator.ledger import Ledger
    from ums.simulator.profiles import Profile, Simulator


@app.command()
def simulate(
    profile: Annotated[
        str | None, typer.Argument(help="Which; without it, all are listed.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 2525,
    over: Annotated[
        int | None, typer.Option(help="For rules that limit a rate: so many ...", min=0, max=MOST)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="... within so many seconds.", min=0, max=MOST)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Makes chance the same each time.", min=0, max=MOST_ID)
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Write down each mail that is taken: JSON, one a line.")
    ] = None,
    profiles: Annotated[Path | None, typer.Option(help="A file of profiles of your own.")] = None,
    json: AsJson = False,
) -> None:
    """Play a mail provider, with its limits and moods; nothing is sent anywhere."""
    from ums.errors import UmsError  # noqa: PLC0415
    from ums.simulator.profiles import load  # noqa: PLC0415

    try:
        known = load(profiles)
    except UmsError as error:
        fail(error.words(terminal_language()), error.reason)
    if profile is None:
        zh = terminal_language() == "zh"
        rows = [{"profile": name, "plays": one.zh if zh else one.en} for name, one in known.items()]
        output.records(rows, ("profile", "plays"), raw=json)
        return
    if profile not in known:
        fail(f"{profile} is no profile; there are {', '.join(known)}", "profile_unknown")
    chosen = _with_limits(known[profile], over, seconds)
    try:
        asyncio.run(_run(chosen, host, port, seed, ledger, raw=json))
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or f'{host}:{port}'}")


def _with_limits(profile: "Profile", over: int | None, seconds: float | None) -> "Profile":
    changes = {"over": over, "seconds": seconds}
    wanted = {name: value for name, value in changes.items() if value is not None}
    rules = tuple(
        rule if rule.over is None else msgspec.structs.replace(rule, **wanted)
        for rule in profile.rules
    )
    return msgspec.structs.replace(profile, rules=rules)


async def _run(
    profile: "Profile",
    host: str,
    port: int,
    seed: int | None,
    path: Path | None,
    *,
    raw: bool,
) -> None:
    from ums.simulator.ledger import Ledger  # noqa: PLC0415
    from ums.simulator.profiles import Simulator  # noqa: PLC0415

    with ExitStack() as stack:
        file = None if path is None else stack.enter_context(path.open("ab"))
        book = Ledger(file)
        server = Simulator(profile, seed=seed, host=host, port=port)
        server.taken = book.note
        async with server:
            if not raw:
                output.out.print(f"SMTP at {host}:{server.port}, encryption none. Ctrl-C ends it.")
            await _asked_to_stop()
        _tell(server, book, raw=raw)


async def _asked_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()


def _tell(server: "Simulator", book: "Ledger", *, raw: bool) -> None:
    counts = {
        "connections": server.connections,
        "taken": book.taken,
        "distinct": book.distinct,
        "twice": book.twice,
    }
    if raw:
        output.as_json({**counts, "said": dict(server.said)})
        return
    output.record(counts, raw=False)
    for said, count in server.said.most_common():
        output.out.print(f"{count:>8}  {said}", markup=False, highlight=False)
