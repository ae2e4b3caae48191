"""When a message will be through, and what keeps it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow, until
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy, QuietHours
from ums.core.context.directory import touch
from ums.core.deliveries.expansion import expand
from ums.core.messages.compose import request_of
from ums.core.messages.new_message import Among, MessageRequest
from ums.core.reporting import reports
from ums.core.reporting.delivery_eta import Estimate, Forecast, estimate, forecast
from ums.core.tables import senders, workers
from ums.engine.worker import running


@pytest.fixture
async def flow(system: AppContext) -> AsyncIterator[Flow]:
    async with SmtpServer(delay=0.05) as server:
        yield await open_flow(system, server, "5678", code="main")


async def told(flow: Flow, msgid: str) -> Forecast | None:
    async with flow.system.database.read() as tx:
        info = await reports.message(tx, msgid)
        return await forecast(tx, await flow.system.directory.now(), info)


async def cause(flow: Flow, msgid: str) -> str:
    found = await told(flow, msgid)
    assert found is not None
    return found.bottleneck


async def change(flow: Flow, **values: object) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(update(senders).values(values))
        await touch(tx)
    flow.system.directory.forget()


async def test_it_names_what_a_message_waits_for(flow: Flow) -> None:
    msgid = await flow.broadcast(3)
    assert await cause(flow, msgid) == "engine"
    now = clock.now()
    async with flow.system.database.write() as tx:
        row = {"owner": "one", "started_at": now, "lease_until": now + clock.HOUR}
        await tx.run(insert(workers), row)
    assert await cause(flow, msgid) == "queue"
    quiet = QuietHours(start="00:00", end="23:59", action="delay")
    await channels.set_rules(flow.system, "5678", ChannelPolicy(quiet_hours=quiet, zone="UTC"))
    flow.system.directory.forget()
    assert await cause(flow, msgid) == "quiet_hours"
    await channels.set_rules(flow.system, "5678", ChannelPolicy())
    await change(flow, cooldown_until=now + clock.HOUR)
    found = await told(flow, msgid)
    assert found is not None
    assert (found.bottleneck, found.until) == ("sender_cooldown", clock.iso(now + clock.HOUR))
    await change(flow, cooldown_until=None, open=False)
    assert await cause(flow, msgid) == "sender_paused"


async def test_it_tells_when_a_message_will_be_through(flow: Flow) -> None:
    async with running(flow.system):
        msgid = await flow.broadcast(200)

        async def moving() -> Forecast | None:
            found = await told(flow, msgid)
            return found if found is None or found.finishes_at else None

        found = await until(moving)
        assert found is not None
        assert (found.bottleneck, found.rate > 0) == ("server", True)
        assert 0 < found.left <= 200
        assert clock.read(str(found.finishes_at)) > clock.now()
        await flow.until_settled(msgid)
        assert await told(flow, msgid) is None


async def test_it_estimates_a_message_before_it_is_sent(flow: Flow) -> None:
    channel, system = await flow.channel(), flow.system
    many = MessageRequest(subject="s", text="t", audience=Among(everyone=True))

    async def told_before(recipients: int = 300) -> Estimate:
        asked = await request_of(system, channel, many)
        async with system.database.read() as tx:
            return await estimate(tx, channel, "main", asked, recipients)

    nothing = await told_before()
    assert (nothing.waiting, nothing.rate, nothing.seconds) == (0, 0.0, None)
    assert nothing.bottleneck == "engine"
    async with running(system):
        await flow.until_settled(await flow.broadcast(60))
        known = await told_before()
    assert known.rate > 0
    assert known.seconds == pytest.approx(300 / known.rate * 60, abs=1)
    assert known.bottleneck == ""
    waits = await flow.send("a@x.cn", "b@x.cn")
    while await expand(system.database):
        pass
    assert len(await flow.deliveries(waits)) == (await told_before()).waiting == 2
    await change(flow, open=False)
    assert (await told_before()).bottleneck == "sender_paused"
