"""What UMS stops by itself: lists of addresses that do not exist, and content nobody takes."""

import asyncio

import pytest

from support.fakes import Call, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from ums.core.context.app_context import AppContext
from ums.core.messages import auto_pause, control
from ums.core.reporting import reports
from ums.core.senders import reputation
from ums.engine.worker import running

NOBODY = b"550 5.1.1 no such user here\r\n"
SPAM = b"550 5.7.1 message refused as spam, see http://example.cn/4711\r\n"


async def info(flow: Flow, msgid: str) -> reports.MessageInfo:
    async with flow.system.database.read() as tx:
        return await reports.message(tx, msgid)


def invalid(call: Call) -> bytes | None:
    return NOBODY if "old" in call.line else None


async def until_paused(flow: Flow, msgid: str) -> reports.MessageInfo:
    async def paused() -> reports.MessageInfo | None:
        found = await info(flow, msgid)
        counts = set(found.counts)
        return found if found.state == "paused" and not counts & {"queued", "claimed"} else None

    return await until(paused)


async def until_stopped(flow: Flow) -> None:
    async def stopped() -> bool:
        return (await flow.sender()).suspended_at is not None

    await until(stopped)


def addresses(count: int, name: str) -> list[str]:
    return [f"{name}{i}@example.cn" for i in range(count)]


async def test_a_list_of_old_addresses_stops_mailings_and_nothing_else(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = invalid
        flow = await open_flow(system, server)
        async with running(system):
            stale = await flow.send(*addresses(200, "old"))
            await flow.until_settled(stale)
            await until_stopped(flow)
            mailing = await flow.send(*addresses(30, "new"))
            found = await until_paused(flow, mailing)
            assert (found.halt_reason, found.halt_detail) == ("bounces", "main")
            single = await flow.send("one@example.cn")
            urgent = await flow.send(*addresses(3, "code"), priority=1)
            assert await flow.until_settled(single) == {"sent": 1}
            assert await flow.until_settled(urgent) == {"sent": 3}
            assert sum((await flow.counts(mailing)).values()) == 30

            await auto_pause.confirm(system, "main")
            assert await flow.until_settled(mailing) == {"sent": 30}
            assert (await info(flow, mailing)).halt_reason == ""


async def test_what_a_person_lets_go_on_goes_on(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = invalid
        flow = await open_flow(system, server)
        async with running(system):
            stale = await flow.send(*addresses(200, "old"))
            await flow.until_settled(stale)
            await until_stopped(flow)
            mailing = await flow.send(*addresses(30, "new"))
            await until_paused(flow, mailing)
            await control.resume(system, None, mailing)
            assert await flow.until_settled(mailing) == {"sent": 30}
            assert (await flow.sender()).suspended_at is not None


@pytest.mark.slow
async def test_content_that_nobody_takes_pauses_its_message_once(system: AppContext) -> None:
    async def spam(call: Call) -> bytes | None:
        await asyncio.sleep(0.02)  # no faster than the guard looks
        return SPAM if "bad" in call.line else None

    async with SmtpServer() as server:
        server.script["RCPT"] = spam
        with_settings(system, smtp_sessions=1)
        flow = await open_flow(system, server)
        async with running(system):
            bad = await flow.send(*addresses(200, "bad"))
            found = await until_paused(flow, bad)
            assert found.halt_reason == "content"
            assert found.halt_detail == "message refused as spam, see http://example.cn/4711"
            assert found.counts["paused"] + found.counts["failed"] == 200
            assert 20 <= found.counts["failed"] < 100
            good = await flow.send(*addresses(20, "good"))
            assert await flow.until_settled(good) == {"sent": 20}
            assert (await flow.sender()).suspended_at is None
            await control.resume(system, None, bad)
            assert await flow.until_settled(bad) == {"failed": 200}


async def test_different_refusals_are_no_reason(system: AppContext) -> None:
    async def spam(call: Call) -> bytes | None:
        await asyncio.sleep(0.005)
        words = ("spam", "virus", "banned words")[call.count % 3]
        return f"550 5.7.1 {words}\r\n".encode()

    async with SmtpServer() as server:
        server.script["RCPT"] = spam
        with_settings(system, smtp_sessions=1)
        flow = await open_flow(system, server)
        async with running(system):
            mixed = await flow.send(*addresses(100, "bad"))
            assert await flow.until_settled(mixed) == {"failed": 100}


async def test_a_sender_in_doubt_uses_one_session(system: AppContext) -> None:
    most = 0

    async def look(call: Call) -> bytes | None:
        nonlocal most
        most = max(most, server.open)
        await asyncio.sleep(0.005)
        return None

    async with SmtpServer() as server:
        server.script["RCPT"] = look
        flow = await open_flow(system, server)
        id = (await flow.sender()).id
        await reputation.note(system, {id: reputation.Count(30, 0, 15)})
        async with running(system):
            msgid = await flow.send(*addresses(60, "n"))
            assert await flow.until_settled(msgid) == {"sent": 60}
    assert most == 1
