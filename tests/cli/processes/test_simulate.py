"""`ums simulate`: the profiles, a server that plays one, and what it tells at its end."""

import json
import signal
import smtplib
import socket
import subprocess
import sys
import time
from pathlib import Path

from cli.conftest import Ums
from cli.terminal import SECONDS


def test_the_profiles_are_listed(ums: Ums) -> None:
    found = {one["profile"]: one["plays"] for one in ums("simulate", "--json").json}
    assert {"qq", "netease", "gmail", "microsoft", "greylist", "limited", "lost"} <= set(found)
    assert "authorisation code" in ums("simulate").out
    assert "no profile" in ums("simulate", "nothing").complaint


def test_a_file_of_profiles_that_is_none_is_told(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[mine]\nsize = 3\n")
    assert "mine.toml" in ums("simulate", "mine", "--profiles", str(file)).complaint


def test_a_profile_is_played_until_it_is_ended(tmp_path: Path) -> None:
    ledger, port = tmp_path / "ledger.jsonl", _free_port()
    arguments = ("limited", "--over", "2", "--port", str(port), "--ledger", str(ledger))
    process = subprocess.Popen(
        [sys.executable, "-m", "ums", "simulate", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        codes = [_send(port, f"{n}@x.cn") for n in range(3)]
        assert codes == [250, 250, 451]
        process.send_signal(signal.SIGINT)
        told = json.loads(process.communicate(timeout=SECONDS)[0])
    finally:
        process.kill()
    assert process.returncode == 0
    assert (told["taken"], told["distinct"], told["twice"]) == (2, 2, 0)
    assert [*told["said"].values()] == [1]
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [(one["rcpt_to"], one["message_id"]) for one in lines] == [
        ("0@x.cn", "<0@x.cn>"),
        ("1@x.cn", "<1@x.cn>"),
    ]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _send(port: int, to: str) -> int:
    """The code that it ends with; waits for the server to be up."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            smtp = smtplib.SMTP("127.0.0.1", port, timeout=SECONDS)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with smtp:
        try:
            smtp.sendmail("me@x.cn", [to], f"Message-ID: <{to}>\r\n\r\nt\r\n")
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        return 250
