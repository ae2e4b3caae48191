"""A channel whose messages go to an HTTP service of the operator's: through the engine that sends
mail, over real sockets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from support.fakes import Certificates
from support.flow import Flow, account, until, with_settings
from support.receiver import Receiver, hang, receiving, reset
from ums import clock, trust
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.messages.template_requests import parse
from ums.core.senders import connection_test, routing, senders, webhook_senders
from ums.core.senders.senders import SenderInfo
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.tables import deliveries
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.transports import webhook
from ums.engine.worker import running


@asynccontextmanager
async def open_webhook(
    system: AppContext, **given: Any
) -> AsyncIterator[tuple[Flow, Receiver, SenderInfo]]:
    """A channel with one webhook sender, and the receiver it posts to."""
    with_settings(system, callback_allow="127.0.0.1/32")
    await channels.create(system, "News", "1234")
    async with receiving("", "") as receiver:
        receiver.any_json = True
        new = {"code": "hook", "name": "Hook", "url": receiver.url, "channels": ["1234"], **given}
        made = await webhook_senders.create(system, NewWebhookSender(**new))
        yield Flow(system, "1234"), receiver, made


async def until_resting(system: AppContext) -> SenderInfo:
    async def resting() -> SenderInfo | None:
        found = await senders.show(system, "hook")
        return found if found.cooldown_until else None

    return await until(resting)


async def retry_now(flow: Flow) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(update(deliveries).values(due_at=0))
    flow.system.wake.set()


async def test_a_delivery_is_posted_signed_with_what_it_says(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, made), running(system):
        await flow.add_users({"zhang": "zhang@example.cn"})
        msgid = await flow.accept(
            aud_userid=["zhang"],
        )
        assert await flow.until_settled(msgid) == {"sent": 1}
    (asked,) = receiver.posts
    receiver.verify(asked, str(made.signing_secret))
    body = json.loads(asked.body)
    assert asked.headers["content-type"] == "application/json"
    assert body["id"] == asked.id
    assert (body["type"], body["msgid"], body["channel"]) == ("message", msgid, "1234")
    assert body["recipient"] == {"userid": "zhang", "address": "zhang@example.cn"}
    assert body["subject"] == "Hello 你好"
    assert body["html"].strip() == "<p>Body</p>"
    assert body["text"].strip() == "Body"
    assert (body["broadcast"], body["attachments"]) == (False, [])
    (attempt,) = await flow.attempts(msgid)
    assert (attempt.stage, attempt.code) == ("dot", 200)


async def test_a_template_is_rendered_for_each_recipient(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        channel = await flow.channel()
        sources = Sources("Hi {{ n }}", "<b>{{ n }}</b>", 'A "quoted"\n{{ n }}')
        made = await store.create(system, channel, "T", sources, {})
        asked = {
            "template_id": made.id,
            "aud_email": [{"data": ["a@x.cn", "b@x.cn"]}],
            "template_para": {"n": '你 "x" <y>'},
        }
        raw = json.dumps(asked).encode()
        await flow.intake.accept(channel, parse(raw, broadcast=False), raw)
        await receiver.until_asked(2)
    for asked in receiver.posts:
        body = json.loads(asked.body)
        assert body["subject"] == 'Hi 你 "x" <y>'
        assert body["text"] == 'A "quoted"\n你 "x" <y>'
        assert body["html"] == "<b>你 &#34;x&#34; &lt;y&gt;</b>"
    assert {json.loads(one.body)["recipient"]["address"] for one in receiver.posts} == {
        "a@x.cn",
        "b@x.cn",
    }


async def test_a_failure_is_tried_again_with_the_same_id(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.script = [500]
        msgid = await flow.send("a@example.cn")

        async def deferred() -> bool:
            return await flow.counts(msgid) == {"deferred": 1}

        await until(deferred)
        await retry_now(flow)
        assert await flow.until_settled(msgid) == {"sent": 1}
    first, second = receiver.posts
    assert first.id == second.id
    assert [one.reason for one in await flow.attempts(msgid)] == ["webhook_failed", "sent"]


async def test_a_refusal_fails_the_delivery_and_suppresses_nobody(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.script = [422]
        assert await flow.until_settled(await flow.send("a@example.cn")) == {"failed": 1}
        assert await flow.until_settled(await flow.send("a@example.cn")) == {"sent": 1}


@pytest.mark.parametrize("answer", [reset, 504])
async def test_no_answer_leaves_a_broadcast_unknown(system: AppContext, answer: Any) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.script = [answer]
        assert await flow.until_settled(await flow.broadcast(1)) == {"unknown": 1}
        assert len(receiver.posts) == 1


async def test_where_the_receiver_deduplicates_no_answer_is_tried_again(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "REPLY_SECONDS", 0.2)
    async with open_webhook(system, deduplicates=True) as (flow, receiver, _), running(system):
        receiver.script = [hang]
        msgid = await flow.broadcast(1)

        async def deferred() -> bool:
            return await flow.counts(msgid) == {"deferred": 1}

        await until(deferred)
        await retry_now(flow)
        assert await flow.until_settled(msgid) == {"sent": 1}
    assert len({asked.id for asked in receiver.posts}) == 1


async def test_410_stops_the_sender_until_it_is_tested_well(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.always = 410
        msgid = await flow.send("a@example.cn")
        resting = await until_resting(system)
        assert resting.cooldown_reason == "webhook_gone"
        assert str(resting.cooldown_until).startswith("9999")
        receiver.always = None
        assert (await connection_test.run(system, "hook")).ok
        await retry_now(flow)
        assert await flow.until_settled(msgid) == {"sent": 1}


async def test_429_makes_the_sender_rest_as_long_as_it_says(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.script = [b"HTTP/1.1 429 X\r\nRetry-After: 1234\r\nContent-Length: 0\r\n\r\n"]
        msgid = await flow.send("a@example.cn")
        resting = await until_resting(system)
    assert resting.cooldown_reason == "rate"
    until_ms = clock.read(str(resting.cooldown_until))
    assert 1_200_000 < until_ms - clock.now() <= 1_234_000
    (row,) = await flow.deliveries(msgid)
    assert row.counted_tries == 0


async def test_a_redirect_is_not_followed(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.script = [
            f"HTTP/1.1 302 X\r\nLocation: {receiver.url}\r\nContent-Length: 0\r\n\r\n".encode()
        ]
        await flow.send("a@example.cn")
        assert (await until_resting(system)).cooldown_reason == "webhook_moved"
        assert len(receiver.posts) == 1


async def test_a_private_address_that_is_not_allowed_is_not_dialled(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _):
        with_settings(system, callback_allow="")
        async with running(system):
            await flow.send("a@example.cn")
            assert (await until_resting(system)).cooldown_reason == "webhook_denied"
    assert receiver.asked == []


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"account": "ums", "password": "p w"}, "Basic " + base64.b64encode(b"ums:p w").decode()),
        ({"password": "t0ken"}, "Bearer t0ken"),
        ({}, None),
    ],
)
async def test_the_credentials_are_sent_as_they_are_set(
    system: AppContext, given: dict[str, str], header: str | None
) -> None:
    async with open_webhook(system, **given) as (flow, receiver, _), running(system):
        await flow.until_settled(await flow.send("a@example.cn"))
    assert receiver.posts[0].headers.get("authorization") == header


async def test_wrong_credentials_stop_the_sender_at_the_second_time(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _), running(system):
        receiver.always = 401
        await flow.send("a@example.cn")
        assert (await until_resting(system)).cooldown_reason == "webhook_credentials"


async def test_a_kept_connection_carries_several_deliveries(system: AppContext) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with_settings(system, callback_allow="127.0.0.1/32", smtp_sessions=1)
    await channels.create(system, "News", "1234")
    url = f"http://127.0.0.1:{port}/"
    new = NewWebhookSender(code="hook", name="Hook", url=url, channels=["1234"])
    await webhook_senders.create(system, new)
    flow = Flow(system, "1234")
    async with running(system):
        assert await flow.until_settled(await flow.broadcast(20)) == {"sent": 20}
    listener.close()
    assert connections == 1


async def test_the_test_posts_nothing_that_is_for_anybody(system: AppContext) -> None:
    async with open_webhook(system) as (_, receiver, made):
        report = await connection_test.run(system, "hook")
        assert (report.ok, report.stage) == (True, "data")
    (asked,) = receiver.posts
    receiver.verify(asked, str(made.signing_secret))
    assert json.loads(asked.body) == {"type": "test", "id": asked.id}


async def test_a_test_with_an_address_posts_a_message_for_it(system: AppContext) -> None:
    async with open_webhook(system) as (_, receiver, _made):
        assert (await connection_test.run(system, "hook", "a@example.cn")).ok
    assert json.loads(receiver.posts[1].body)["recipient"]["address"] == "a@example.cn"


async def test_a_test_says_where_it_failed(system: AppContext) -> None:
    async with open_webhook(system) as (_, receiver, _made):
        receiver.always = 403
        report = await connection_test.run(system, "hook")
    assert (report.ok, report.stage, report.reason) == (False, "auth", "webhook_credentials")


async def test_a_new_signing_secret_signs_beside_the_old_one_for_a_while(
    system: AppContext,
) -> None:
    async with open_webhook(system) as (_, receiver, made):
        renewed = await webhook_senders.rotate(system, "hook")
        assert renewed.signing_secret != made.signing_secret
        await connection_test.run(system, "hook")
        await webhook_senders.rotate(system, "hook", overlap=0)
        await connection_test.run(system, "hook")
    first, second = receiver.posts
    for secret in (made.signing_secret, renewed.signing_secret):
        receiver.verify(first, str(secret))
    assert len(second.headers["webhook-signature"].split()) == 1


async def test_over_tls_the_receiver_is_verified(system: AppContext, tmp_path: Path) -> None:
    made = Certificates()
    with_settings(system, callback_allow="127.0.0.1/32,::1/128")
    await channels.create(system, "News", "1234")
    async with receiving("", "", made.server()) as receiver:
        receiver.any_json = True
        url = f"https://localhost:{receiver.port}/"
        new = NewWebhookSender(code="hook", name="Hook", url=url, channels=["1234"])
        await webhook_senders.create(system, new)
        strange = await connection_test.run(system, "hook")
        assert (strange.ok, strange.stage, strange.reason) == (False, "tls", "tls")
        file = tmp_path / "ca.pem"
        made.authority.cert_pem.write_to_path(str(file))
        trust.use(str(file))
        try:
            known = await connection_test.run(system, "hook")
        finally:
            trust.use("")
    assert known.ok
    assert [step.stage for step in known.steps] == ["connect", "tls", "data"]


async def test_a_stop_leaves_what_has_no_answer_yet_unknown(system: AppContext) -> None:
    async with open_webhook(system) as (flow, receiver, _):
        receiver.script = [hang]
        with_settings(system, shutdown_seconds=0.2)
        async with running(system):
            msgid = await flow.broadcast(1)
            await receiver.until_asked(1)
        async with running(system):
            assert await flow.until_settled(msgid) == {"unknown": 1}
    assert len(receiver.posts) == 1


async def test_it_takes_over_in_a_route_from_an_account_that_is_down(
    system: AppContext, unused_tcp_port: int
) -> None:
    async with open_webhook(system) as (flow, receiver, _):
        await senders.create(system, account(unused_tcp_port, code="mail", name="Mail"))
        await routing.set_leg(system, "1234", "mail", rank=1)
        await routing.set_leg(system, "1234", "hook", rank=2)
        async with running(system):
            msgid = await flow.send("a@example.cn")

            async def deferred() -> bool:
                return await flow.counts(msgid) == {"deferred": 1}

            await until(deferred)
            await retry_now(flow)
            assert await flow.until_settled(msgid) == {"sent": 1}
    assert len(receiver.posts) == 1
    tried = [attempt.reason for attempt in await flow.attempts(msgid)]
    assert tried == ["unreachable", "sent"]
