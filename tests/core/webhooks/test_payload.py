"""A batch as the receiver reads it (ums-spec 5.3)."""

import json
from typing import Any

from sqlalchemy import insert, update

from support.telling import attempt, claimed, expanded, result, rows, told_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import queue
from ums.core.tables import callback_batches, callback_records, deliveries
from ums.core.webhooks import outbox, payload


async def batched(system: AppContext, size: int) -> None:
    """Put all records into one batch, 1."""
    now = clock.now()
    batch = {"address_id": 1, "webhook_id": "x", "state": "done", "size": size, "due_at": 0}
    batch |= {"first_at": now, "last_at": now, "created_at": now}
    async with system.database.write() as tx:
        await tx.run(insert(callback_batches), batch)
        await tx.run(update(callback_records).values(batch_id=1, at=1_700_000_000_999))


async def test_the_payload_of_ums_spec_5_3(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.add_users({"u1": "u1@example.cn"})
    direct = await flow.send("a@example.cn", callback={"params": {"order": 17, "到": ["中"]}})
    user = await flow.accept(aud_userid=["u1", "nobody"])
    await expanded(system)
    ids = {row.address: row.id for row in await rows(system, deliveries)}
    async with system.database.write() as tx:
        events = [(ids["a@example.cn"], 2), (ids["u1@example.cn"], 7), (ids["u1@example.cn"], 8)]
        await outbox.note(tx, events)
    await batched(system, 6)
    async with system.database.read() as tx:
        found = await payload.records_of(tx, 1)
    built = payload.encode(found)
    direct_fields = {"channelkey": "1234", "msgid": direct, "userid": "", "sender": 4}
    direct_fields |= {"sender_id": "a@example.cn", "sent_time": 1_700_000_000}
    direct_fields |= {"params": {"order": 17, "到": ["中"]}}
    user_fields = {"channelkey": "1234", "msgid": user, "userid": "u1", "sender": 4}
    user_fields |= {"sender_id": "", "sent_time": 1_700_000_000, "params": {}}
    nobody = {**user_fields, "userid": "nobody", "sender": 0}
    assert json.loads(built) == [
        {"type": 0, **direct_fields},
        {"type": 0, **user_fields},
        {"type": 1, **nobody, "error": {"code": 4004, "message": "no_user"}},
        {"type": 2, **direct_fields},
        {"type": 7, **user_fields},
        {
            "type": 8,
            **user_fields,
            "sender_id": "u1@example.cn",
            "error": {"code": 4004, "message": "already handed over"},
        },
    ]


async def test_an_error_is_short_and_of_one_line(system: AppContext) -> None:
    flow = await told_flow(system)
    await flow.send("a@example.cn")
    await expanded(system)
    [row] = await claimed(system)
    hostile = "no\r\n\x1b[31m<script>" + "長" * 900
    async with system.database.write() as tx:
        await queue.record(tx, "me", [result(row, "failed", 8, attempt(550, hostile))])
    await batched(system, 2)
    async with system.database.read() as tx:
        found = await payload.records_of(tx, 1)
    error: Any = found[-1].error
    assert error.code == 550
    assert error.message.startswith("why: 5.1.1 no [31m<script>長")
    assert len(error.message) == 200
    assert error.message.isprintable()
