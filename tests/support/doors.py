"""UMS behind its HTTP doors, in the test's own process and loop, engine included.

    async with open_door(settings) as door:
        channel = await door.channel()                    # with a sender to `door.smtp`
        answer = await door.post("/v1/sent", {...}, channel)
        assert answer.status == 200

Requests travel over a real socket to the server that `ums serve` runs (uvicorn with httptools),
because much of what is tested here is what that server makes of bytes.
"""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from unittest.mock import patch

import httpx
import uvicorn
from litestar import Litestar
from msgspec import structs

from support.fakes import SmtpServer
from ums.app import assemble, configure
from ums.config import Settings, listening_url
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.identity import api_tokens, credentials, login
from ums.core.identity.api_throttle import ApiThrottle
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.throttle import Limit
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.core.tables.states import FINAL
from ums.engine import worker
from ums.errors import NotAuthenticated
from ums.web import server as web

Basic = tuple[str, str]
Token = str  # of the management API
_names = count(1)
_idle_applications: list[Litestar] = []


@dataclass(frozen=True)
class Answer:
    """An answer of the API: its status, its headers, and its body, which must be an object."""

    status: int
    headers: httpx.Headers
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        found = json.loads(self.raw)
        assert isinstance(found, dict), self.raw
        return found

    @property
    def code(self) -> int:
        return self.body["code"]

    @property
    def told(self) -> tuple[int, int, str]:
        """What an error tells: status, code, reason."""
        return self.status, self.code, self.body["reason"]


@dataclass(frozen=True)
class OneChannel:
    """A channel's key and secret, and the code of its sender."""

    key: str
    secret: str
    sender: str = ""

    @property
    def basic(self) -> Basic:
        return self.key, self.secret

    @property
    def header(self) -> str:
        """What the Authorization header says."""
        return "Basic " + base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()


@dataclass(eq=False)
class Door:
    """A running UMS, and a client of it."""

    system: AppContext
    token: str  # of the local door
    port: int
    http: httpx.AsyncClient
    smtp: SmtpServer
    app: Litestar

    async def ask(
        self,
        method: str,
        path: str,
        who: OneChannel | Basic | Token | None = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        named = dict(headers or {})
        if isinstance(who, str):
            named["Authorization"] = f"Bearer {who}"
            who = None
        basic = who.basic if isinstance(who, OneChannel) else who
        auth = httpx.BasicAuth(*basic) if basic else None
        given = await self.http.request(
            method, path, auth=auth, content=content, headers=named, **more
        )
        return Answer(given.status_code, given.headers, given.content)

    async def get(
        self, path: str, who: OneChannel | Basic | Token | None = None, **more: Any
    ) -> Answer:
        return await self.ask("GET", path, who, **more)

    async def post(
        self, path: str, body: object, who: OneChannel | Basic | Token | None = None, **headers: str
    ) -> Answer:
        """POST `body` as JSON, or as it is when it is bytes. `Idempotency_Key=...` is a header."""
        return await self.send("POST", path, body, who, **headers)

    async def send(
        self,
        method: str,
        path: str,
        body: object,
        who: OneChannel | Basic | Token | None = None,
        **headers: str,
    ) -> Answer:
        """The same with any method."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Content-Type": "application/json", **named}
        return await self.ask(method, path, who, content=content, headers=sent)

    async def wire(self, request: bytes) -> Answer:
        """Send these very bytes; the answer to them. The request must end the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])
            return Answer(int(first.split(" ")[1]), headers, await reader.read())
        finally:
            writer.close()

    async def done(self, msgid: str, who: OneChannel) -> dict[str, Any]:
        """The message as the management API shows it, once every delivery is final."""
        async with asyncio.timeout(120):
            while True:
                shown = (await self.get(f"/api/messages/{msgid}", who)).body
                ended = shown["state"] in ("done", "cancelled", "retracted", "refused")
                if ended and set(shown["counts"]) <= set(FINAL):
                    return shown
                await asyncio.sleep(0.02)  # the API tells nobody when it is done

    async def listed(
        self, path: str, who: OneChannel | Basic | Token | None, limit: int = 2
    ) -> list[Any]:
        """All items of a list, part by part."""
        found: list[Any] = []
        join, after = "&" if "?" in path else "?", ""
        for _ in range(1000):
            body = (await self.get(f"{path}{join}limit={limit}{after}", who)).body
            assert len(body["items"]) <= limit
            found += body["items"]
            if body["next"] is None:
                return found
            after = f"&after={body['next']}"
        raise AssertionError("the list has no end")

    async def channel(
        self, key: str | None = None, *, sender: bool = True, limit: int = 0
    ) -> OneChannel:
        """A new channel, with an SMTP account at `smtp` unless told otherwise.

        `limit` is its calls per second: none, as a test may be faster than a caller ought to.
        """
        made = await channels.create(self.system, f"channel {next(_names)}", key)
        await channels.set_rules(
            self.system,
            made.channelkey,
            ChannelPolicy(requests_per_second=limit, broadcasts_per_day=0),
        )
        code = await self.sender(made.channelkey) if sender else ""
        return OneChannel(made.channelkey, str(made.mastersecret), code)

    async def sender(self, *keys: str) -> str:
        """A new sender to `smtp`, authorised to the channels `keys`; its code."""
        code = f"sender{next(_names)}"
        given = NewSender(
            code=code,
            name=code,
            host="127.0.0.1",
            port=self.smtp.port,
            encryption="none",
            from_address="ums@sender.example",
            channels=list(keys),
            allow_port=True,
        )
        await senders.create(self.system, given)
        return code

    async def api_token(self, *scopes: str, channels: list[str] | None = None) -> Token:
        """A new token of the management API, for everything unless told otherwise."""
        given = NewToken(f"test {next(_names)}", list(scopes or ("admin",)), channels)  # type: ignore[arg-type]
        return str((await api_tokens.create(self.system, given)).token)

    async def access_key(self) -> Basic:
        made = await credentials.create_access_key(self.system)
        return made.accesskey, made.mastersecret


async def password_is(system: AppContext, name: str, password: str) -> bool:
    """Whether an operator could sign in with it."""
    try:
        await login.check_password(system, name, password, login.Client("127.0.0.1"))
    except NotAuthenticated:
        return False
    return True


class _Server(uvicorn.Server):
    """uvicorn without its loop that waits for signals: the test is the one who ends it."""

    async def begin(self, listener: socket.socket) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        assert self.started, "the application did not start"

    async def end(self, listener: socket.socket) -> None:
        for server in self.servers:
            server.close()
        listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)
        await self._wait_tasks_to_complete()
        await self.lifespan.shutdown()


@asynccontextmanager
async def open_door(settings: Settings) -> AsyncIterator[Door]:
    """Serve `settings` until the block ends."""
    held: list[tuple[AppContext, str]] = []
    # Named as TCP, else asyncio leaves Nagle's delay on and each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = structs.replace(
        settings, public_url=settings.public_url or listening_url("127.0.0.1", port)
    )
    failed: list[BaseException] = []
    with _application() as app:
        configure(app, settings, lambda system, token: held.append((system, token)))
        server = _Server(web.config(app, settings))
        async with SmtpServer() as smtp:
            with _engine_failures_in(failed):
                await server.begin(listener)
            try:
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}",
                    timeout=60,
                    trust_env=False,
                    verify=False,  # loads no authorities, which takes as long as many a test
                    # Given up before the server does (5 s), which would meet a request on its way.
                    limits=httpx.Limits(max_connections=200, keepalive_expiry=2),
                ) as http:
                    system, token = held[0]
                    system.rates.access_keys = 0  # a test may be faster than a caller ought to
                    system.shared(ApiThrottle).pair = Limit(
                        "api-pair", 10**6, 1
                    )  # and be wrong more often
                    system.shared(ApiThrottle).address = Limit("api-address", 10**6, 1)
                    system.recent.quick = float("inf")  # and sees what is on a slow machine as well
                    yield Door(system, token, port, http, smtp, app)
            finally:
                await server.end(listener)
    if failed:
        raise failed[0]


def idle_application() -> Litestar:
    """One that is not running, to look at its routes."""
    if not _idle_applications:
        _idle_applications.append(assemble())
    return _idle_applications[-1]


@contextmanager
def _application() -> Iterator[Litestar]:
    """One as it is assembled. That takes longer than most tests, so they are used again."""
    app = idle_application()
    _idle_applications.remove(app)
    assembled = app.state.dict()
    yield app
    app.state.clear()
    app.state.update(assembled)
    _idle_applications.append(app)


@contextmanager
def _engine_failures_in(failed: list[BaseException]) -> Iterator[None]:
    """An engine loop that fails ends the process by a signal; a test shall end by the error."""

    def report(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            failed.append(error)

    with patch.object(worker, "_report", report):
        yield
