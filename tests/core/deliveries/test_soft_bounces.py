"""Mailboxes that are full again and again are not written to for a while."""

import pytest

from support.fakes import Call, SmtpServer
from support.flow import Flow, open_flow, until
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import soft_bounces, suppressions
from ums.core.tables import full_mailboxes as table
from ums.engine import worker
from ums.engine.worker import running

FULL = b"552 5.2.2 Mailbox full\r\n"


class Shifted:
    """The clock, so much later."""

    def __init__(self) -> None:
        self.by = 0
        self._real = clock.now

    def __call__(self) -> int:
        return self._real() + self.by


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Shifted:
    time = Shifted()
    monkeypatch.setattr(clock, "now", time)
    monkeypatch.setattr(worker, "JUDGE_POLL", 0.05)
    monkeypatch.setattr("ums.core.deliveries.retry_policy.retry_delay", lambda n, schedule: None)
    return time


def full(call: Call) -> bytes | None:
    return FULL if "full" in call.line else None


async def count(flow: Flow) -> int:
    async with flow.system.database.read() as tx:
        row = await tx.first(table.select())
    return 0 if row is None else int(row.count)


async def end(flow: Flow) -> tuple[str, str]:
    msgid = await flow.send("full@x.cn")
    await flow.until_settled(msgid)
    row = await flow.delivery(msgid)
    return row.state, row.reason


async def test_five_times_in_a_week_or_more(system: AppContext, time: Shifted) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = full
        flow = await open_flow(system, server)
        async with running(system):
            for _ in range(6):  # on one day that is no proof
                assert await end(flow) == ("failed", "mailbox_full")
            assert await count(flow) == 6
            time.by += 7 * clock.DAY
            assert await end(flow) == ("failed", "mailbox_full")
            assert await end(flow) == ("suppressed", "suppressed")
            (one,) = (await suppressions.list_suppressions(system, await flow.channel())).items
            assert (one.address, one.reason) == ("full@x.cn", "mailbox_full")
            assert one.expires_at is not None
            assert clock.read(one.expires_at) > clock.now() + 29 * clock.DAY
            time.by += 31 * clock.DAY  # one trial, and it is full again
            assert await end(flow) == ("failed", "mailbox_full")
            assert await end(flow) == ("suppressed", "suppressed")


async def test_a_mail_that_is_taken_counts_them_anew(system: AppContext, time: Shifted) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = full
        flow = await open_flow(system, server)
        async with running(system):
            for _ in range(5):
                await end(flow)
            time.by += 8 * clock.DAY
            del server.script["RCPT"]
            assert await end(flow) == ("sent", "")

            async def empty() -> bool:
                return await count(flow) == 0

            await until(empty)
            server.script["RCPT"] = full
            assert await end(flow) == ("failed", "mailbox_full")
            assert await end(flow) == ("failed", "mailbox_full")
            assert await count(flow) == 2


async def test_a_message_counts_once_however_often_it_is_sent(
    system: AppContext, time: Shifted
) -> None:
    async with SmtpServer() as server:
        server.script["RCPT"] = full
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send("full@x.cn", "full@y.cn")
            await flow.until_settled(msgid)
        ids = [row.id for row in await flow.deliveries(msgid)]
        async with system.database.write() as tx:
            assert await soft_bounces.count(tx, ids) == set()
        assert await count(flow) == 1
        time.by += soft_bounces.KEPT + 1
        async with system.database.write() as tx:
            await soft_bounces.forget(tx)
        assert await count(flow) == 0
