"""Whom a message would reach is whom it then reaches."""

from typing import Any

import pytest
from sqlalchemy import func, select

from flow import Flow, open_flow
from ums.core import lists, segments, users
from ums.core.composing import request_of
from ums.core.expansion import expand
from ums.core.lists import Entry
from ums.core.models import deliveries, messages
from ums.core.outgoing import Among, Outgoing, Recipient
from ums.core.reach import Reach, reach
from ums.core.system import System
from ums.core.user_entries import Rights


@pytest.fixture
async def flow(system: System) -> Flow:
    flow = await open_flow(system, 25)
    people: list[dict[str, Any]] = [
        {
            "userid": "own",
            "email": {flow.key: "own@x.cn", "all": "all@x.cn"},
            "tag": {"all": ["a"]},
        },
        {"userid": "shared", "email": {"all": "all@x.cn"}, "tag": {flow.key: ["b"]}},
        {"userid": "twice", "email": {"all": "own@x.cn"}, "tag": {"all": ["a", "b"]}},
        {"userid": "none", "tag": {"all": ["a"]}},
        {"userid": "old", "email": {"all": "old@x.cn"}, "attributes": {"age": 40}},
        {"userid": "young", "email": {"all": "young@x.cn"}, "attributes": {"age": 4}},
    ]
    snapshot = await system.directory.now()
    report = await users.opt_with(system, Rights(snapshot), people)
    assert not report.fail
    return flow


async def became(flow: Flow, content: Outgoing) -> Reach:
    """What becomes of the message in truth."""
    channel = await flow.channel()
    accepted = await flow.intake.send(channel, content)
    while await expand(flow.system.database):
        pass
    async with flow.system.database.read() as tx:
        id = await tx.value(select(messages.c.id).where(messages.c.msgid == accepted.msgid))
        columns = (deliveries.c.state, deliveries.c.reason)
        query = select(*columns, func.count()).where(deliveries.c.message_id == id)
        rows = await tx.rows(query.group_by(*columns))
    losses = {reason: count for state, reason, count in rows if state == "invalid"}
    goes = sum(count for state, _, count in rows if state == "queued")
    return Reach(sum(row[2] for row in rows), goes, losses)


def content(**more: Any) -> Outgoing:
    return Outgoing(subject="s", text="t", **more)


async def test_it_is_what_the_expansion_makes(flow: Flow) -> None:
    channel = await flow.channel()
    grown = {"attribute": {"name": "age", "op": "ge", "value": 18}}
    segment = (await segments.create(flow.system, "grown", grown)).id
    whole = (await segments.create(flow.system, "whole")).id
    block = await lists.create(flow.system, channel, "block", "no")
    entries = [Entry("address", "all@x.cn"), Entry("userid", "young")]
    await lists.add(flow.system, channel, "block", block.id, entries)
    allow = await lists.create(flow.system, channel, "allow", "only")
    await lists.add(flow.system, channel, "allow", allow.id, entries)
    named = [Recipient(userid=one) for one in ("own", "none", "stranger", "twice", "own")]
    direct = [Recipient(address=one) for one in ("d@x.cn", "own@x.cn", "d@x.cn")]
    for given in (
        content(audience=Among(everyone=True)),
        content(audience=Among(tags=["a"])),
        content(audience=Among(tags=["a", "b", "nobodys"])),
        content(audience=Among(segment=segment)),
        content(audience=Among(segment=whole)),
        content(audience=Among(segment=segment, tags=["b"])),
        content(recipients=named),
        content(recipients=direct),
        content(recipients=[*direct, *named]),
        content(audience=Among(everyone=True), block_list=block.id),
        content(audience=Among(everyone=True), allow_list=allow.id),
        content(recipients=[*direct, *named], block_list=block.id),
    ):
        asked = await request_of(flow.system, channel, given)
        counted = await reach(
            flow.system,
            channel,
            asked.audience,
            block_list=given.block_list,
            allow_list=given.allow_list,
        )
        truth = await became(flow, given)
        assert counted == truth, given
        assert counted.audience == counted.goes + sum(counted.losses.values())
