"""Servers and accounts that fail: the sender rests, its deliveries wait and lose nothing."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from support.fakes import DROP, Act, Call, Certificates, SmtpServer
from support.flow import Flow, account, open_flow, until, with_settings
from support.postgres import reserved_port
from ums import trust
from ums.core.context.app_context import AppContext
from ums.core.context.directory import touch
from ums.core.deliveries import retry_policy
from ums.core.senders import connection_test, cooldown, senders
from ums.core.tables import senders as sender_table
from ums.engine.delivery.message_cache import MessageCache
from ums.engine.worker import running

LOGIN = {"account": "news", "password": "right"}


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


async def test_a_server_that_is_down_is_waited_for(system: AppContext, port: int) -> None:
    flow = await open_flow(system, port)
    async with running(system):
        msgid = await flow.send("a@example.cn", "b@example.cn")
        row = await flow.until_resting()
        assert row.cooldown_reason == "unreachable"
        assert "connect" in row.cooldown_detail
        async with SmtpServer(port=port) as server:
            assert await flow.until_settled(msgid) == {"sent": 2}
    assert len(server.mails) == 2
    failed = [a for a in await flow.attempts(msgid) if a.verdict != "sent"]
    assert {(a.stage, a.code, a.reason) for a in failed} == {("connect", 0, "unreachable")}
    sent = await flow.deliveries(msgid)
    assert all(row.counted_tries == 1 for row in sent)  # only the attempt that got through
    assert (await flow.sender()).failures == 0


async def test_the_rest_grows_while_the_server_stays_away(
    system: AppContext, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooldown, "TRANSPORT", (50, 600_000))
    flow = await open_flow(system, port)
    async with running(system):
        await flow.send("a@example.cn")

        async def long() -> bool:
            row = await flow.sender()
            return row.failures == 2 and row.cooldown_until > row.created_at + 500_000

        await until(long)


async def test_a_wrong_password_is_tried_twice_and_then_no_more(system: AppContext) -> None:
    async with SmtpServer(users={"news": "right"}) as server:
        flow = await open_flow(system, server, account="news", password="wrong")
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(30)))

            async def locked() -> bool:
                row = await flow.sender()
                return row.cooldown_until == cooldown.UNTIL_EDITED

            await until(locked)
            assert server.counts["AUTH"] == 2
            assert (await flow.sender()).cooldown_reason == "credentials"

            async def given_back() -> bool:  # by the session that failed, after it told of the rest
                return set(await flow.counts(msgid)) <= {"queued", "deferred"}

            await until(given_back)
            assert server.counts["AUTH"] == 2
            await senders.change(system, account(server, **LOGIN))
            assert await flow.until_settled(msgid) == {"sent": 30}
    assert server.counts["AUTH"] >= 3


async def test_a_good_test_unlocks_a_sender(system: AppContext) -> None:
    users = {"news": "other"}
    async with SmtpServer(users=users) as server:
        flow = await open_flow(system, server, **LOGIN)
        async with running(system):
            msgid = await flow.send("a@example.cn")

            async def locked() -> bool:
                return (await flow.sender()).cooldown_until == cooldown.UNTIL_EDITED

            await until(locked)
            assert not (await connection_test.run(system, "main")).ok
            assert (await flow.sender()).cooldown_until == cooldown.UNTIL_EDITED
            users["news"] = "right"
            assert (await connection_test.run(system, "main")).ok
            assert await flow.until_settled(msgid) == {"sent": 1}


@pytest.mark.parametrize("encryption", ["ssl", "starttls"])
async def test_a_certificate_of_another_name_stops_everything_before_the_log_in(
    system: AppContext, encryption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooldown, "CONFIGURATION", (3_600_000,))
    made = Certificates()
    monkeypatch.setattr(trust, "context", made.client)
    context: ssl.SSLContext = made.server("other.example")
    async with SmtpServer(
        tls="ssl" if encryption == "ssl" else "starttls", context=context, users={"news": "right"}
    ) as server:
        flow = await open_flow(system, server, host="localhost", encryption=encryption, **LOGIN)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            row = await flow.until_resting()
            assert row.cooldown_reason == "tls"
            assert "certificate" in row.cooldown_detail
            assert row.cooldown_until > row.created_at + 3_000_000
            await flow.until_state(msgid, "deferred")
    assert "AUTH" not in server.verbs()
    assert b"AUTH" not in bytes(server.clear)


async def test_tls_that_is_right_is_used(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates()
    monkeypatch.setattr(trust, "context", made.client)
    async with SmtpServer(tls="starttls", context=made.server(), users={"news": "right"}) as server:
        flow = await open_flow(system, server, host="localhost", encryption="starttls", **LOGIN)
        async with running(system):
            assert await flow.until_settled(await flow.send("a@example.cn")) == {"sent": 1}
    assert server.logins == ["news"]
    assert b"AUTH" not in bytes(server.clear)


async def test_a_server_that_closes_after_a_few_mails_is_called_again(system: AppContext) -> None:
    carried: dict[int, int] = {}

    def script(call: Call) -> bytes | Act | None:
        carried[call.connection] = carried.get(call.connection, 0) + 1
        if carried[call.connection] > 3:
            return Act(b"421 4.7.0 enough for one connection\r\n", drop=True)
        return None

    async with SmtpServer() as server:
        server.script["MAIL"] = script
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(40)))
            assert await flow.until_settled(msgid) == {"sent": 40}
    assert len(server.mails) == 40
    assert len({mail.rcpt_to for mail in server.mails}) == 40
    assert (await flow.sender()).failures == 0


async def test_how_many_mails_a_session_takes_is_learnt(system: AppContext) -> None:
    with_settings(system, smtp_sessions=1)
    asked = Counter[int]()

    def script(call: Call) -> bytes | None:
        asked[call.connection] += 1
        return b"450 MI:DMC 163 smtp1,x 1\r\n" if asked[call.connection] > 3 else None

    async with SmtpServer() as server:
        server.script["MAIL"] = script
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(12)))
            assert await flow.until_settled(msgid) == {"sent": 12}
    assert [asked[number] for number in sorted(asked)] == [4, 3, 3, 3]
    assert (await flow.sender()).failures == 0


async def test_a_session_ends_by_itself_after_its_number_of_mails(system: AppContext) -> None:
    with_settings(system, smtp_session_messages=4, smtp_sessions=1)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            assert await flow.until_settled(
                await flow.send(*(f"n{i}@example.cn" for i in range(12)))
            ) == {"sent": 12}
    assert [mail.connection for mail in server.mails] == [1] * 4 + [2] * 4 + [3] * 4


async def test_a_server_that_takes_two_connections_is_used_with_two(system: AppContext) -> None:
    """Its refusal of a third is not the sender's failure."""

    async with SmtpServer() as server:

        def greet(call: Call) -> bytes | Act | None:
            return Act(b"421 too many connections\r\n", drop=True) if server.open > 2 else None

        server.script["GREETING"] = greet
        server.script["DOT"] = lambda call: Act(b"250 ok\r\n", after=0.01)
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(60)))
            assert await flow.until_settled(msgid) == {"sent": 60}
    assert (await flow.sender()).cooldown_reason is None
    assert {a.verdict for a in await flow.attempts(msgid)} == {"sent"}
    assert len(server.mails) == 60


async def test_the_first_session_goes_alone(system: AppContext) -> None:
    """Five log-ins at once with one wrong password would be five wrong log-ins."""
    gate = asyncio.Event()

    async def wait(call: Call) -> None:
        if call.connection == 1:
            await gate.wait()

    async with SmtpServer() as server:
        server.script["GREETING"] = wait
        server.script["DOT"] = lambda call: Act(b"250 ok\r\n", after=0.05)
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(50)))
            await until(lambda: _claimed(flow, msgid, 50))
            await until(lambda: _met(server, "GREETING"))
            assert server.connections == 1
            gate.set()
            await flow.until_settled(msgid)
    assert server.most_open == 5


async def _claimed(flow: Flow, msgid: str, count: int) -> bool:
    return (await flow.counts(msgid)).get("claimed", 0) == count


async def test_one_slow_mail_does_not_hold_up_the_others(system: AppContext) -> None:
    gate = asyncio.Event()

    async def slow(call: Call) -> None:
        if call.rcpt_to == ["slow@example.cn"]:
            await gate.wait()

    async with SmtpServer() as server:
        server.script["DOT"] = slow
        flow = await open_flow(system, server)
        async with running(system):
            held = await flow.send("slow@example.cn")
            await flow.until_state(held, "at_dot")
            for number in range(3):
                quick = await flow.send(f"quick{number}@example.cn")
                assert await flow.until_settled(quick) == {"sent": 1}
            assert await flow.counts(held) == {"at_dot": 1}
            gate.set()
            assert await flow.until_settled(held) == {"sent": 1}


async def test_a_mail_that_breaks_every_connection_does_not_stop_the_rest(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It uses up its schedule, shortened here, like any other that does not get through.
    monkeypatch.setattr(retry_policy, "retry_delay", lambda n, _: 50 if n < 3 else None)

    def poison(call: Call) -> Act | None:
        return DROP if call.rcpt_to == ["poison@example.cn"] else None

    async with SmtpServer() as server:
        server.script["BODY"] = poison
        flow = await open_flow(system, server)
        async with running(system):
            bad = await flow.send("poison@example.cn")
            good = await flow.send(*(f"n{i}@example.cn" for i in range(40)))
            assert await flow.until_settled(good) == {"sent": 40}
            assert await flow.until_settled(bad) == {"expired": 1}
    assert len(await flow.attempts(bad)) == retry_policy.FREE_TRIES + 3
    assert len(server.mails) == 40


async def test_an_edited_sender_is_used_from_the_next_session_on(system: AppContext) -> None:
    with_settings(system, smtp_sessions=1)
    gate = asyncio.Event()

    async def hold(call: Call) -> None:
        await gate.wait()

    async with SmtpServer() as old, SmtpServer() as new:
        old.script["DOT"] = hold
        flow = await open_flow(system, old)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(10)))
            await until(lambda: _met(old, "DOT"))
            moved = account(new, from_address="moved@sender.example", password="x")
            await senders.change(system, moved)
            second = await flow.send("late@example.cn")
            await flow.until_state(second, "claimed")  # and with it the new settings are known
            gate.set()
            assert await flow.until_settled(msgid) == {"sent": 10}
            assert await flow.until_settled(second) == {"sent": 1}
    assert len(old.mails) + len(new.mails) == 11
    assert len(old.mails) <= 2  # what was at the dot, and what followed it
    assert {mail.mail_from for mail in old.mails} == {"news@sender.example"}
    assert {mail.mail_from for mail in new.mails} == {"moved@sender.example"}
    assert all(b"moved@sender.example" in mail.data for mail in new.mails)


async def _met(server: SmtpServer, key: str) -> bool:
    return server.counts[key] >= 1


async def test_a_password_that_cannot_be_opened_rests_the_sender(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server, **LOGIN)
        async with system.database.write() as tx:
            await tx.run(sender_table.update().values(secret="v1:AAAA"))
            await touch(tx)
        system.directory.forget()
        async with running(system):
            msgid = await flow.send("a@example.cn")
            row = await flow.until_resting()
            assert row.cooldown_reason == "engine_error"
            assert set(await flow.counts(msgid)) <= {"queued", "deferred", "claimed"}
    assert server.connections == 0


async def test_a_quota_reply_at_one_mail_lets_all_wait_uncharged(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["MAIL"] = [None, None, b"550 5.4.5 Daily user sending limit exceeded\r\n"]
        flow = await open_flow(system, server)
        with_settings(system, smtp_sessions=1)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(20)))
            row = await flow.until_resting()
            assert row.cooldown_reason == "daily_quota"
            assert row.cooldown_until > row.created_at + 3_000_000  # the hour of the reply table

            async def back() -> bool:
                return (await flow.counts(msgid)) == {"sent": 2, "queued": 17, "deferred": 1}

            await until(back)
    assert {row.counted_tries for row in await flow.deliveries(msgid) if row.state != "sent"} == {0}


async def test_what_was_claimed_while_a_rest_began_waits_for_its_end(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is as old as the mails that are built for it; the rest is younger."""
    rested, claimed_again, load, claims = asyncio.Event(), asyncio.Event(), MessageCache.of, 0

    async def slow(self: MessageCache, *given: Any) -> Any:
        nonlocal claims
        claims += 1
        if claims == 2:
            claimed_again.set()
            await rested.wait()
        return await load(self, *given)

    async def used_up(call: Call) -> bytes | None:
        if call.count != 13:
            return None
        await claimed_again.wait()
        return b"550 5.4.5 Daily user sending limit exceeded\r\n"

    monkeypatch.setattr(MessageCache, "of", slow)
    async with SmtpServer() as server:
        server.script["MAIL"] = used_up
        flow = await open_flow(system, server)
        with_settings(system, smtp_sessions=1)  # the second claim follows after half of 20
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(40)))
            await flow.until_resting()
            rested.set()

            async def back() -> bool:
                return "claimed" not in await flow.counts(msgid)

            await until(back)
            assert await flow.counts(msgid) == {"sent": 12, "queued": 27, "deferred": 1}
    assert len(server.mails) == 12
