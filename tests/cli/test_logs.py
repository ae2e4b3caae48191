"""What the server writes down: JSON lines, and no secret, no body, however things go wrong."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from cli.conftest import Ums
from cli.terminal import SECONDS, Server, Terminal
from support.fakes import Call, SmtpServer

PASSWORD, TEXT, URL = "canary-password", "canary-text", "canary-url"


class Post:
    """Channels with a sender each, made through the local door, and what clients send there."""

    def __init__(self, terminal: Terminal) -> None:
        stored = json.loads((terminal.folder / "server.json").read_text())
        self._url: str = stored["url"]
        self._local = {"Authorization": f"Bearer {stored['token']}"}
        self.secrets: list[str] = [stored["token"]]

    async def send(self, name: str, port: int, *, account: str = "") -> None:
        """Make the sender `name` at `port`, send through it, and send what is refused."""
        made = await self._verb("channel.create", name=name, key=name)
        await self._verb(
            "sender.create",
            code=f"{name}s",
            name=name,
            host="127.0.0.1",
            port=port,
            encryption="none",
            account=account,
            password=PASSWORD,
            from_address="ums@example.com",
            channels=[name],
            allow_port=True,
        )
        basic = (name, str(made["mastersecret"]))
        self.secrets += [basic[1], base64.b64encode(":".join(basic).encode()).decode()]
        async with self._client(basic) as http:
            assert (await http.post("/v1/sent", json=body())).json()["code"] == 0
            for authority in (f"u:{URL}@127.0.0.1", "127.0.0.1"):
                refused = body(f"http://{authority}/{URL}?{URL}")
                assert (await http.post("/v1/sent", json=refused)).json()["code"] == 4004
            for wrong in (b"{" + TEXT.encode(), b"[" * 100_000, b"\xff" + TEXT.encode()):
                assert (await http.post("/v1/sent", content=wrong)).status_code == 400
            answer = await http.post("/v1/sent", json=body(), auth=(name, PASSWORD))
            assert answer.status_code == 401

    async def _verb(self, verb: str, **params: object) -> dict[str, Any]:
        async with self._client() as http:
            answer = await http.post(f"/local/{verb}", json=params, headers=self._local)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _client(self, basic: tuple[str, str] | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, auth=basic, timeout=SECONDS, trust_env=False)


def body(*files: str) -> dict[str, Any]:
    content = {"subject": "s", "text": f"<p>{TEXT}</p>", "files": list(files)}
    return {"aud_email": [{"data": ["to@example.com"]}], "msg_email": [content]}


def events(server: Server) -> list[dict[str, Any]]:
    """Every line as an event, but for the greeting."""
    greeting = ("UMS is up at ", "Mail of the sandbox: ", "What to begin with")
    lines = [line for line in server.lines if line and not line.startswith(greeting)]
    return [json.loads(line) for line in lines]


async def test_nothing_that_is_secret_is_written_down(bare: Terminal) -> None:
    def echo(call: Call) -> bytes:
        return f"535 5.7.8 {call.line} is {PASSWORD} not\r\n".encode()

    async with SmtpServer(users={"me": "another"}) as wary, SmtpServer() as picky:
        wary.script["AUTH"] = echo
        picky.script["DOT"] = lambda _: b"451 4.7.1 no: " + TEXT.encode() + b"\r\n"
        async with SmtpServer() as mad:
            mad.script["GREETING"] = lambda _: b"\x1b[31m " + PASSWORD.encode() + b"\r\n"
            with bare.also(UMS_LOG_LEVEL="debug").serve() as server:
                post = Post(bare)
                await post.send("wary", wary.port, account="me")
                await asyncio.to_thread(server.hear, "sender rests")
                await post.send("mad", mad.port)
                await asyncio.to_thread(server.hear, "sender rests")
                await post.send("picky", picky.port)
                await asyncio.to_thread(server.hear, '"delivery"')
                assert await asyncio.to_thread(server.end) == 0
    told = [event["event"] for event in events(server)]
    assert {"engine started", "file_refused", "sender rests", "engine stopped"} <= set(told)
    plain = base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode()
    coded = [base64.b64encode(word.encode()).decode() for word in (PASSWORD, TEXT)]
    whole = "\n".join(server.lines)
    for secret in [PASSWORD, TEXT, URL, plain, *coded, *post.secrets]:
        assert secret not in whole


@pytest.mark.parametrize("format", ["json", "text"])
def test_the_form_of_the_lines_can_be_chosen(bare: Terminal, format: str) -> None:
    with bare.also(UMS_LOG_FORMAT=format).serve() as server:
        assert server.end() == 0
    [line] = [line for line in server.lines if "engine started" in line]
    assert line.startswith("{") is (format == "json")
    assert "\x1b" not in line  # no colours where there is no terminal


def test_what_others_log_is_structured_and_clean(capfd: pytest.CaptureFixture[str]) -> None:
    """In a process of its own: the logging of a process is changed for good."""
    import subprocess
    import sys

    program = """
import logging, structlog, sys, threading, warnings
from ums.config import Settings
from ums.logs import configure
configure(Settings(log_level="debug"))
for name in ("uvicorn.error", "alembic.runtime", "mail.log", "asyncio", "litestar"):
    logging.getLogger(name).error("from %s", name)
    logging.getLogger(name).debug("canary")
warnings.warn("a warning")
log = structlog.get_logger()
log.debug("ours", password="canary", reply="\\x1b[31m" + "x" * 9000, Authorization="canary")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
class Unkind:
    def __del__(self): raise ValueError("unkind")
Unkind()
raise RuntimeError("the end")
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    lines = capfd.readouterr().err.splitlines()
    found = [json.loads(line) for line in lines]
    assert done.returncode == 1
    assert [one.get("logger") for one in found[:6]] == [
        *("uvicorn.error", "alembic.runtime", "mail.log", "asyncio", "litestar", "py.warnings"),
    ]
    assert found[0]["event"] == "from uvicorn.error"
    ours, *strays = found[6:]
    assert ours["password"] == ours["Authorization"] == "***"
    assert ours["reply"].startswith("\N{REPLACEMENT CHARACTER}[31mxxx")
    assert len(ours["reply"]) == 2_000
    assert [one["event"] for one in strays] == ["a thread died", "unraisable", "crashed"]
    assert strays[2]["exception"].endswith("RuntimeError: the end")
    assert "canary" not in "\n".join(lines)


def test_a_command_logs_nothing_to_where_programs_read(bare: Terminal, here: Ums) -> None:
    here(bare, "channel", "create", "Shop", "--key", "shop")
    options = ("--code", "mail", "--port", "25", "--encryption", "none", "--host", "h.example")
    names = ("--name", "Mail", "--from", "a@b.example", "--channel", "shop")
    assert here(bare, "sender", "create", *options, *names).status == 0
    body = ("--channel", "shop", "--subject", "s", "--text", "t", "--to", "a@b.example")
    refused = bare.also(UMS_LOG_LEVEL="debug").ums(
        *("send", *body, "--file", "http://127.0.0.1/x", "--json")
    )
    assert refused.out == ""
    logged, error = [json.loads(line) for line in refused.err.splitlines()]
    assert (logged["event"], error["reason"]) == ("file_refused", "file_refused")
