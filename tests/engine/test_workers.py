"""Several workers, dead ones, and rows that got lost on the way to a living one."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from support.fakes import Call, SmtpServer
from support.flow import open_flow, until, with_settings
from support.transition_guard import any_transition
from ums import clock
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.maintenance.startup import open_system
from ums.core.tables import deliveries, messages
from ums.db import GroupCommit, Tx
from ums.engine.delivery import dispatcher
from ums.engine.delivery.journal import Journal
from ums.engine.delivery.message_cache import MessageCache
from ums.engine.worker import running
from ums.errors import Unavailable


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_two_workers_deliver_each_mail_once(settings: Settings) -> None:
    async with (
        open_system(settings) as one,
        open_system(settings) as two,
        SmtpServer() as server,
    ):
        flow = await open_flow(one, server)
        halves = [[f"n{half}.{i}@example.cn" for i in range(1000)] for half in range(2)]
        msgids = [await flow.send(*half) for half in halves]
        async with running(one) as first, running(two) as second:
            for msgid in msgids:
                assert await flow.until_settled(msgid, 60) == {"sent": 1000}
        assert first.owner != second.owner
        for msgid in msgids:
            assert {row.tries for row in await flow.deliveries(msgid)} == {1}
            assert len(await flow.attempts(msgid)) == 1000
    copies = Counter(mail.rcpt_to for mail in server.mails)
    assert copies == {address: 1 for half in halves for address in half}


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_the_rows_of_a_dead_worker_come_back_when_its_lease_ends(
    settings: Settings,
) -> None:
    async with open_system(settings) as system, SmtpServer() as server:
        with_settings(system, lease_seconds=0.3)
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(10)
        async with running(system):
            await flow.until_settled(msgid)
        async with system.database.write() as tx, any_transition(tx):
            await queue.beat(tx, "dead", 50)
            dead = {"state": "claimed", "owner": "dead"}
            await tx.run(deliveries.update().values(dead))
            await tx.run(deliveries.update().where(deliveries.c.id <= 3).values(state="at_dot"))
        async with running(system):
            assert await flow.until_settled(msgid) == {"unknown": 3, "sent": 7}


async def test_a_worker_that_starts_on_sqlite_knows_the_others_to_be_dead(
    system: AppContext, dialect: str
) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(3)
        async with running(system):
            await flow.until_settled(msgid)
        async with system.database.write() as tx, any_transition(tx):
            await queue.beat(tx, "dead", 3_600_000)
            await tx.run(deliveries.update().values(state="claimed", owner="dead"))
        async with running(system):
            if dialect == "sqlite":
                assert await flow.until_settled(msgid) == {"sent": 3}
            else:
                other = await flow.send("other@example.cn")
                await flow.until_settled(other)
                assert await flow.counts(msgid) == {"claimed": 3}


async def test_a_worker_that_was_frozen_renews_its_lease_at_once(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the others bury it again at each of their looks, and take its mail."""
    with_settings(system, lease_seconds=1.2)
    beat, recover, calls = queue.beat, queue.recover, list[str]()

    async def beating(tx: Tx, owner: str, lease: int) -> None:
        calls.append("beat")
        await beat(tx, owner, lease)

    async def looking(*given: Any, **named: Any) -> int:
        calls.append("look")
        if calls.count("look") == 2:  # the first one is the start's
            time.sleep(0.8)  # the whole process stands still for two thirds of the lease
        return await recover(*given, **named)

    monkeypatch.setattr(queue, "beat", beating)
    monkeypatch.setattr(queue, "recover", looking)

    async def again() -> bool:
        return calls.count("beat") >= 3

    async with running(system):
        await until(again)
    assert calls[:5] == ["beat", "look", "beat", "look", "beat"]


async def test_rows_without_a_worker_are_found(system: AppContext) -> None:
    """A claim may commit after its worker was buried."""
    with_settings(system, lease_seconds=0.3)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        msgid = await flow.broadcast(4)
        async with running(system):
            await flow.until_settled(msgid)
            async with system.database.write() as tx, any_transition(tx):
                nobody = {"state": "claimed", "owner": "buried", "epoch": 9}
                await tx.run(deliveries.update().values(nobody))
            assert await flow.until_settled(msgid) == {"sent": 4}
    assert len(server.mails) == 8


async def test_a_claim_whose_answer_was_lost_is_found(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through and its answer did not: the rows are ours and we do not know."""
    monkeypatch.setattr(dispatcher, "AUDIT_SECONDS", 0.1)
    claim, lost = queue.claim, []

    async def forgetful(*given: object) -> list[queue.Claimed]:
        rows = await claim(*given)  # type: ignore[arg-type]
        if rows and not lost:
            lost.extend(rows)
            return []
        return rows

    monkeypatch.setattr(queue, "claim", forgetful)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(30)
            assert await flow.until_settled(msgid) == {"sent": 30}
    assert lost
    assert len(server.mails) == 30


async def test_what_is_finished_while_the_audit_reads_is_not_lost(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "AUDIT_SECONDS", 0.0)
    held, reads, given_up = queue.held, asyncio.Event(), []

    async def slow(tx: Tx, owner: str) -> list[tuple[int, int]]:
        rows = await held(tx, owner)
        if rows:
            reads.set()
            await flow.until_settled(msgid)
        return rows

    async def noted(*given: object) -> None:
        given_up.append(given)

    async def hold(call: Call) -> None:
        await reads.wait()

    monkeypatch.setattr(queue, "held", slow)
    monkeypatch.setattr(queue, "disown", noted)
    async with SmtpServer() as server:
        server.script["DOT"] = hold
        flow = await open_flow(system, server)
        msgid = await flow.send("a@example.cn")
        async with running(system):
            assert await flow.until_settled(msgid) == {"sent": 1}
            other = await flow.send("b@example.cn")  # is claimed after that audit
            assert await flow.until_settled(other) == {"sent": 1}
    assert given_up == []


async def test_a_message_that_cannot_be_loaded_at_once_is_not_lost(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "AUDIT_SECONDS", 0.1)
    of, failures = MessageCache.of, [Unavailable("unavailable"), RuntimeError("a defect")]

    async def moody(self: MessageCache, *given: object) -> object:
        if failures:
            raise failures.pop()
        return await of(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(MessageCache, "of", moody)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            assert await flow.until_settled(await flow.send("a@example.cn")) == {"sent": 1}
    assert failures == []
    assert len(server.mails) == 1


async def test_an_intent_whose_answer_was_lost_is_taken_back(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written, nobody knows, and the dot was not sent: so the mail goes out later, even a
    broadcast's, and is in no doubt."""
    failures = [Unavailable("unavailable")]
    intend = Journal.intend

    async def moody(self: Journal, claimed: queue.Claimed) -> bool:
        answer = await intend(self, claimed)
        if failures:
            raise failures.pop()
        return answer

    monkeypatch.setattr(Journal, "intend", moody)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            assert await flow.until_settled(await flow.broadcast(3)) == {"sent": 3}
    assert failures == []
    assert len(server.mails) == 3


async def test_a_verdict_whose_answer_was_lost_is_stored_once(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [Unavailable("unavailable")] * 2
    submit = GroupCommit.submit

    async def moody(self: GroupCommit[object, bool], item: object) -> bool:
        answer = await submit(self, item)
        if isinstance(item, queue.Result) and failures:
            raise failures.pop()
        return answer

    monkeypatch.setattr(GroupCommit, "submit", moody)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            await until(lambda: _none_left(failures))
            assert await flow.until_settled(msgid) == {"sent": 1}
    assert len(await flow.attempts(msgid)) == 1


async def _none_left(failures: list[Unavailable]) -> bool:
    return not failures


async def test_a_defect_in_one_session_loses_nothing(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks, the delivery is tried again or held, and the engine goes on."""
    monkeypatch.setattr(dispatcher, "AUDIT_SECONDS", 0.1)
    record, broken = Journal.record, []

    async def moody(self: Journal, result: queue.Result) -> bool:
        if len(broken) < 2:
            broken.append(result.id)
            raise RuntimeError("a defect")
        return await record(self, result)

    monkeypatch.setattr(Journal, "record", moody)
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.broadcast(20)
            assert await flow.until_settled(msgid) == {"sent": 18, "unknown": 2}
    assert len(server.mails) == 20  # no second copy of what was at the dot


async def test_what_is_over_expires(system: AppContext) -> None:
    """Waiting deliveries by the tidying loop, those that are claimed when their turn comes."""
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        over = await flow.broadcast(3)
        await _end(system, over)
        fresh = await flow.send("a@example.cn")
        async with running(system):
            assert await flow.until_settled(over) == {"expired": 3}
            assert await flow.until_settled(fresh) == {"sent": 1}
    assert {row.reason for row in await flow.deliveries(over)} == {"expired"}
    assert [mail.rcpt_to for mail in server.mails] == ["a@example.cn"]


async def _end(system: AppContext, msgid: str) -> None:
    async with system.database.write() as tx:
        now = clock.now()
        await tx.run(messages.update().where(messages.c.msgid == msgid).values(expires_at=now))


async def test_an_engine_leaves_no_trace_of_itself(system: AppContext) -> None:
    async with running(system):
        async with system.database.read() as tx:
            assert await tx.value(text("SELECT count(*) FROM workers")) == 1
    async with system.database.read() as tx:
        assert await tx.value(text("SELECT count(*) FROM workers")) == 0
