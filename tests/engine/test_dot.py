"""Around the final dot: intent, doubt, fence and graceful stop (invariants I3 to I5)."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from support.fakes import DROP_TAKEN, Act, Call, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.tables import deliveries
from ums.engine.delivery.journal import Journal
from ums.engine.worker import Worker, running
from ums.mail.smtp.connect import Timeouts


async def test_the_intent_is_durable_before_the_dot_arrives(system: AppContext) -> None:
    seen: dict[str, str] = {}

    async def look(call: Call) -> None:
        rows = await flow.deliveries(msgid)
        seen.update({row.address: row.state for row in rows if row.address in call.rcpt_to})

    async with SmtpServer() as server:
        server.script["DOT"] = look
        flow = await open_flow(system, server)
        msgid = await flow.send(*(f"n{i}@example.cn" for i in range(25)))
        async with running(system):
            assert await flow.until_settled(msgid) == {"sent": 25}
    assert seen == {f"n{i}@example.cn": "at_dot" for i in range(25)}


async def test_a_transactional_mail_in_doubt_goes_out_once_more_and_never_thrice(
    system: AppContext,
) -> None:
    with_settings(system, unknown_retry_seconds=0.05)
    async with SmtpServer() as server:
        server.script["DOT"] = lambda call: DROP_TAKEN
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"unknown": 1}
    first, second = server.mails
    assert first.data == second.data  # one Message-ID, so that a receiver may tell
    row = await flow.delivery(msgid)
    assert (row.unknown_count, row.tries, row.reason) == (1, 2, "no_answer")
    assert [(a.stage, a.verdict) for a in await flow.attempts(msgid)] == [("dot", "unknown")] * 2


async def test_a_late_reply_is_waited_for(system: AppContext, dialect: str) -> None:
    """F29: for much longer than a lease, which is renewed meanwhile."""
    assert Timeouts().dot >= 600  # RFC 5321 section 4.5.3.2.6
    with_settings(system, lease_seconds=0.6)
    async with SmtpServer() as server:
        server.script["DOT"] = lambda call: Act(b"250 ok\r\n", after=3.0)
        flow = await open_flow(system, server)
        async with AsyncExitStack() as stack:
            for _ in range(1 + (dialect == "postgresql")):  # the other one would take it over
                await stack.enter_async_context(running(system))
            msgid = await flow.broadcast(3)
            assert await flow.until_settled(msgid) == {"sent": 3}
    assert len(server.mails) == 3
    assert {row.tries for row in await flow.deliveries(msgid)} == {1}


async def test_a_broadcast_in_doubt_is_held(system: AppContext) -> None:
    with_settings(system, unknown_retry_seconds=0.05)
    async with SmtpServer() as server:
        server.script["DOT"] = lambda call: (
            DROP_TAKEN if call.rcpt_to == ["u3@example.cn"] else None
        )
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(20)
            assert await flow.until_settled(msgid) == {"sent": 19, "unknown": 1}
            other = await flow.send("later@example.cn")  # time in which a second copy might go
            await flow.until_settled(other)
    assert [mail.rcpt_to for mail in server.mails].count("u3@example.cn") == 1
    assert len(server.mails) == 21


async def test_a_row_taken_away_before_its_intent_gets_no_dot(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I3: between body and intent another worker took the row."""
    taken: list[int] = []
    intend = Journal.intend

    async def late(self: Journal, claimed: queue.Claimed) -> bool:
        if not taken:
            taken.append(claimed.id)
            await _take(system, claimed.id)
        return await intend(self, claimed)

    monkeypatch.setattr(Journal, "intend", late)
    with_settings(system, smtp_sessions=1)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        msgid = await flow.send("a@example.cn", "b@example.cn", "c@example.cn")
        async with running(system):

            async def others() -> bool:
                return (await flow.counts(msgid)).get("sent") == 2

            await until(others)
            stolen = next(r for r in await flow.deliveries(msgid) if r.id == taken[0])
            assert (stolen.state, stolen.owner) == ("claimed", "somebody")
    assert stolen.address not in {mail.rcpt_to for mail in server.mails}
    assert server.counts["DOT"] == 2
    assert await flow.attempts(msgid) != []


async def _take(system: AppContext, id: int) -> None:
    async with system.database.write() as tx:
        await queue.beat(tx, "somebody", 60_000)
        values = {"owner": "somebody", "epoch": deliveries.c.epoch + 1}
        await tx.run(deliveries.update().where(deliveries.c.id == id).values(values))


async def test_a_zombie_writes_nothing_over_its_successor(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that was taken for dead comes back with a 4xx in its hands."""
    gate = asyncio.Event()

    async def hold(call: Call) -> bytes:
        await gate.wait()
        return b"451 4.3.0 later\r\n"

    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(1)
        async with running(system) as engine:
            await flow.until_state(msgid, "at_dot")
            await _bury(system, engine)
            assert await flow.counts(msgid) == {"unknown": 1}
            gate.set()
            other = await flow.send("other@example.cn")
            await flow.until_state(other, "deferred")
            assert await flow.counts(msgid) == {"unknown": 1}
    (attempt,) = await flow.attempts(msgid)
    assert (attempt.verdict, attempt.reason) == ("unknown", "unknown_outcome")


@pytest.mark.parametrize("broadcast", [True, False])
async def test_a_late_yes_clears_the_doubt(system: AppContext, broadcast: bool) -> None:
    """The lease ran out while the server was thinking; then it took the mail after all."""
    gate = asyncio.Event()

    async def hold(call: Call) -> None:
        await gate.wait()

    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await (flow.broadcast(1) if broadcast else flow.send("a@example.cn"))
        async with running(system) as engine:
            await flow.until_state(msgid, "at_dot")
            await _bury(system, engine)
            expected = {"unknown": 1} if broadcast else {"deferred": 1}
            assert await flow.counts(msgid) == expected
            gate.set()
            await flow.until_state(msgid, "sent")
    assert len(server.mails) == 1
    row = await flow.delivery(msgid)
    assert (row.reason, row.owner) == ("", None)


async def _bury(system: AppContext, engine: Worker) -> None:
    """What another worker does once the engine's lease is over."""
    async with system.database.write() as tx:
        await tx.run(text("UPDATE workers SET lease_until = 1"))
        assert await queue.recover(tx, "another") == 1
    assert engine.owner


async def test_a_graceful_stop_finishes_what_is_at_the_dot(system: AppContext) -> None:
    with_settings(system, smtp_sessions=2)
    gate = asyncio.Event()

    async def hold(call: Call) -> None:
        await gate.wait()

    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(60)
        async with running(system) as engine:
            await until(lambda: _at_dot(flow, msgid, 2))
            stopping = asyncio.create_task(engine.stop())
            await until(lambda: _held(flow, msgid, 2))  # the rest is given back at once
            assert not stopping.done()
            gate.set()
            await stopping
            counts = await flow.counts(msgid)
    assert set(counts) == {"sent", "queued"}
    assert counts["sent"] == len(server.mails) <= 4  # two, and what had gone ahead with them
    assert sum(counts.values()) == 60
    assert {row.owner for row in await flow.deliveries(msgid)} == {None}
    async with system.database.read() as tx:
        assert await tx.value(text("SELECT count(*) FROM workers")) == 0


async def _at_dot(flow: Flow, msgid: str, count: int) -> bool:
    return (await flow.counts(msgid)).get("at_dot", 0) == count


async def _held(flow: Flow, msgid: str, count: int) -> bool:
    """Whether only `count` rows, and those whose commands went ahead, are still held."""
    counts = await flow.counts(msgid)
    return counts.get("at_dot") == count and counts.get("claimed", 0) <= count


async def test_a_stop_does_not_wait_longer_than_it_may(system: AppContext) -> None:
    with_settings(system, shutdown_seconds=0.2, smtp_sessions=2)
    forever = asyncio.Event()

    async def hold(call: Call) -> None:
        await forever.wait()

    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(30)
        async with running(system):
            await until(lambda: _at_dot(flow, msgid, 2))
        assert await flow.counts(msgid) == {"unknown": 2, "queued": 28}
    assert server.mails == []


async def test_a_stop_while_connecting_is_quick(system: AppContext) -> None:
    """What has not begun need not be waited for."""
    with_settings(system, shutdown_seconds=3600.0)
    forever = asyncio.Event()

    async def hold(call: Call) -> None:
        await forever.wait()

    async with SmtpServer() as server:
        server.script["GREETING"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.send("a@example.cn")
        async with running(system) as engine:
            await flow.until_state(msgid, "claimed")
            async with asyncio.timeout(20):
                await engine.stop()
        assert await flow.counts(msgid) == {"queued": 1}


async def test_a_reply_without_sense_after_the_dot_is_doubt(system: AppContext) -> None:
    async with SmtpServer() as server:
        server.script["DOT"] = [Act(b"what?\r\n", taken=True)]
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(1)
            assert await flow.until_settled(msgid) == {"unknown": 1}
    assert len(server.mails) == 1
