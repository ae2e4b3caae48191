"""A material lives as long as an unfinished message needs it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow, until
from ums import clock
from ums.core.content import materials
from ums.core.content.material_upload import CHUNK, store
from ums.core.content.materials import MaterialInfo
from ums.core.context.app_context import AppContext
from ums.core.deliveries.expansion import expand
from ums.core.messages import control
from ums.core.tables import files
from ums.core.tables import materials as table
from ums.engine.worker import running
from ums.errors import Invalid

DATA = b"0123456789" * (CHUNK // 5)


async def made(system: AppContext) -> MaterialInfo:
    async def pieces() -> AsyncIterator[bytes]:
        yield DATA

    return await store(system, pieces(), name="表.bin")


async def over(system: AppContext, id: int) -> None:
    async with system.database.write() as tx:
        await tx.run(update(table).where(table.c.id == id).values(expires_at=clock.now() - 1))


async def is_there(system: AppContext, id: int) -> bool:
    async with system.database.read() as tx:
        return await tx.first(select(table.c.id).where(table.c.id == id)) is not None


async def sent_with(flow: Flow, url: str) -> str:
    content = {"subject": "s", "text": "t", "files": [url]}
    return await flow.send("a@example.cn", "b@example.cn", msg_email=[content])


async def test_it_outlives_its_time_for_a_message(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        stored = await made(system)
        msgid = await sent_with(flow, stored.url)
        await over(system, stored.id)
        assert await materials.sweep(system) == 0  # the message is not even expanded
        await expand(system.database)
        assert await materials.sweep(system) == 0  # it waits
        assert (await materials.show(system, stored.id)).needed
        async with running(system):
            assert await flow.until_settled(msgid) == {"sent": 2}
        assert all(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz" in mail.data for mail in server.mails)
        await materials.sweep(system)  # unless the engine has done it
        assert not await is_there(system, stored.id)


async def test_a_paused_message_keeps_it(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        stored = await made(system)
        msgid = await sent_with(flow, stored.url)
        await expand(system.database)
        await control.pause(system, None, msgid)
        await over(system, stored.id)
        async with running(system):

            async def parked() -> bool:
                return await flow.counts(msgid) == {"paused": 2}

            await until(parked)
            await materials.sweep(system)
            assert (await materials.show(system, stored.id)).needed
            await control.resume(system, None, msgid)
            assert await flow.until_settled(msgid) == {"sent": 2}
    assert all(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz" in mail.data for mail in server.mails)


async def test_the_message_refers_to_it_and_copies_nothing(system: AppContext) -> None:
    flow = await open_flow(system, 9)
    stored = await made(system)
    for _ in range(3):
        await sent_with(flow, stored.url)
    async with system.database.read() as tx:
        rows = await tx.rows(select(files))
    assert [(row.material_id, row.data, row.name) for row in rows] == [
        (stored.id, None, "表.bin")
    ] * 3


async def test_deleting_one_that_is_needed(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        stored = await made(system)
        msgid = await sent_with(flow, stored.url)
        left = await materials.delete_material(system, stored.id)
        assert (left.expired, left.needed) == (True, True)
        with pytest.raises(Invalid, match="no such material"):
            await sent_with(flow, stored.url)
        async with running(system):
            assert await flow.until_settled(msgid) == {"sent": 2}
        await materials.sweep(system)
        assert not await is_there(system, stored.id)


async def test_one_that_went_between_the_look_and_the_commit(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await open_flow(system, 9)
    gone, kept = await made(system), await made(system)
    hold = materials.hold

    async def late(tx: object, ids: set[int]) -> set[int]:
        return await hold(tx, ids - {gone.id})  # type: ignore[arg-type]

    monkeypatch.setattr(materials, "hold", late)
    results = await asyncio.gather(
        *(sent_with(flow, one.url) for one in (gone, kept, gone)), return_exceptions=True
    )
    assert [isinstance(result, Invalid) for result in results] == [True, False, True]
    async with system.database.read() as tx:
        assert [row.material_id for row in await tx.rows(select(files))] == [kept.id]


async def test_messages_and_sweeping_at_the_same_time(system: AppContext) -> None:
    """However they interleave: a message that was accepted has its material."""
    flow = await open_flow(system, 9)
    stored = [await made(system) for _ in range(12)]

    async def swept(one: MaterialInfo) -> None:
        await materials.delete_material(system, one.id)

    both = [work for one in stored for work in (sent_with(flow, one.url), swept(one))]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert not [e for e in results if isinstance(e, BaseException) and not isinstance(e, Invalid)]
    accepted = [result for result in results[::2] if isinstance(result, str)]
    async with system.database.read() as tx:
        rows = await tx.rows(select(files))
    assert len(rows) == len(accepted)
    assert all([await is_there(system, row.material_id) for row in rows])


async def test_one_that_is_gone_fails_its_message_and_no_other(system: AppContext) -> None:
    async with SmtpServer() as server:
        flow = await open_flow(system, server)
        stored = await made(system)
        msgid = await sent_with(flow, stored.url)
        async with system.database.write() as tx:
            await tx.run(table.delete())
        other = await flow.send("c@example.cn")
        async with running(system):
            assert await flow.until_settled(msgid) == {"failed": 2}
            assert await flow.until_settled(other) == {"sent": 1}
        assert {row.reason for row in await flow.deliveries(msgid)} == {"content_unusable"}
