"""Approval: an API message waits until an operator lets it go, or never goes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from support.flow import Flow, accept_body, open_flow
from support.ruling import rule
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.deliveries.expansion import expand
from ums.core.identity import operators
from ums.core.messages import approval
from ums.core.senders import senders
from ums.core.tables import audit, messages
from ums.errors import Invalid, NotFound, Refused

TO = {"aud_email": [{"data": ["a@x.cn"]}]}
MINE = {**TO, "option": {"owner": "zhao"}}


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    flow = await open_flow(system, 25)
    await operators.create(system, "zhao", "correct horse battery")
    await rule(system, "1234", approval=True)
    return flow


async def expanded(flow: Flow, msgid: str) -> list[tuple[str, str]]:
    while await expand(flow.system.database):
        pass
    return [(row.state, row.reason) for row in await flow.deliveries(msgid)]


async def message(flow: Flow, msgid: str) -> Any:
    async with flow.system.database.read() as tx:
        return await tx.first(select(messages).where(messages.c.msgid == msgid))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({}, "owner_missing"),
        ({"owner": ""}, "owner_missing"),
        ({"owner": None}, "owner_missing"),
        ({"owner": "nobody"}, "owner_unknown"),
        ({"owner": "ZHAO"}, "owner_unknown"),
        ({"owner": "zhao' OR '1'='1"}, "owner_unknown"),
    ],
)
async def test_a_submitter_must_be_an_operator(
    flow: Flow, option: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        await flow.accept(**TO, option=option)
    assert (refused.value.code, refused.value.reason) == (1015023, reason)


async def test_a_message_waits_and_goes_when_it_is_approved(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    msgid = await flow.accept(**MINE)
    assert await expanded(flow, msgid) == []
    later = clock.now() + 30 * clock.HOUR
    monkeypatch.setattr(clock, "now", lambda: later)
    await approval.approve(flow.system, msgid, "admin")
    assert await expanded(flow, msgid) == [("queued", "")]
    row = await message(flow, msgid)
    # The time it waited does not count: its lifetime begins with the approval.
    assert (row.halt, row.halted_at, row.expires_at) == ("", None, later + 24 * clock.HOUR)
    assert await noted(flow) == [("admin", "message.approve", msgid, "")]


async def noted(flow: Flow) -> list[tuple[str, ...]]:
    columns = (audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail)
    query = (
        select(*columns)
        .where(audit.c.action.startswith("message."), audit.c.action != "message.send")
        .order_by(audit.c.id)
    )
    async with flow.system.database.read() as tx:
        return [tuple(row) for row in await tx.rows(query)]


async def test_a_message_that_is_refused_never_goes(flow: Flow) -> None:
    msgid = await flow.accept(**MINE)
    await approval.refuse(flow.system, msgid, "admin", "价格不对")
    assert await expanded(flow, msgid) == [("cancelled", "not_approved")]
    row = await message(flow, msgid)
    assert row.halt == "refused"
    assert row.halted_at is not None
    assert await noted(flow) == [("admin", "message.refuse", msgid, "价格不对")]


async def test_a_large_audience_waits_as_well(flow: Flow) -> None:
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(30)})
    one, two = [await flow.accept(broadcast=True, option={"owner": "zhao"}) for _ in range(2)]
    assert await expanded(flow, one) == []
    await approval.approve(flow.system, one, "admin")
    await approval.refuse(flow.system, two, "admin")
    assert await expanded(flow, one) == [("queued", "")] * 30
    assert await expanded(flow, two) == [("cancelled", "not_approved")] * 30


async def test_only_what_waits_is_settled_and_only_once(flow: Flow) -> None:
    msgid = await flow.accept(**MINE)
    works = [
        approval.approve(flow.system, msgid, "a"),
        approval.refuse(flow.system, msgid, "b"),
        approval.approve(flow.system, msgid, "c"),
        approval.refuse(flow.system, msgid, "d"),
    ]
    results = await asyncio.gather(*works, return_exceptions=True)
    assert sorted(str(type(result)) for result in results).count(str(type(None))) == 1
    assert all(isinstance(r, Invalid) and r.reason == "not_waiting" for r in results if r)
    assert len(await noted(flow)) == 1
    for unknown in ("v:1t:1p:1n:1", "x\0", ""):
        with pytest.raises(NotFound):
            await approval.approve(flow.system, unknown, "admin")
    with pytest.raises(Invalid):
        await approval.refuse(flow.system, msgid, "admin", "x" * 501)


async def test_a_channel_sees_its_own(flow: Flow) -> None:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    await rule(flow.system, "5678", approval=True)
    other = Flow(flow.system, "5678")
    mine = [await flow.accept(**MINE) for _ in range(3)]
    theirs = await other.accept(**MINE)
    for work in (approval.approve, approval.refuse):
        with pytest.raises(NotFound):
            await work(flow.system, theirs, "admin", channels=(await flow.channel()).id)
    first = await approval.list_waiting(flow.system, (await flow.channel()).id, limit=2)
    rest = await approval.list_waiting(
        flow.system, (await flow.channel()).id, limit=2, after=first.next
    )
    assert [waiting.msgid for waiting in [*first.items, *rest.items]] == mine
    assert rest.next is None
    everything = await approval.list_waiting(flow.system)
    assert [waiting.msgid for waiting in everything.items] == [*mine, theirs]
    shown = everything.items[-1]
    assert (shown.channelkey, shown.owner, shown.subject, shown.audience, shown.broadcast) == (
        "5678",
        "zhao",
        "Hello 你好",
        1,
        False,
    )


async def test_who_sends_at_the_machine_needs_no_leave(flow: Flow) -> None:
    raw = b'{"aud_email":[{"data":["a@x.cn"]}],"msg_email":[{"subject":"s","text":"t"}]}'
    channel = await flow.channel()
    accepted = await accept_body(flow.intake, channel, raw, broadcast=False, origin="cli")
    assert await expanded(flow, accepted.msgid) == [("queued", "")]
    with pytest.raises(Refused):
        await accept_body(flow.intake, channel, raw, broadcast=False, origin="api")


async def test_without_the_rule_an_owner_is_anyone(flow: Flow) -> None:
    await rule(flow.system, "1234")
    msgid = await flow.accept(**TO, option={"owner": "whoever"})
    assert await expanded(flow, msgid) == [("queued", "")]
    with pytest.raises(Invalid):
        await approval.approve(flow.system, msgid, "admin")


async def test_approved_in_quiet_hours_it_goes_when_they_are_over(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = {"start": "22:00", "end": "08:00", "action": "refuse"}
    await rule(flow.system, "1234", approval=True, quiet_hours=quiet)
    day = 20_000 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: day + 21 * clock.HOUR)
    msgid, urgent = (
        await flow.accept(**MINE),
        await flow.accept(**TO, option={"owner": "zhao", "priority": 1}),
    )
    monkeypatch.setattr(clock, "now", lambda: day + 23 * clock.HOUR)
    await approval.approve(flow.system, msgid, "admin")
    await approval.approve(flow.system, urgent, "admin")
    assert await expanded(flow, msgid) == []
    assert await expanded(flow, urgent) == [("queued", "")]
    morning = day + 32 * clock.HOUR
    monkeypatch.setattr(clock, "now", lambda: morning)
    assert await expanded(flow, msgid) == [("queued", "")]
    assert (await message(flow, msgid)).expires_at == morning + 24 * clock.HOUR
