"""What others do with the same sink, in the same run."""

import asyncio
import json
import os
import shutil
import smtplib
import subprocess
import tempfile
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.alone import Watch

SESSIONS = 20


def text_of(size: int) -> str:
    """The HTML every client sends: about `size` octets, some of them Chinese."""
    return "<p>" + "The same line for everybody, 每个人都一样。 " * (size // 60) + "</p>"


def compose(size: int, to: str) -> EmailMessage:
    """A mail as one writes it with the standard library."""
    message = EmailMessage()
    message["From"], message["To"] = "bench@example.org", to
    message["Subject"], message["Date"] = "Benchmark", formatdate()
    message["Message-ID"] = make_msgid(domain="example.org")
    message.set_content("The same line for everybody")
    message.add_alternative(text_of(size), subtype="html")
    return message


async def aiosmtplib(port: int, size: int, count: int) -> dict[str, Any]:
    """A session each for SESSIONS tasks, an EmailMessage for each mail."""
    from aiosmtplib import SMTP  # noqa: PLC0415  (only this process needs it)

    numbers = iter(range(count))

    async def carry() -> None:
        async with SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) as client:
            for number in numbers:
                await client.send_message(compose(size, f"u{number}@users.example"))

    watch = Watch()
    await asyncio.gather(*(carry() for _ in range(SESSIONS)))
    return watch.read(count)


def stdlib(port: int, size: int, count: int) -> dict[str, Any]:
    """smtplib, one session, command by command; the mail is composed beforehand."""
    message = compose(size, "u@users.example").as_bytes()
    with smtplib.SMTP("127.0.0.1", port) as client:
        watch = Watch()
        for number in range(count):
            client.sendmail("bench@example.org", f"u{number}@users.example", message)
        return watch.read(count)


def smtp_source(port: int, size: int, count: int) -> dict[str, Any] | None:
    """postfix's load generator; None where there is none."""
    found = shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        return None
    command = [found, "-s", str(SESSIONS), "-m", str(count), "-l", str(size), "-d"]
    started, before = time.perf_counter(), os.times()
    subprocess.run([*command, f"inet:127.0.0.1:{port}"], check=True)
    seconds, after = time.perf_counter() - started, os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return {"rate": count / seconds, "cpu": spent / count * 1e6}


def go_pool(port: int, size: int, count: int) -> dict[str, Any] | None:
    """A pool on Go's net/smtp that composes every mail, as listmonk does; None without Go."""
    if shutil.which("go") is None:
        return None
    given = [str(port), str(SESSIONS), str(count), text_of(size)]
    done = subprocess.run([_built(), *given], check=True, capture_output=True)
    return json.loads(done.stdout)


@cache
def _built() -> Path:
    target = Path(tempfile.mkdtemp(prefix="ums-bench-go-")) / "pool"
    source = Path(__file__).parent / "pool.go"
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", target, source], check=True, env=env)
    return target
