"""Unknown outcomes that somebody found out about: exactly those, with the audit log and sums."""

import pytest
from sqlalchemy import select

from support.flow import Flow, open_flow
from support.queues import change, filled
from ums.core.context.app_context import AppContext
from ums.core.messages.resolve_unknown import resolve
from ums.core.tables import audit, deliveries
from ums.errors import NotFound

STATES = ("sent", "failed", "unknown", "unknown", "queued", "unknown")


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def doubtful(flow: Flow) -> str:
    msgid = await filled(flow, len(STATES))
    for row, state in zip(await flow.deliveries(msgid), STATES, strict=True):
        reason = "no_answer" if state == "unknown" else ""
        await change(flow, deliveries.c.id == row.id, state=state, reason=reason)
    return msgid


@pytest.mark.parametrize(
    ("arrived", "state", "reason"), [(True, "sent", ""), (False, "failed", "not_received")]
)
async def test_all_or_one_are_resolved_and_nothing_else(
    flow: Flow, arrived: bool, state: str, reason: str
) -> None:
    msgid = await doubtful(flow)
    ids = [row.id for row in await flow.deliveries(msgid)]
    one = await resolve(flow.system, None, msgid, arrived=arrived, only=[ids[2], ids[0], ids[4]])
    assert (one.resolved, one.unknown) == (1, 2)
    all_ = await resolve(flow.system, None, msgid, arrived=arrived, actor="li")
    assert (all_.resolved, all_.unknown, all_.audience) == (2, 0, len(STATES))
    rows = await flow.deliveries(msgid)
    told = [(row.state, row.reason) for row in rows]
    now = (state, reason)
    assert told == [("sent", ""), ("failed", ""), now, now, ("queued", ""), now]
    assert (await resolve(flow.system, None, msgid, arrived=arrived)).resolved == 0
    async with flow.system.database.read() as tx:
        noted = await tx.rows(select(audit).where(audit.c.action == "message.resolve"))
    assert [(row.subject, row.actor, row.before, row.after) for row in noted] == [
        (msgid, "local", '{"unknown":1}', f'{{"{state}":1}}'),
        (msgid, "li", '{"unknown":2}', f'{{"{state}":2}}'),
        (msgid, "local", "{}", "{}"),  # there was none any more
    ]


async def test_a_message_that_there_is_not(flow: Flow) -> None:
    with pytest.raises(NotFound):
        await resolve(flow.system, None, "nothing", arrived=True)
