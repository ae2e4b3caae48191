"""A stranger's first minutes: start, paste the printed lines, see the mail."""

import asyncio
import json
import re
import stat
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cli.terminal import SECONDS, Server, Terminal
from support.databases import beside, execute
from ums.cli.processes.bootstrap import FILE
from ums.config import Settings

pytestmark = pytest.mark.slow

_numbers = count()


@pytest.fixture
def fresh(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A machine that UMS never ran on, with a database that has no table yet."""
    if dialect == "sqlite":
        yield Terminal.of(Settings(data_dir=tmp_path / "var"))
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"ums_fresh_{next(_numbers)}_{tmp_path.name}".lower()[:60]
    asyncio.run(execute(server, f'CREATE DATABASE "{name}"'))
    yield Terminal.of(Settings(data_dir=tmp_path / "var", database_url=beside(server, name)))
    asyncio.run(execute(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


def printed(server: Server) -> list[str]:
    """The lines to paste, as they are printed."""
    server.hear("/api/messages")
    return [line for line in server.lines if line.strip().startswith("curl ")]


def paste(line: str) -> dict[str, object]:
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=SECONDS)
    return json.loads(done.stdout)


def pasted_until_done(line: str) -> dict[str, object]:
    """The result of the first message, asked for as often as somebody would."""
    for _ in range(SECONDS * 5):
        [message] = paste(line)["items"]
        if message["state"] == "done":
            return message
        subprocess.run(["sleep", "0.2"], check=True)
    raise AssertionError(f"not done: {message}")


def test_the_printed_lines_make_mail_appear_and_nothing_is_told_twice(fresh: Terminal) -> None:
    # Log lines as a service has them: the screen is for the greeting alone.
    fresh = fresh.also(UMS_LOG_FORMAT="json")
    with fresh.serve(screen=True, anew=True) as server:
        bind, send, look = printed(server)
        assert paste(bind)["data"] == {"success": ["you"], "fail": []}
        msgid = paste(send)["msgid"]
        message = pasted_until_done(look)
        assert (message["msgid"], message["counts"]) == (msgid, {"sent": 1})
        assert "Hello from UMS 你好" in server.enter()
        assert "It works." in server.get("/sandbox/1/html")
        password = re.search(r"password (\S+)  \(", "\n".join(server.lines))
        assert password is not None
        told = [password[1], *re.findall(r"-u (\w+):(\w+)", bind)[0]]
        assert server.end() == 0
    # Beside the greeting there is nothing but log lines, and those tell none of it.
    assert [event["event"] for event in server.events][-1] == "engine stopped"
    assert not [secret for secret in told if secret in json.dumps(server.events)]
    assert not (fresh.folder / FILE).exists()
    with fresh.serve(screen=True) as again:
        assert again.get("/healthz") == '{"status":"ok"}'
        assert again.end() == 0
    assert not [line for line in again.lines if any(secret in line for secret in told)]
    assert [line[:3] for line in again.lines if line[:1] != "{"] == ["UMS", "Mai"]


def test_what_a_service_prints_tells_no_secret(fresh: Terminal) -> None:
    with fresh.serve() as server:
        assert server.end() == 0
    path = fresh.folder / FILE
    assert any(str(path) in line for line in server.lines)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_text("utf-8")
    password = re.search(r"Administrator: admin, password (\S+)  \(", kept)
    assert password is not None
    secrets = [password[1], *re.findall(r"-u (\w+):(\w+)", kept)[0]]
    assert not [line for line in server.lines if any(secret in line for secret in secrets)]
    path.unlink()
    with fresh.serve() as again:  # and it is left once
        assert again.end() == 0
    assert not path.exists()


def test_the_installer_may_choose_the_first_password(bare: Terminal) -> None:
    chosen = "correct horse battery"
    with bare.also(UMS_ADMIN_PASSWORD=chosen).serve() as server:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"name": "admin", "password": chosen}).encode()
        request = urllib.request.Request(server.url + "/login", form, {"Origin": server.url})
        with opener.open(request, timeout=SECONDS) as answer:
            assert answer.url == server.url + "/home"
        assert server.end() == 0
    told = "\n".join([*server.lines, (bare.folder / FILE).read_text("utf-8")])
    assert chosen not in told
    assert "UMS_ADMIN_PASSWORD" in told


def test_a_first_password_that_is_no_good_is_said(bare: Terminal) -> None:
    complaint = bare.also(UMS_ADMIN_PASSWORD="short").ums("serve").complaint
    assert complaint.startswith("UMS_ADMIN_PASSWORD cannot be used: ")
    with bare.serve() as server:  # and nothing was begun with it
        assert server.end() == 0
    assert "admin, password" in (bare.folder / FILE).read_text("utf-8")
