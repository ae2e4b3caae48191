"""The receiver of docs/how-to/callbacks.md does what the page says."""

import asyncio
import os
import re
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.fakes import SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from ums.core.context.app_context import AppContext
from ums.core.webhooks import endpoints
from ums.engine.worker import running

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "callbacks.md"


def free_port() -> int:
    """Below those that connections get by themselves, and another for each of the test runners."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")


@asynccontextmanager
async def receiver(folder: Path, port: int, *words: str) -> AsyncIterator[Process]:
    """The page's own program, at another port."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert code.count("8089") == 1
    (folder / "receiver.py").write_text(code.replace("8089", str(port)), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(folder / "receiver.py"), *words, stdout=asyncio.subprocess.PIPE
    )

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert process.returncode is None
            return False
        writer.close()
        return True

    try:
        await until(listening)
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_the_receiver_of_the_page(system: AppContext, tmp_path: Path) -> None:
    with_settings(system, callback_allow="127.0.0.1/32", callback_batch_seconds=0.05)
    async with SmtpServer() as smtp:
        flow: Flow = await open_flow(system, smtp)
        port = free_port()
        url = f"http://127.0.0.1:{port}/ums/callback"
        async with receiver(tmp_path, port):
            made = await endpoints.add(system, await flow.channel(), url)
        channel = await flow.channel()
        async with receiver(tmp_path, port, "whsec_" + "A" * 44):
            assert (await endpoints.test(system, channel, made.id)).status == 403
        async with receiver(tmp_path, port):  # that knows no secret takes nothing
            assert (await endpoints.test(system, channel, made.id)).status == 403
        async with receiver(tmp_path, port, str(made.secret)) as program:
            async with running(system):
                msgid = await flow.send("a@example.cn")
                assert program.stdout is not None
                lines = [await asyncio.wait_for(program.stdout.readline(), 30) for _ in range(2)]
    assert [line.decode().split() for line in lines] == [
        ["0", msgid, "a@example.cn"],
        ["2", msgid, "a@example.cn"],
    ]
