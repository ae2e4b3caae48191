"""One mail from its acceptance to what its server said of it."""

import asyncio
import email
from email import policy

import pytest

from support.fakes import Act, Call, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import sandbox_mailbox
from ums.core.reporting import reports
from ums.core.senders.senders import NewSender, create
from ums.core.tables import messages
from ums.engine.delivery.job_queue import DeliveryJob
from ums.engine.delivery.sender_pool import SenderPool
from ums.engine.worker import running


def parsed(data: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(data, policy=policy.default)


async def test_what_arrives_is_what_was_asked_for(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn", "b@example.cn")
            assert await flow.until_settled(msgid) == {"sent": 2}
    mails = {mail.rcpt_to: parsed(mail.data) for mail in server.mails}
    assert set(mails) == {"a@example.cn", "b@example.cn"}
    for recipient, mail in mails.items():
        assert mail["To"] == recipient
        assert mail["Cc"] is None
        assert mail["Subject"] == "Hello 你好"
        assert mail["From"] == "News <news@sender.example>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Message-ID"].endswith("@sender.example>")
        assert "<p>Body</p>" in mail.get_body(("html",)).get_content()
        assert "Body" in mail.get_body(("plain",)).get_content()
    assert len({mail["Message-ID"] for mail in mails.values()}) == 2
    assert {mail.mail_from for mail in server.mails} == {"news@sender.example"}
    assert server.violations == []


async def test_a_broadcast_goes_to_every_user_once_and_is_not_auto_submitted(
    system: AppContext,
) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(120)
            assert await flow.until_settled(msgid) == {"sent": 120}
    assert sorted(mail.rcpt_to for mail in server.mails) == sorted(
        f"u{i}@example.cn" for i in range(120)
    )
    assert {parsed(mail.data)["Auto-Submitted"] for mail in server.mails} == {None}


async def test_a_temporary_refusal_is_tried_again_as_the_same_mail(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["DOT"] = [
            Act(b"451 4.3.0 later\r\n", after=0.05, taken=True),
            b"250 2.0.0 queued as 77\r\n",
        ]
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"sent": 1}
    seen = [parsed(mail.data)["Message-ID"] for mail in server.mails]
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert server.mails[0].data == server.mails[1].data
    first, second = await flow.attempts(msgid)
    assert (first.number, first.stage, first.verdict, first.code, first.enhanced) == (
        (1, "dot", "later", 451, "4.3.0")
    )
    assert "later" in first.reply
    assert first.duration_ms >= 50
    assert (second.number, second.stage, second.verdict, second.code) == (2, "dot", "sent", 250)
    assert "queued as 77" in second.reply
    row = await flow.delivery(msgid)
    assert (row.tries, row.reason, row.owner) == (2, "", None)


REFUSALS = {
    "nobody": ("RCPT", b"550 5.1.1 no such user\r\n", "rcpt", "no_such_mailbox"),
    "big": ("MAIL", b"552 5.3.4 message too big\r\n", "mail", "too_big"),
    "spam": ("DOT", b"554 5.7.1 spam content\r\n", "dot", "content"),
    "gone": ("DOT", b"550 5.1.1 unknown\r\n", "dot", "no_such_mailbox"),
}


@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_final_refusal_fails_that_delivery_alone(
    system: AppContext, pipelining: bool
) -> None:
    with_settings(system, smtp_sessions=1)
    names = ["good1", "nobody", "good2", "big", "good3", "spam", "gone", "good4"]

    def script(key: str) -> list[bytes | None]:
        # A refused MAIL is followed by no RCPT of its own, a refused RCPT by no dot.
        refused = {name: row for name, row in REFUSALS.items() if row[0] == key}
        met = [n for n in names if key != "DOT" or n not in ("nobody", "big")]
        return [refused[n][1] if n in refused else None for n in met]

    async with SmtpServer(pipelining=pipelining) as server:
        server.script["DOT"] = script("DOT")
        server.script["MAIL"] = script("MAIL")
        server.script["RCPT"] = lambda call: (
            REFUSALS["nobody"][1] if "<nobody@" in call.line else None
        )
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"{name}@example.cn" for name in names))
            assert await flow.until_settled(msgid) == {"sent": 4, "failed": 4}
    tries = {a.delivery_id: a for a in await flow.attempts(msgid)}
    for row in await flow.deliveries(msgid):
        name = row.address.partition("@")[0]
        attempt = tries[row.id]
        if name in REFUSALS:
            _, reply, stage, reason = REFUSALS[name]
            assert (attempt.stage, attempt.verdict, attempt.reason, attempt.code, row.reason) == (
                (stage, "refused", reason, int(reply[:3]), reason)
            )
        else:
            assert (row.state, attempt.verdict) == ("sent", "sent")
    assert {mail.rcpt_to[:4] for mail in server.mails} == {"good"}
    assert (await flow.sender()).cooldown_until is None


async def test_a_server_that_refuses_data_gets_one_more_try(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["DATA"] = lambda call: b"554 5.5.1 no\r\n"
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"failed": 1}
    assert [a.stage for a in await flow.attempts(msgid)] == ["data", "data"]


async def test_a_greylist_is_waited_out(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = [b"450 4.7.1 Greylisted\r\n"] * 2
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"sent": 1}
    tries = await flow.attempts(msgid)
    assert [(a.stage, a.reason) for a in tries] == [
        ("rcpt", "greylist"),
        ("rcpt", "greylist"),
        ("dot", "sent"),
    ]
    assert {mail.mail_from for mail in server.mails} == {"news@sender.example"}


async def test_a_reply_in_gbk_is_stored_as_text(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = ["550 用户不存在\r\n".encode("gb18030")]
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            await flow.until_settled(msgid)
    (attempt,) = await flow.attempts(msgid)
    assert attempt.reply == "用户不存在"
    assert attempt.reason == "no_such_mailbox"


async def test_refused_recipients_do_not_take_their_neighbours_along(system: AppContext) -> None:
    """Refusals come while the next mail's commands are already on their way."""

    def script(call: Call) -> bytes | None:
        number = int(call.line.partition("<")[2].partition("@")[0][1:])
        return b"550 5.1.1 nobody\r\n" if number % 3 == 0 else None

    async with SmtpServer() as server:
        server.script["RCPT"] = script
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(60)))
            assert await flow.until_settled(msgid) == {"sent": 40, "failed": 20}
    arrived = sorted(mail.rcpt_to for mail in server.mails)
    assert arrived == sorted(f"n{i}@example.cn" for i in range(60) if i % 3)
    assert server.violations == []


async def test_a_mail_that_cannot_be_built_fails_alone(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        bad, good = await flow.send("a@example.cn"), await flow.send("b@example.cn")
        async with system.database.write() as tx:
            broken = messages.update().where(messages.c.msgid == bad).values(content="{}")
            await tx.run(broken)
        async with running(system):
            assert await flow.until_settled(bad) == {"failed": 1}
            assert await flow.until_settled(good) == {"sent": 1}
    assert (await flow.delivery(bad)).reason == "content_unusable"
    assert [mail.rcpt_to for mail in server.mails] == ["b@example.cn"]


async def test_the_urgent_pass_the_bulk(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An urgent mail overtakes bulk that is already claimed."""
    gate, handed = asyncio.Event(), asyncio.Event()
    add = SenderPool.add

    async def noticed(lane: SenderPool, jobs: list[DeliveryJob], rests: int) -> None:
        await add(lane, jobs, rests)
        if any(job.claimed.address == "urgent@example.cn" for job in jobs):
            handed.set()

    monkeypatch.setattr(SenderPool, "add", noticed)

    async def hold(call: Call) -> None:
        await gate.wait()

    async with SmtpServer(pipelining=False) as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        with_settings(system, smtp_sessions=1)
        bulk = await flow.send(*(f"bulk{i}@example.cn" for i in range(60)), priority=3)
        async with running(system):

            async def at_dot() -> bool:
                return server.counts["DOT"] == 1

            await until(at_dot)
            urgent = await flow.send("urgent@example.cn", priority=1)
            async with asyncio.timeout(20):
                await handed.wait()  # it is claimed a moment before it stands in the row
            gate.set()
            await flow.until_settled(urgent)
            await flow.until_settled(bulk)
    order = [mail.rcpt_to for mail in server.mails]
    assert order.index("urgent@example.cn") <= 2  # after what is at the dot, and what follows it


async def test_urgent_messages_are_claimed_before_older_ones(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        for priority in (3, 2, 1):
            await flow.send(*(f"p{priority}n{i}@example.cn" for i in range(5)), priority=priority)
        with_settings(system, smtp_sessions=1)
        async with running(system):

            async def all_sent() -> bool:
                return len(server.mails) == 15

            await until(all_sent)
    assert [mail.rcpt_to[1] for mail in server.mails] == ["1"] * 5 + ["2"] * 5 + ["3"] * 5


async def test_the_sandbox_keeps_what_is_sent_to_it(system: AppContext) -> None:
    flow = await open_flow(system, None)
    given = NewSender(
        code="sandbox",
        name="Sandbox",
        host="sandbox.invalid",
        port=25,
        encryption="none",
        from_address="demo@sandbox.invalid",
        channels=[flow.key],
    )
    await create(system, given, type="sandbox")
    async with running(system):
        msgid = await flow.send("a@example.cn")
        assert await flow.until_settled(msgid) == {"sent": 1}
    async with system.database.read() as tx:
        (caught,) = await sandbox_mailbox.recent(tx, None)
        found = await sandbox_mailbox.source(tx, None, caught.id)
    assert (caught.rcpt_to, caught.subject) == ("a@example.cn", "Hello 你好")
    assert found is not None
    assert parsed(found[1])["To"] == "a@example.cn"


async def test_counts_add_up_to_the_audience_at_every_moment(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = lambda call: b"550 5.1.1 no\r\n" if call.count % 7 == 0 else None
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(200)
        info = await _info(flow, msgid)
        assert sum(info.counts.values()) == info.audience
        async with running(system):

            async def done() -> bool:
                info = await _info(flow, msgid)
                assert sum(info.counts.values()) == info.audience
                return info.state == "done"

            await until(done)
    info = await _info(flow, msgid)
    assert info.audience == 200
    assert info.counts["sent"] == len(server.mails)
    assert info.counts["sent"] + info.counts["failed"] == 200


async def _info(flow: Flow, msgid: str) -> reports.MessageInfo:
    async with flow.system.database.read() as tx:
        return await reports.message(tx, msgid)
