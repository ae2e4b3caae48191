"""Whom a message would reach is whom it then reaches."""

from typing import Any

import pytest
from sqlalchemy import func, select

from support.flow import Flow, open_flow
from ums.core.channels import access_lists
from ums.core.channels.access_lists import Entry
from ums.core.context.app_context import AppContext
from ums.core.deliveries import suppressions
from ums.core.deliveries.expansion import expand
from ums.core.messages.audience_preview import Reach, reach
from ums.core.messages.compose import request_of
from ums.core.messages.new_message import Among, MessageRequest, Recipient
from ums.core.tables import deliveries, messages
from ums.core.tables.states import NEVER_VALID
from ums.core.templates import store
from ums.core.templates.cache import TemplateCache
from ums.core.templates.compile_process import Sources
from ums.core.users import segments, users
from ums.core.users.entry_parser import Rights


@pytest.fixture
async def flow(system: AppContext) -> Flow:
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


async def became(flow: Flow, content: MessageRequest) -> Reach:
    """What becomes of the message in truth."""
    channel = await flow.channel()
    accepted = await flow.intake.accept(channel, content, b"", origin="api")
    while await expand(flow.system.database):
        pass
    async with flow.system.database.read() as tx:
        id = await tx.value(select(messages.c.id).where(messages.c.msgid == accepted.msgid))
        columns = (deliveries.c.state, deliveries.c.reason)
        query = select(*columns, func.count()).where(deliveries.c.message_id == id)
        rows = await tx.rows(query.group_by(*columns))
    losses = {reason: count for state, reason, count in rows if state in NEVER_VALID}
    goes = sum(count for state, _, count in rows if state == "queued")
    return Reach(sum(row[2] for row in rows), goes, losses)


def content(**more: Any) -> MessageRequest:
    return MessageRequest(subject="s", text="t", **more)


async def test_it_is_what_the_expansion_makes(flow: Flow) -> None:
    channel = await flow.channel()
    grown = {"attribute": {"name": "age", "op": "ge", "value": 18}}
    segment = (await segments.create(flow.system, "grown", grown)).id
    whole = (await segments.create(flow.system, "whole")).id
    block = await access_lists.create(flow.system, channel, "block", "no")
    entries = [Entry("address", "all@x.cn"), Entry("userid", "young")]
    await access_lists.add(flow.system, channel, "block", block.id, entries)
    allow = await access_lists.create(flow.system, channel, "allow", "only")
    await access_lists.add(flow.system, channel, "allow", allow.id, entries)
    named = [Recipient(userid=one) for one in ("own", "none", "stranger", "twice", "own")]
    direct = [Recipient(address=one) for one in ("d@x.cn", "own@x.cn", "d@x.cn")]
    await suppressions.add(flow.system, channel, ["own@x.cn", "d@x.cn"])
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
        counted = await reach(flow.system, channel, asked)
        truth = await became(flow, given)
        assert counted == truth, given
        assert counted.audience == counted.goes + sum(counted.losses.values())


TEMPLATE = "{{ city }} {{ user.name }} {{ order.id }} {{ nick }} {{ given }} {{ deep.x }}"
PEOPLE: list[dict[str, Any]] = [
    {"city": "北京", "name": "A", "order": {"id": 1}},
    {"city": None, "name": "B", "order": {"id": 0}, "nick": "n"},
    {"name": "C", "order": {}, "city": ""},
    {"city": "x", "order": "no object", "deep": {"y": 1}},
    {"city": "x", "name": False, "order": {"id": {"more": 1}}},
    {},
]


async def test_it_counts_who_lacks_a_variable(flow: Flow) -> None:
    """As `Version.lacking` says it of each."""
    channel, system = await flow.channel(), flow.system
    entries = [
        {"userid": f"p{i}", "attributes": attributes, "email": {"all": f"p{i}@x.cn"}}
        for i, attributes in enumerate(PEOPLE)
    ]
    entries.append({"userid": "p9"})  # has no address: that is the loss which counts
    entries = [{**entry, "tag": {"all": ["people"]}} for entry in entries]
    assert not (await users.opt_with(system, Rights(await system.directory.now()), entries)).fail
    defaults = {"nick": "friend", "deep": {"x": 1}}
    made = await store.create(system, channel, "t", Sources("s", text=TEMPLATE), defaults)
    given = MessageRequest(
        template=made.id, audience=Among(tags=["people"]), variables={"given": "yes"}
    )
    asked = await request_of(system, channel, given)
    counted = await reach(system, channel, asked)
    version = await system.shared(TemplateCache).version(made.id, 1)
    assert version is not None
    truth = [version.lacking({"given": "yes"}, attributes) for attributes in PEOPLE]
    names = sorted({name for lack in truth for name in lack})
    assert names == ["city", "deep.x", "order", "order.id", "user.name"]
    lacking = sum(1 for lack in truth if lack)
    assert counted.losses == {"variable_missing": lacking, "no_address": 1}
    assert (counted.audience, counted.goes) == (len(entries), len(PEOPLE) - lacking)
    # A path is counted whole; the truth names the part of it that ends it.
    expected = {
        "city": sum("city" in lack for lack in truth),
        "name": sum("user.name" in lack for lack in truth),
        "order.id": sum("order" in lack or "order.id" in lack for lack in truth),
        "deep.x": sum("deep.x" in lack for lack in truth),
    }
    assert {lack.name: lack.users for lack in counted.lacks} == expected
    for lack in counted.lacks:
        assert lack.userid in {f"p{i}" for i in range(len(PEOPLE))}
