"""A stopped message tells of each recipient: what was stopped, and what had gone out."""

import pytest
from sqlalchemy import select

from support.fakes import SmtpServer
from support.flow import until
from support.telling import expanded, told, told_flow
from ums.core.context.app_context import AppContext
from ums.core.messages import control
from ums.core.tables import pending_halts
from ums.core.tables.states import EventType
from ums.engine.worker import running


async def types(system: AppContext) -> list[int]:
    return sorted(type for _, type in await told(system))


async def test_what_was_stopped_is_told(system: AppContext) -> None:
    flow = await told_flow(system)
    msgid = await flow.send("a@example.cn", "b@example.cn")
    await expanded(system)
    await control.retract(system, None, msgid)
    async with running(system):

        async def all_told() -> bool:
            return await types(system) == [
                EventType.VALID,
                EventType.VALID,
                EventType.RETRACTED,
                EventType.RETRACTED,
            ]

        await until(all_told)
        assert await flow.counts(msgid) == {"cancelled": 2}


async def test_what_is_stopped_before_it_is_expanded_is_told(system: AppContext) -> None:
    flow = await told_flow(system)
    msgid = await flow.send("a@example.cn")
    await control.retract(system, None, msgid)
    async with running(system):
        await flow.until_settled(msgid)
        assert await types(system) == [EventType.RETRACTED]


@pytest.mark.parametrize(("stop", "late"), [("retract", True), ("cancel", False)])
async def test_what_had_gone_out_is_told_of_a_retraction(
    system: AppContext, stop: str, late: bool
) -> None:
    async with SmtpServer() as server:
        flow = await told_flow(system, port=server.port)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            assert await flow.until_settled(msgid) == {"sent": 1}
            await getattr(control, stop)(system, None, msgid)

            async def parked() -> bool:
                async with system.database.read() as tx:
                    return not await tx.rows(select(pending_halts))

            await until(parked)
            wanted = [
                EventType.VALID,
                EventType.SUBMITTED,
                *([EventType.RETRACTION_FAILED] if late else []),
            ]
            assert await types(system) == wanted


async def test_a_pause_tells_nothing(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await told_flow(system, port=server.port)
        msgid = await flow.send("a@example.cn")
        await expanded(system)
        await control.pause(system, None, msgid)
        async with running(system):

            async def parked() -> bool:
                return await flow.counts(msgid) == {"paused": 1}

            await until(parked)
            assert await types(system) == [EventType.VALID]
            await control.resume(system, None, msgid)
            await flow.until_settled(msgid)
        assert await types(system) == [EventType.VALID, EventType.SUBMITTED]
