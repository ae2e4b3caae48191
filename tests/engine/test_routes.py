"""Channels with several senders: the mail is shared, and another takes over from one that fails."""

from collections import Counter
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import update

from support.fakes import DROP, Call, SmtpServer
from support.flow import Flow, account, open_flow, until
from ums import clock
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.core.reporting import reports
from ums.core.reporting.delivery_eta import forecast
from ums.core.senders import cooldown, routing, senders
from ums.core.tables import deliveries
from ums.core.tables import senders as sender_table
from ums.engine.worker import running
from ums.mail.send_limits import SendLimit

HOUR = 3600


async def add(flow: Flow, server: SmtpServer, code: str, rank: int, weight: int = 1) -> None:
    """A further sender of the channel's."""
    given = account(server, flow.key, code=code, name=code, from_address=f"{code}@sender.example")
    await senders.create(flow.system, given)
    await routing.set_leg(flow.system, flow.key, code, rank=rank, weight=weight)
    flow.system.directory.forget()


def addresses(count: int, name: str = "n") -> list[str]:
    return [f"{name}{i}@example.cn" for i in range(count)]


async def carriers(flow: Flow, msgid: str) -> Counter[str]:
    """How many deliveries are whose, by the sender's code."""
    now = await flow.system.directory.now()
    rows = await flow.deliveries(msgid)
    return Counter(now.senders[row.sender_id].code for row in rows)


async def test_mail_is_shared_by_weight(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two, SmtpServer() as three:
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=1, weight=3)
        await add(flow, three, "three", rank=2)
        async with running(system):
            many = await flow.send(*addresses(40))
            assert await flow.until_settled(many) == {"sent": 40}
            assert await carriers(flow, many) == {"main": 10, "two": 30}
            single = [await flow.send(f"s{n}@example.cn") for n in range(8)]
            for msgid in single:
                await flow.until_settled(msgid)
        assert (len(one.mails), len(two.mails), len(three.mails)) == (12, 36, 0)
        # Each goes out with the address of the account that carries it.
        assert {mail.mail_from for mail in one.mails} == {"news@sender.example"}
        assert {mail.mail_from for mail in two.mails} == {"two@sender.example"}
        assert b"From: News <two@sender.example>" in two.mails[0].data


async def test_everyone_is_shared_too(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two:
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=1)
        async with running(system):
            msgid = await flow.broadcast(30)
            assert await flow.until_settled(msgid) == {"sent": 30}
        assert (len(one.mails), len(two.mails)) == (15, 15)


async def test_what_names_its_sender_goes_by_no_other(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two:
        one.script["MAIL"] = lambda call: b"421 4.3.2 not now\r\n"
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=1)
        async with running(system):
            target = {"data": addresses(6), "instance": "main"}
            named = await flow.accept(aud_email=[target])
            free = await flow.send(*addresses(6, "free"))
            assert await flow.until_settled(free) == {"sent": 6}
            assert await carriers(flow, named) == {"main": 6}
            assert "sent" not in await flow.counts(named)
            one.script.clear()
            assert await flow.until_settled(named) == {"sent": 6}


async def test_another_takes_over_from_a_sender_that_rests(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooldown, "CREDENTIALS", (clock.HOUR,))
    async with SmtpServer(users={"news": "right"}) as one, SmtpServer() as two:
        flow = await open_flow(system, one, account="news", password="wrong")
        await add(flow, two, "two", rank=2)
        async with running(system):
            msgid = await flow.send(*addresses(25))
            assert await flow.until_settled(msgid) == {"sent": 25}
            # It says all the same why it cannot send.
            row = await flow.sender("main")
            assert (row.cooldown_reason, row.failures > 0) == ("credentials", True)
            assert await carriers(flow, msgid) == {"two": 25}
            tried = [each for each in await flow.attempts(msgid) if each.verdict != "sent"]
            assert {each.stage for each in tried} <= {"auth"}
            # What comes while it rests is not given to it at all.
            later = await flow.send(*addresses(5, "later"))
            assert await flow.until_settled(later) == {"sent": 5}
            assert {row.tries for row in await flow.deliveries(later)} == {1}
        assert len(two.mails) == 30


async def test_a_spent_sender_spills_over_and_the_next_one_too(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two, SmtpServer() as three:
        flow = await open_flow(system, one, caps=[SendLimit(10, HOUR)], urgent_reserve_percent=0)
        await add(flow, two, "two", rank=2)
        await add(flow, three, "three", rank=3)
        for code, server in (("two", two), ("three", three)):
            given = account(server, flow.key, code=code, name=code, urgent_reserve_percent=0)
            given = type(given)(**{**_fields(given), "caps": [SendLimit(7, HOUR)]})
            await senders.change(system, given)
        system.directory.forget()
        async with running(system):
            msgid = await flow.send(*addresses(60))

            async def spent() -> bool:
                counts = await flow.counts(msgid)
                held = (await flow.sender()).cap_reached_until is not None
                return held and counts == {"sent": 24, "queued": 36}

            await until(spent)
            assert (len(one.mails), len(two.mails), len(three.mails)) == (10, 7, 7)
            async with system.database.read() as tx:
                info = await reports.message(tx, msgid)
                told = await forecast(tx, await system.directory.now(), info)
            assert told is not None
            assert told.bottleneck == "quota"
            given = account(three, flow.key, code="three", name="three")
            await senders.change(system, type(given)(**{**_fields(given), "caps": []}))
            assert await flow.until_settled(msgid) == {"sent": 60}
            assert len(three.mails) == 43


def _fields(given: senders.NewSender) -> dict[str, object]:
    return {name: getattr(given, name) for name in given.__struct_fields__}


async def test_urgent_mail_stays_where_some_is_kept_for_it(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two:
        flow = await open_flow(system, one, caps=[SendLimit(10, HOUR)], urgent_reserve_percent=50)
        await add(flow, two, "two", rank=2)
        async with running(system):
            msgid = await flow.send(*addresses(20))
            assert await flow.until_settled(msgid) == {"sent": 20}
            assert len(one.mails) == 5


async def test_what_may_have_been_taken_stays_with_its_sender(system: AppContext) -> None:
    """Invariant I7: no other sender gets what is unknown, or in doubt."""
    async with SmtpServer() as one, SmtpServer() as two:
        one.script["DOT"] = lambda call: DROP
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=2)
        async with running(system):
            held = await flow.accept(
                broadcast=False, aud_email=[{"data": addresses(3)}], option={"priority": 2}
            )

            async def in_doubt() -> bool:
                rows = await flow.deliveries(held)
                return len(rows) == 3 and all(row.unknown_count for row in rows)

            await until(in_doubt)
            async with system.database.write() as tx:
                await tx.run(update(deliveries).values(state="deferred", due_at=0))
                rest = {"cooldown_until": clock.now() + clock.HOUR, "failures": 1}
                await tx.run(update(sender_table).where(sender_table.c.code == "main").values(rest))
            other = await flow.send(*addresses(3, "other"))
            assert await flow.until_settled(other) == {"sent": 3}
            assert await carriers(flow, held) == {"main": 3}
        assert {mail.rcpt_to for mail in two.mails} == set(addresses(3, "other"))


async def test_greylisted_mail_sees_the_same_sender_again(system: AppContext) -> None:
    greeted: set[str] = set()

    def grey(call: Call) -> bytes | None:
        if call.line in greeted:
            return None
        greeted.add(call.line)
        return b"450 4.7.1 greylisted\r\n"

    async with SmtpServer() as one, SmtpServer() as two:
        one.script["RCPT"] = grey
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=2)
        async with running(system):
            msgid = await flow.send(*addresses(5))
            assert await flow.until_settled(msgid) == {"sent": 5}
        assert (len(one.mails), len(two.mails)) == (5, 0)


async def test_a_paused_sender_keeps_what_it_has(system: AppContext) -> None:
    async with SmtpServer() as one, SmtpServer() as two:
        flow = await open_flow(system, one)
        await add(flow, two, "two", rank=1)
        msgid = await flow.send(*addresses(10))
        async with running(system):
            await senders.set_open(system, "main", open=False)
            system.directory.forget()
            late = await flow.send(*addresses(10, "late"))
            assert await flow.until_settled(late) == {"sent": 10}
            assert await carriers(flow, late) == {"two": 10}
            await senders.set_open(system, "main", open=True)
            assert await flow.until_settled(msgid) == {"sent": 10}


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_workers_that_move_at_once_send_each_mail_once(settings: Settings) -> None:
    async with SmtpServer() as one, SmtpServer() as two, AsyncExitStack() as stack:
        refusals = 0

        def moody(call: Call) -> bytes | None:
            nonlocal refusals
            refusals += 1
            return b"421 4.3.2 not now\r\n" if refusals % 9 == 0 else None

        one.script["MAIL"] = moody
        systems = [await stack.enter_async_context(open_system(settings)) for _ in range(3)]
        flow = await open_flow(systems[0], one)
        await add(flow, two, "two", rank=2)
        for system in systems:
            await stack.enter_async_context(running(system))
        msgid = await flow.send(*addresses(600))
        assert await flow.until_settled(msgid) == {"sent": 600}
        copies = Counter(mail.rcpt_to for server in (one, two) for mail in server.mails)
        assert (len(copies), set(copies.values())) == (600, {1})
        assert len(two.mails) > 0
