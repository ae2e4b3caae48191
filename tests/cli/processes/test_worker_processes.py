"""Several processes on PostgreSQL: `ums serve --processes` and `ums work`."""

import asyncio
import json
import os
import signal
from typing import Any

import msgspec
import pytest

from cli.terminal import SECONDS, Server, Terminal
from support.fakes import SmtpServer
from ums.core import verbs
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.senders import senders
from ums.core.senders.senders import NewSender

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"])
PEOPLE = 60


def worker(server: Server) -> int:
    """The process id of the next worker that is up."""
    pid = json.loads(server.hear('"worker started"'))["worker"]
    server.hear("engine started")
    return pid


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_comes_and_goes_with_the_server(terminal: Terminal) -> None:
    with terminal.serve("--processes", "2") as server:
        first = started(server)
        os.kill(first, signal.SIGKILL)
        ended = json.loads(server.hear("a worker ended"))
        assert (ended["level"], ended["status"]) == ("error", -signal.SIGKILL)
        second = worker(server)
        assert second != first
        assert server.end() == 0
    assert not is_alive(second)
    assert [event["event"] for event in server.events].count("engine stopped") == 2


def test_workers_end_when_the_server_is_killed(terminal: Terminal) -> None:
    with terminal.serve("--processes", "2") as server:
        pid = started(server)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        # `end` has heard the last of all that had the pipe, so the worker is gone or going.
        assert server.lines[-1].find("engine stopped") > 0
        assert str(pid) in server.lines[-1]


def started(server: Server) -> int:
    """The first worker's process id; it may have come up before the server did."""
    while True:
        found = [event for event in server.events if event["event"] == "worker started"]
        up = [event for event in server.events if event["event"] == "engine started"]
        if found and any(f".{found[0]['worker']}." in event["owner"] for event in up):
            return found[0]["worker"]
        server.hear("{")


async def test_two_workers_deliver_each_mail_once(terminal: Terminal, system: AppContext) -> None:
    async with SmtpServer() as smtp:
        smtp.delay = 0.005  # so that there is something left for the second
        made = await channels.create(system, "Shop")
        sender = NewSender(
            code="mail",
            name="Mail",
            host="127.0.0.1",
            port=smtp.port,
            encryption="none",
            from_address="ums@example.com",
            channels=[made.channelkey],
            allow_port=True,
        )
        await senders.create(system, sender)
        people = [f"p{number}@example.com" for number in range(PEOPLE)]
        body = {"aud_email": [{"data": people}], "msg_email": [{"subject": "s", "text": "t"}]}
        with terminal.serve(command="work") as one, terminal.serve(command="work") as two:
            sent = await call(system, "message.send", channel=made.channelkey, body=body)
            async with asyncio.timeout(SECONDS):
                while len(smtp.mails) < PEOPLE:
                    await asyncio.sleep(0.05)  # the ledger tells nobody when it is full
            ends = await asyncio.gather(asyncio.to_thread(one.end), asyncio.to_thread(two.end))
    assert ends == [0, 0]
    shown = await call(system, "message.show", msgid=sent["msgid"])
    assert shown["counts"] == {"sent": PEOPLE}
    assert sorted(mail.rcpt_to for mail in smtp.mails) == sorted(people)


async def call(system: AppContext, verb: str, **params: object) -> Any:
    return msgspec.to_builtins(await verbs.call(system, Intake(system), verb, params))
