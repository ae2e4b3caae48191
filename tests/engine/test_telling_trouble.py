"""Receivers that fail, hang and lie, beside others that do not; and our own trouble."""

from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
from sqlalchemy import update

from support.fakes import Certificates
from support.flow import until, with_settings
from support.receiver import Receiver, hang, receiving, reset
from support.telling import Telling, add_hosted, audit_log, open_telling, steps, until_state
from ums import trust
from ums.config import Settings
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.core.tables import callback_addresses
from ums.core.webhooks import client as wire
from ums.core.webhooks import delivery_queue, endpoints
from ums.engine import webhooks
from ums.engine.worker import running
from ums.errors import Invalid

# -- hostile receivers ------------------------------------------------------------------------


async def endless(reader: Any, writer: Any) -> None:
    """200, and then a body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def slow_head(reader: Any, writer: Any) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: y")
    await writer.drain()
    await hang(reader, writer)


async def slow_body(reader: Any, writer: Any) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
    await writer.drain()
    await hang(reader, writer)


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (reset, "dead", "cannot be reached"),
        (hang, "dead", "timed out"),
        (slow_head, "dead", "timed out"),
        (b"nonsense\r\n\r\n", "dead", "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000, "dead", "cannot be reached"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 1000000\r\n\r\nx", "dead", "answered 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "done", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz", "done", ""),
        (endless, "done", ""),
        (slow_body, "done", ""),
    ],
    ids=["reset", "hang", "slow head", "nonsense", "huge head", "500 cut", "gzip", "bad chunk",
         "endless", "slow body"],
)  # fmt: skip
async def test_hostile_answers(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, answer: Any, state: str, detail: str
) -> None:
    """Whether it was taken is a matter of the status alone; nothing holds us for long."""
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling:
        monkeypatch.setattr(wire, "TOTAL_SECONDS", 2.0)
        monkeypatch.setattr(wire, "DRAIN_SECONDS", 0.1)
        telling.receiver.always = answer
        async with running(system):
            await telling.flow.send("a@example.cn")
            [found, *_] = await until_state(telling, state)
    assert found.last_error == detail


async def test_a_redirect_is_not_followed(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling, receiving("1234", "x") as elsewhere:
        head = f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
        telling.receiver.always = head.encode()
        async with running(system):
            await telling.flow.send("a@example.cn")
            [dead, *_] = await until_state(telling, "dead")
    assert dead.last_status == 307
    assert elsewhere.asked == []


async def test_tls_has_to_be_trusted(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates()
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling:
        server = certificates.server("127.0.0.1")
        async with receiving("1234", telling.receiver.secret, tls=server) as secure:
            channel = await telling.channel()
            with pytest.raises(Invalid) as refused:
                await add_hosted(system, channel, secure.url)
            assert refused.value.values["detail"] == "its TLS cannot be trusted"
            client = certificates.client()
            with monkeypatch.context() as patch:
                patch.setattr(trust, "context", lambda: client)
                made = await add_hosted(system, channel, secure.url)
                assert (await endpoints.test(system, channel, made.id)).ok
            async with running(system):
                await telling.flow.send("a@example.cn", callback={"url": secure.url})
                [dead, *_] = await until_state(telling, "dead")
    assert dead.last_error == "its TLS cannot be trusted"


async def test_an_address_that_moved_inside_gets_nothing(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was judged when it was saved, and is judged again each time."""
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling:
        with_settings(system, callback_allow="")
        async with running(system):
            await telling.flow.send("a@example.cn")
            [dead, *_] = await until_state(telling, "dead")
    assert dead.last_error == "port not allowed"
    assert telling.receiver.posts == []


async def test_no_proxy_of_the_environment_is_used(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_telling(system) as telling, running(system):
        await telling.flow.send("a@example.cn")
        await telling.receiver.until_told(2)


# -- one beside the others --------------------------------------------------------------------


async def test_a_slow_address_holds_up_nobody(system: AppContext) -> None:
    own = {"shutdown_seconds": 0.2}
    async with (
        open_telling(system, "slow", **own) as slow,
        open_telling(system, "1234", **own) as good,
    ):
        slow.receiver.always = hang
        async with running(system):
            await slow.flow.send("a@example.cn")
            await slow.receiver.until_asked(1)
            for n in range(3):
                await good.flow.send(f"b{n}@example.cn")
                await good.receiver.until_told(2 * n + 2)
            assert len(slow.receiver.posts) == 1  # still the first: nothing ended it meanwhile


async def test_failing_addresses_leave_room_for_others(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted", *[0.01] * 1000)
    own = {"callback_concurrency": 2, "shutdown_seconds": 0.2}
    async with AsyncExitStack() as stack:
        bad = [
            await stack.enter_async_context(open_telling(system, f"bad{n}", **own))
            for n in range(3)
        ]
        good = await stack.enter_async_context(open_telling(system, "1234", **own))
        for one in bad:
            one.receiver.script = [500]
            one.receiver.always = hang
        async with running(system):
            for one in bad:
                await one.flow.send("a@example.cn")
            for one in bad:
                await one.receiver.until_asked(1)
            await good.flow.send("b@example.cn")
            await good.receiver.until_told(2)


# -- workers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_two_workers_tell_each_record_once(settings: Settings) -> None:
    async with open_system(settings) as one, open_system(settings) as two:
        async with open_telling(one, callback_batch_size=7) as telling:
            with_settings(two, callback_allow="127.0.0.1/32", callback_batch_size=7)
            with_settings(two, callback_batch_seconds=0.05)
            async with running(one), running(two):
                for part in range(5):
                    names = [f"a{part}.{n}@example.cn" for n in range(100)]
                    await telling.flow.send(*names)
                await telling.receiver.until_told(1000, 60)
                await until_settled(telling)
    told = [record for asked in telling.receiver.taken for record in asked.records]
    copies = Counter((record["type"], record["sender_id"]) for record in told)
    assert set(copies.values()) == {1}
    assert len(copies) == 1000


async def until_settled(telling: Telling) -> None:
    async def settled() -> bool:
        return {row.state for row in await telling.batches()} == {"done"}

    await until(settled)


async def test_a_stop_ends_what_hangs(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_telling(system, shutdown_seconds=0.2) as telling:
        telling.receiver.script = [hang]
        async with running(system):
            await telling.flow.send("a@example.cn")
            await telling.receiver.until_asked(1)
        [batch] = await telling.batches()
        assert batch.state == "claimed"
        async with running(system):
            await telling.receiver.until_told(2)
    assert telling.receiver.posts[1].id == batch.webhook_id


# -- our own trouble --------------------------------------------------------------------------


async def test_a_secret_that_cannot_be_read_is_not_the_receiver_s_fault(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_telling(system) as telling:
        async with system.database.write() as tx:
            await tx.run(update(callback_addresses).values(secret="v1:AAAA"))
        async with running(system):
            await telling.flow.send("a@example.cn")
            [waiting] = await until_state(telling, "waiting")
    assert (waiting.tries, waiting.last_error) == (
        0,
        "cannot be sent: UMS itself made a mistake; its log tells more",
    )
    assert (await telling.row()).failures == 0
    assert telling.receiver.posts == []


async def test_no_secret_is_in_the_logs(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted", 0.01)
    with structlog.testing.capture_logs() as logs:
        async with open_telling(system) as telling:
            secret_path = telling.receiver.url + "?token=hidden-in-the-url"
            channel = await telling.channel()
            made = await add_hosted(system, channel, secret_path)
            telling.receiver.script = [500, reset, None, reset]
            async with running(system):
                await telling.flow.send("a@example.cn", callback={"url": secret_path})
                await until_state(telling, "dead")
                await endpoints.test(system, channel, made.id)
                await channels.rotate(system, "1234")
    text = repr(logs) + repr(await audit_log(system))
    hidden = [telling.receiver.secret, str(made.secret), "hidden-in-the-url", "Basic "]
    assert "callback" in text
    assert [word for word in hidden if word in text] == []


async def test_the_teller_survives_a_defect(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = delivery_queue.due, [True]

    async def due(*given: Any) -> Any:
        if broken and broken.pop():
            raise ValueError("a defect")
        return await real(*given)

    monkeypatch.setattr(webhooks.delivery_queue, "due", due)
    async with open_telling(system) as telling, running(system):
        await telling.flow.send("a@example.cn")
        await telling.receiver.until_told(2)
    assert isinstance(telling.receiver, Receiver)
