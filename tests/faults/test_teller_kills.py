"""`kill -9` of a worker in the middle of telling: every record arrives, and a batch that comes
again has the id and the content it had (reliability.md F9, F15)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from faults.audit import drained
from faults.engines import Engine
from faults.ledger import Ledger
from support.fakes import SmtpServer
from support.flow import Flow, account, until, with_settings
from support.receiver import Receiver, receiving
from support.telling import add_hosted, rows
from ums.config import Settings
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.maintenance.startup import open_system
from ums.core.senders import senders
from ums.core.tables import callback_batches, callback_records, deliveries
from ums.db import open_database
from ums.engine.worker import running

ALLOWED = "127.0.0.1/32"
SIZE, BATCH = 120, 10
KILLS = 3
# phase: (answers before the last start, batches that come again)
PHASES = {
    "batched": (KILLS, 0),
    "told": (2 * KILLS, KILLS),
    "settled": (2 * KILLS, 0),
}


async def fill(system: AppContext, receiver: Receiver) -> None:
    """Records of SIZE mails that have gone out; none is told yet."""
    with_settings(
        system, callback_allow=ALLOWED, callback_batch_seconds=3600, callback_batch_size=1000
    )
    made = await channels.create(system, "Told", receiver.key)
    receiver.secret = str(made.mastersecret)
    flow = Flow(system, receiver.key)
    await add_hosted(system, await flow.channel(), receiver.url)
    async with SmtpServer() as smtp:
        await senders.create(system, account(smtp, receiver.key))
        async with running(system):
            msgid = await flow.send(*(f"a{n}@example.cn" for n in range(SIZE)))
            assert await flow.until_settled(msgid, 60) == {"sent": SIZE}
    assert len(await rows(system, callback_records)) == 2 * SIZE
    assert receiver.posts == []


async def until_done(settings: Settings) -> None:
    """Wait until every record is in a batch that is done."""
    database = open_database(settings.database_url, settings.data_dir)

    async def done() -> bool:
        async with database.read() as tx:
            states = {row.state for row in await tx.rows(callback_batches.select())}
            left = await tx.first(
                callback_records.select().where(callback_records.c.batch_id.is_(None))
            )
        return states == {"done"} and left is None

    try:
        await until(done, 60)
    finally:
        await database.close()


@pytest.mark.parametrize("phase", PHASES)
async def test_no_record_is_lost_and_ids_are_stable(settings: Settings, phase: str) -> None:
    own: dict[str, Any] = {"callback_allow": ALLOWED, "callback_batch_size": BATCH}
    async with receiving("1234", "") as receiver:
        async with open_system(settings) as system:
            await fill(system, receiver)
        with Engine(settings, **own, callback_batch_seconds=0.05) as engine:
            for _ in range(KILLS):
                engine.start(fail_point=f"{phase}:2")
                await asyncio.to_thread(engine.wait_killed)
            before = len(receiver.posts)
            engine.start()
            await until_done(settings)
            await asyncio.to_thread(engine.stop)
    told = Counter((record["type"], record["sender_id"]) for record in receiver.told)
    assert told == {(type, f"a{n}@example.cn"): 1 for type in (0, 2) for n in range(SIZE)}
    contents = {(asked.id, asked.body) for asked in receiver.posts}
    copies = Counter(asked.id for asked in receiver.posts)
    assert len(contents) == len(copies) == 2 * SIZE / BATCH
    again = sum(count - 1 for count in copies.values())
    assert (before, again) == PHASES[phase]


@pytest.mark.parametrize("phase", ["reply", "recorded"])
async def test_a_state_and_its_record_are_never_without_the_other(
    settings: Settings, phase: str
) -> None:
    """I6, with kills around the verdicts."""
    with (
        Ledger() as ledger,
        Engine(settings, callback_batch_seconds=3600, smtp_sessions=2) as engine,
    ):
        async with receiving("1234", "") as receiver, open_system(settings) as system:
            with_settings(system, callback_allow=ALLOWED)
            made = await channels.create(system, "Told", "1234")
            receiver.secret = str(made.mastersecret)
            flow = Flow(system, "1234")
            await add_hosted(system, await flow.channel(), receiver.url)
            await senders.create(system, account(ledger.port))
            await flow.send(*(f"a{n}@example.cn" for n in range(60)))
        for _ in range(KILLS):
            engine.start(fail_point=f"{phase}:5")
            await asyncio.to_thread(engine.wait_killed)
        engine.start()
        await drained(settings, 60)
        await asyncio.to_thread(engine.stop)
    async with open_system(settings) as system:
        made_rows = await rows(system, deliveries)
        told = Counter((row.delivery_id, row.type) for row in await rows(system, callback_records))
    sent = [row.id for row in made_rows if row.state == "sent"]
    assert len(sent) == len(made_rows) == 60
    assert told == {(id, type): 1 for id in sent for type in (0, 2)}
