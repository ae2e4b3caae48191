"""The server as a process: where it is, who may run beside it, how it ends."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Ums
from cli.terminal import SECONDS, Server, Terminal
from ums import __version__
from ums.cli import connection as door
from ums.cli.processes.bootstrap import FILE
from ums.cli.processes.serve import is_in_clear
from ums.config import Settings
from ums.db import DataLock, HeldError
from ums.migrations import runner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal beside a server that runs on SQLite for all of these tests."""
    return Terminal.of(Settings(data_dir=tmp_path_factory.mktemp("serving") / "var"))


@pytest.fixture(scope="module")
def server(place: Terminal) -> Iterator[Server]:
    with place.also(UMS_LOG_FORMAT="json").serve(screen=True) as running:
        running.enter()
        yield running
        assert running.end() == 0


def test_a_free_port_is_told_to_commands_and_only_to_us(place: Terminal, server: Server) -> None:
    address = place.folder / "server.json"
    stored = json.loads(address.read_text())
    assert stored["url"] == server.url
    assert stored["pid"] == server.process.pid
    secret = [place.folder / name for name in ("server.json", "ums.key", "ums.db", "ums.lock")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600] * 4


def test_commands_go_through_the_server(place: Terminal, server: Server, here: Ums) -> None:
    made = place.ums("channel", "create", "Shop", "--key", "shop", "--json", anew=True).json
    assert (made["channelkey"], len(made["mastersecret"])) == ("shop", 24)
    assert "shop" in [one["channelkey"] for one in here(place, "channel", "list", "--json").json]
    refused = here(place, "channel", "create", "Shop", "--json").error
    assert (refused["code"], refused["reason"]) == (4004, "name_taken")
    assert here(place, "channel", "create", "Shop").complaint == "The name Shop is taken."
    chinese = place.also(LC_ALL="zh_CN.UTF-8")
    assert here(chinese, "message", "show", "none").complaint == "该渠道没有此消息。"
    assert here(place, "migrate", "--json").json == {"revision": runner.head()}


def test_the_sandbox_can_be_tried(place: Terminal, server: Server, here: Ums) -> None:
    report = here(place, "sender", "test", "sandbox", "--to", "try@example.com", "--json").json
    assert (report["ok"], report["stage"]) == (True, "dot")
    assert "try@example.com" in server.get("/sandbox")
    seen = here(place, "sender", "test", "sandbox")
    assert [line.split()[1] for line in seen.out.splitlines()][-2:] == ["mail", "rcpt"]
    assert here(place, "sender", "test", "none").complaint == "There is no sender none."


def test_a_message_is_delivered_and_shown(place: Terminal, server: Server, here: Ums) -> None:
    key = here(place, "channel", "list", "--json").json[0]["channelkey"]
    body = ("--channel", key, "--subject", "s", "--text", "t", "--to", "cli@example.com")
    msgid = here(place, "send", *body, "--json").json["msgid"]
    for _ in range(SECONDS * 10):
        shown = here(place, "message", "show", msgid, "--deliveries", "--json").json
        if shown["state"] == "done":
            break
    assert shown["counts"] == {"sent": 1}
    [delivery] = shown["deliveries"]
    assert (delivery["address"], delivery["userid"]) == ("cli@example.com", "")


def test_users_are_imported_by_the_server(
    place: Terminal, server: Server, here: Ums, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("userid,email\np1,p1@example.com\np2,-\n")
    done = place.ums("user", "import", str(file), "--bind-id", "all")
    assert done.status == 0
    assert "importing" in done.err  # the progress goes where no program reads
    again = here(place, "user", "import", str(file), "--json").json
    assert (again["unchanged"], again["rejected"]) == (1, 1)
    assert (tmp_path / "people-rejected.xlsx").exists()


def test_doctor_finds_the_server(place: Terminal, server: Server, here: Ums) -> None:
    findings = {one["check"]: one for one in here(place, "doctor", "--json").json}
    # The place's port is 0: where it listens is told by the server alone.
    assert findings["server"]["finding"].endswith(f" runs and answers at {server.url}")
    assert findings["settings"]["finding"].endswith(", set to listen on 127.0.0.1:0")
    assert findings["secrets"]["ok"]


def test_the_status_tells_where_the_server_is(place: Terminal, server: Server, here: Ums) -> None:
    found = here(place, "status", "--json").json
    assert (found["server"], found["version"]) == (server.url, __version__)


def test_commands_go_through_a_server_behind_a_proxy(bare: Terminal, here: Ums) -> None:
    """As docs/how-to/behind-a-proxy.md sets it up: with the proxy on the same machine."""
    with bare.also(UMS_TRUSTED_PROXIES="127.0.0.1").serve() as running:
        assert here(bare, "status", "--json").json["server"] == running.url
        assert here(bare, "channel", "create", "Shop", "--json").json["name"] == "Shop"


def test_a_server_on_postgresql_is_found_too(terminal: Terminal, here: Ums) -> None:
    """Commands go to the database by themselves there."""
    with terminal.serve() as running:
        assert here(terminal, "status", "--json").json["server"] == running.url
        found = {one["check"]: one for one in json.loads(here(terminal, "doctor", "--json").out)}
        assert found["server"]["finding"].endswith(running.url)
        assert running.end() == 0


def test_a_second_server_on_the_folder_is_refused(place: Terminal, server: Server) -> None:
    complaint = place.ums("serve").complaint
    assert complaint.startswith(f"another UMS process holds {place.folder}; stop it first")
    assert server.get("/healthz") == '{"status":"ok"}'


def test_a_port_that_is_taken(place: Terminal, server: Server, bare: Terminal) -> None:
    taken = server.url.rpartition(":")[2]
    complaint = bare.also(UMS_PORT=taken).ums("serve").complaint
    assert complaint.startswith(f"cannot listen on 127.0.0.1, port {taken}: Address already in use")
    assert not bare.folder.exists()  # and nothing was begun, no password lost


def test_an_address_that_is_none(bare: Terminal) -> None:
    complaint = bare.also(UMS_HOST="no.such.host.invalid").ums("serve").complaint
    assert complaint.startswith("cannot listen on no.such.host.invalid, port 0: ")
    assert complaint.endswith("Choose another with UMS_HOST and UMS_PORT.")


def test_an_interrupt_from_the_keyboard_is_an_orderly_end(bare: Terminal) -> None:
    with bare.serve() as server:
        assert (bare.folder / "server.json").exists()
        assert server.end(signal.SIGINT) == 0
    # It was a first start without a demo: the administrator's password is all there is to tell.
    kept = (bare.folder / FILE).read_text("utf-8")
    assert "Administrator: admin, password " in kept
    assert "curl" not in kept
    assert not (bare.folder / "server.json").exists()


def test_what_a_killed_server_left_confuses_nobody(bare: Terminal, here: Ums) -> None:
    with bare.serve() as server:
        server.process.kill()
        server.process.wait()
    assert (bare.folder / "server.json").exists()
    made = here(bare, "channel", "create", "After", "--json").json
    assert made["name"] == "After"
    with bare.serve() as again:
        assert json.loads((bare.folder / "server.json").read_text())["url"] == again.url
        assert here(bare, "channel", "list", "--json").json[0]["name"] == "After"
        assert again.end() == 0


@pytest.fixture
def held(bare: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal beside a process that holds the data folder and serves nobody."""
    monkeypatch.setattr(door, "PATIENCE", 0.3)
    bare.folder.mkdir(parents=True)
    lock = DataLock(bare.folder)
    lock.take()
    yield bare
    lock.release()


def test_a_folder_that_another_command_holds(held: Terminal, here: Ums) -> None:
    refused = here(held, "channel", "list", "--json").error
    assert refused["reason"] == "server_elsewhere"
    assert "Another UMS process holds this data folder" in refused["message"]
    found = json.loads(here(held, "doctor", "--json").out)
    assert [one["advice"] for one in found if not one["ok"]] == ["wait for it or stop it"]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"x"])
def test_a_stranger_at_the_old_address(held: Terminal, here: Ums, answer: bytes) -> None:
    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        stranger = threading.Thread(target=serve, args=(listener,))
        stranger.start()
        door.write_address(held.folder, url, "token")
        refused = here(held, "channel", "list", "--json").error
        listener.shutdown(socket.SHUT_RDWR)
        stranger.join(SECONDS)
    assert refused["reason"] == "server_elsewhere"
    assert url in refused["message"]


def test_a_command_waits_for_one_that_is_just_at_it(
    bare: Terminal, here: Ums, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, tried = DataLock.take, []

    def busy_twice(lock: DataLock) -> None:
        tried.append(1)
        if len(tried) < 3:
            raise HeldError
        take(lock)

    monkeypatch.setattr(DataLock, "take", busy_twice)
    assert here(bare, "channel", "list", "--json").json == []
    assert len(tried) == 3


def test_a_broken_pipe_is_no_reason_for_a_trace(bare: Terminal) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "ums", "doctor", "--json"],
        env={**os.environ, **bare.settings},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_engine_that_broke_is_no_orderly_end(bare: Terminal) -> None:
    """Whatever supervises the server starts it again only where the status is not 0."""
    program = """
import sys
from ums.cli import main
from ums.engine.worker import Worker
async def broken(worker): raise RuntimeError("the loop is broken")
Worker._tidy = broken
sys.argv = ["ums", "serve"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **bare.settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert '"engine loop failed"' in done.stderr
    assert '"engine stopped"' in done.stderr


@pytest.mark.parametrize(
    ("host", "public_url", "warns"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "https://ums.example", False),
        ("0.0.0.0", "", True),
        ("::", "http://ums.example", True),
        ("ums.example", "", True),
    ],
)
def test_who_listens_to_others_without_tls_is_warned(
    host: str, public_url: str, *, warns: bool
) -> None:
    assert is_in_clear(host, public_url) == warns
