"""`ums serve` and `ums work`: the long-running processes, and what they print when they are up."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from ipaddress import ip_address
from types import FrameType

import structlog
import uvicorn
import uvloop
from msgspec import structs

from ums.app import build
from ums.cli import output
from ums.cli.connection import forget_address, write_address
from ums.cli.errors import fail, refuse_held
from ums.cli.processes.bootstrap import Greeting, keep, prepare
from ums.cli.processes.worker_processes import Workers
from ums.config import Settings, listening_url
from ums.console.sandbox.guests import PATH, guests_of
from ums.core.context.app_context import AppContext
from ums.core.maintenance.health_checks import require_key
from ums.core.maintenance.startup import open_system
from ums.db import HeldError
from ums.engine import worker
from ums.logs import configure
from ums.web import server as web
from ums.web.proxies import Proxies

log = structlog.get_logger()
_TLS = "put a proxy with TLS before it, and set UMS_PUBLIC_URL (docs/how-to/behind-a-proxy.md)"
PATIENCE = 5.0  # seconds over `shutdown_seconds` that a worker gets


class Server(uvicorn.Server):
    """uvicorn, which has its helpers stop when it is told to stop, not after it has."""

    def __init__(self, config: uvicorn.Config, workers: Workers) -> None:
        super().__init__(config)
        self._workers = workers

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._workers.stop()


def serve_web(settings: Settings, host: str | None, port: int | None, processes: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, which are an orderly end: exit status 0."""
    configure(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has its own while it runs, and raises what it caught again when it has ended.
        signal.signal(number, _leave)
    address = (host or settings.host, settings.port if port is None else port)
    listener = _listen(*address)
    if is_in_clear(address[0], settings.public_url):
        log.warning("other machines reach this server without TLS", host=address[0], help=_TLS)
    url = listening_url(address[0], listener.getsockname()[1])
    settings = structs.replace(settings, public_url=settings.public_url or url)
    Proxies(settings)  # a list that cannot be read shows now
    try:
        greeting = asyncio.run(prepare(settings))
    except HeldError:
        refuse_held(settings)
    announced: list[str] = []
    shown = _shown(settings, greeting, url)

    def ready(_system: AppContext, token: str) -> None:
        write_address(settings.data_dir, url, token)
        announced.append(token)
        _greet(url, shown, guests_of(app.state).invite() if sys.stderr.isatty() else "")

    app = build(settings, ready)
    with Workers(processes - 1, settings.shutdown_seconds + PATIENCE) as workers:
        server = Server(web.config(app, settings), workers)
        try:
            server.run(sockets=[listener])
        finally:
            _part(settings, shown, announced)
    _end(sound=server.started)


def is_in_clear(host: str, public_url: str) -> bool:
    """Whether passwords may come over a network in clear: it listens to more than this machine,
    and nobody says that there is TLS before it."""
    try:
        here = ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    return not here and not public_url.startswith("https:")


def _shown(settings: Settings, greeting: Greeting | None, url: str) -> list[str]:
    """The lines that tell what the first start made. Its secrets are for a terminal alone: what
    a service prints is kept in logs that others read."""
    if greeting is None or sys.stderr.isatty():
        return [] if greeting is None else greeting.lines(url)
    path = keep(settings.data_dir, greeting, url)
    return [f"What to begin with, and its secrets: {path}  (delete it when you have read it)"]


def _part(settings: Settings, shown: list[str], announced: list[str]) -> None:
    for token in announced:
        forget_address(settings.data_dir, token)
    if not announced and shown:
        # It did not come up, but what is shown only once must be shown.
        _say(shown)


def _leave(_number: int, _frame: FrameType | None) -> None:
    _end(sound=True)


def _end(*, sound: bool) -> None:
    # An engine that broke has ended the process by a signal, but that is not an orderly end:
    # what supervises us shall start it again. A log on a full disk is no failure (F47).
    for stream in (sys.stdout, sys.stderr):
        output.discard_unwritten(stream)
    sys.exit(0 if sound and not worker.broken() else 1)


def work_alone(settings: Settings, *, while_open: bool) -> None:
    """Run the engine until SIGTERM or SIGINT, or `while_open` until the standard input ends."""
    configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings, while_open=while_open))
    _end(sound=True)


async def _work(settings: Settings, *, while_open: bool) -> None:
    stop, running = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(name, stop.set)
    if while_open:
        running.add_reader(0, _at_end, stop)
    async with open_system(settings) as system:
        await require_key(system)
        async with worker.running(system):
            await stop.wait()


def _at_end(stop: asyncio.Event) -> None:
    with suppress(OSError):
        if os.read(0, 1024):
            return
    asyncio.get_running_loop().remove_reader(0)
    stop.set()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, else asyncio leaves Nagle's delay on and each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, so that two that start at the same time do not both get the port.
        listener.listen(2048)
    except (OSError, UnicodeError) as error:
        listener.close()
        told = error.strerror if isinstance(error, OSError) else "not a name or an address"
        fail(
            f"cannot listen on {host}, port {port}: {told}."
            " Choose another with UMS_HOST and UMS_PORT.",
            "address",
        )
    listener.set_inheritable(True)
    return listener


def _greet(url: str, shown: list[str], link: str) -> None:
    """`link` opens the sandbox to whoever reads it, so only a terminal gets one."""
    sandbox = f"{url}{PATH}{link}  (once, within 30 minutes)" if link else f"{url}/sandbox"
    lines = [f"UMS is up at {url}", f"Mail of the sandbox: {sandbox}"]
    _say([*lines, "", *shown] if shown else lines)


def _say(lines: list[str]) -> None:
    with suppress(OSError):  # where nobody can read it, UMS runs all the same
        output.err.print("\n".join(lines), markup=False)
