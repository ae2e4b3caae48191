"""The command's way to the system: its own, or the running server's."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from ums.cli.errors import ServerError
from ums.config import Settings, load, terminal_language
from ums.core import verbs
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.imports import runner
from ums.core.maintenance.startup import open_system
from ums.core.messages.intake import Intake
from ums.db import HeldError
from ums.errors import Invalid, Unavailable
from ums.logs import configure

ADDRESS_FILE = "server.json"
PATIENCE = 5.0  # seconds for a server that is just starting, or a command that is just at it


class Door:
    """Runs verbs; `system` is there when no server stands between."""

    def __init__(self, settings: Settings, system: AppContext | None, client: Any) -> None:
        self.settings = settings
        self.system = system
        self._client = client
        self._intake = None if system is None else Intake(system)

    async def call(self, name: str, /, **params: object) -> Any:
        """The verb's answer as plain JSON values. Raises UmsError or ServerError."""
        given = {key: value for key, value in params.items() if value is not None}
        if self.system is None:
            return await _ask(self._client, name, given)
        try:
            return await self._here(self.system, name, given)
        except Invalid as error:
            if error.reason != "sender_elsewhere":
                raise
        return await self._with_sandbox(self.system, name, given)

    async def follow(self, name: str, /, **params: object) -> AsyncGenerator[Any]:
        """The steps of a verb that tells them, as they go. Raises as `call` does."""
        given = {key: value for key, value in params.items() if value is not None}
        if self.system is None:
            async for step in _follow(self._client, name, given):
                yield step
            return
        async with _sandboxed(self.system):
            async for step in await verbs.follow(self.system, name, given):
                yield msgspec.to_builtins(step)

    async def _here(self, system: AppContext, name: str, given: dict[str, object]) -> Any:
        if self._intake is None:
            raise RuntimeError("a door with a system has an intake")
        return msgspec.to_builtins(await verbs.call(system, self._intake, name, given))

    async def _with_sandbox(self, system: AppContext, name: str, given: dict[str, object]) -> Any:
        async with _sandboxed(system):
            return await self._here(system, name, given)

    async def run_import(self, import_id: int) -> None:
        """Do the import here to its end, unless a server's engine does it."""
        if self.system is None:
            return
        owner = f"cli.{os.getpid()}.{secrets.token_hex(4)}"
        async with _alive(self.system, owner):
            while not await _is_over(self.system, import_id):
                await runner.run(self.system, import_id, owner)
                if await _is_over(self.system, import_id):
                    return
                # Another worker's on PostgreSQL; when that is dead, its lease ends by time alone.
                await asyncio.sleep(0.5)


@asynccontextmanager
async def _sandboxed(system: AppContext) -> AsyncGenerator[None]:
    """With a receiver of our own, which keeps the sandbox's mail where the server's would."""
    from ums.core.transports import registry  # noqa: PLC0415
    from ums.engine.sandbox_server import receiver  # noqa: PLC0415  (seldom needed, long to load)

    async with receiver(system) as port:
        registry.add_sandbox(system.types, port)
        yield


async def _is_over(system: AppContext, import_id: int) -> bool:
    async with system.database.read() as tx:
        found = await runner.show(tx, import_id)
    return found is None or found.state in ("done", "failed")


@asynccontextmanager
async def _alive(system: AppContext, owner: str) -> AsyncGenerator[None]:
    """Count among the workers meanwhile, so that no other takes our work for abandoned."""
    lease = round(system.settings.lease_seconds * 1000)

    async def beat() -> None:
        async with system.database.write() as tx:
            await queue.beat(tx, owner, lease)

    async def beat_on() -> None:
        while True:
            await asyncio.sleep(system.settings.lease_seconds / 3)
            with suppress(Unavailable):
                await beat()

    await beat()
    if system.settings.is_sqlite:
        # We have the file, so whoever else had it is dead: a command that was killed, say.
        async with system.database.write() as tx:
            await queue.recover(tx, owner, everyone=True)
    task = asyncio.create_task(beat_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with system.database.write() as tx:
            await queue.bury(tx, owner)


@asynccontextmanager
async def opened(settings: Settings | None = None) -> AsyncGenerator[Door]:
    """The system itself when nobody holds it, else the server that does."""
    settings = settings or load()
    # To the error output, for programs read the other; and a command's own progress is no news.
    configure(structs.replace(settings, log_level=_quiet(settings.log_level)))
    async with AsyncExitStack() as stack:
        yield await _reach(settings, stack)


async def running(settings: Settings) -> tuple[str, str]:
    """(URL, version) of the server that runs on the data folder; ("", "") when none answers."""
    async with AsyncExitStack() as stack:
        client = await _server(settings, stack)
        if client is None:
            return "", ""
        return str(client.base_url).rstrip("/"), (await _ask(client, "version", {}))["version"]


def _quiet(level: str) -> str:
    return "warning" if level == "info" else level


async def _reach(settings: Settings, stack: AsyncExitStack) -> Door:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            system = await stack.enter_async_context(open_system(settings))
            return Door(settings, system, None)
        except HeldError:
            client = await _server(settings, stack)
        if client is not None:
            return Door(settings, None, client)
        if time.monotonic() > deadline:
            raise Invalid("server_elsewhere", url=_address(settings.data_dir)[0] or "any address")
        await asyncio.sleep(0.1)  # a lock of another process tells nobody when it ends


async def _server(settings: Settings, stack: AsyncExitStack) -> Any:
    """A client of the server that holds the data folder; None when it does not answer."""
    url, token = _address(settings.data_dir)
    if not url:
        return None
    import httpx  # noqa: PLC0415  (only where a server runs)

    client = httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}", "Accept-Language": terminal_language()},
        timeout=300,
        trust_env=False,  # never through a proxy: it is this machine
    )
    try:
        await _ask(client, "version", {})
    except (ServerError, Invalid):
        # Nobody there, or somebody else: the file of a server that was killed.
        await client.aclose()
        return None
    stack.push_async_callback(client.aclose)  # httpx enters no client that was used
    return client


async def _ask(client: Any, name: str, params: dict[str, object]) -> Any:
    from httpx import HTTPError  # noqa: PLC0415

    try:
        response = await client.post(f"/local/{name}", json=params)
        answer = response.json()
    except (HTTPError, ValueError):
        raise Invalid("server_elsewhere", url=str(client.base_url)) from None
    if response.status_code == 200:
        return answer
    raise _refused(answer)


async def _follow(client: Any, name: str, params: dict[str, object]) -> AsyncGenerator[Any]:
    from httpx import HTTPError  # noqa: PLC0415

    try:
        async with client.stream("POST", f"/local/{name}/steps", json=params) as response:
            if response.status_code != 200:
                raise _refused(json.loads(await response.aread()))
            async for line in response.aiter_lines():
                yield json.loads(line)
    except (HTTPError, ValueError):
        raise Invalid("server_elsewhere", url=str(client.base_url)) from None


def _refused(answer: object) -> ServerError:
    told: dict[str, Any] = answer if isinstance(answer, dict) else {}
    message = str(told.get("message", "the server could not do it"))
    return ServerError(int(told.get("code", 5000)), message, str(told.get("reason", "broken")))


def _address(folder: Path) -> tuple[str, str]:
    """(URL, token) of the server that runs, or ran, on the folder; ("", "") when none did."""
    try:
        stored = json.loads((folder / ADDRESS_FILE).read_text())
        return str(stored["url"]), str(stored["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def write_address(folder: Path, url: str, token: str) -> None:
    """Tell commands on this machine where the server is and how to prove who they are."""
    path = folder / ADDRESS_FILE
    aside = path.with_name(f"{ADDRESS_FILE}.{os.getpid()}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as stream:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, stream)
    aside.replace(path)


def forget_address(folder: Path, token: str) -> None:
    """Take it back, unless another server has put its own there."""
    if _address(folder)[1] == token:
        (folder / ADDRESS_FILE).unlink(missing_ok=True)
