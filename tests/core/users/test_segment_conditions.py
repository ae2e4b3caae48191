"""Conditions: what can be read, and that SQL selects the very users that plain Python does."""

from typing import Any

import pytest
from sqlalchemy import insert

from support.flow import Flow, open_flow
from support.selecting import KEYS, LEAVES, NOW, TREES, User, generated, holds, users
from ums import clock
from ums.core.channels import channels
from ums.core.context.app_context import AppContext
from ums.core.senders import senders
from ums.core.tables import addresses, deliveries, messages, tags
from ums.core.tables import users as user_table
from ums.core.users import segment_conditions, segments
from ums.core.users.segment_conditions import read
from ums.errors import Invalid


@pytest.fixture
async def flow(system: AppContext, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    flow = await open_flow(system, 25)
    await channels.create(system, "Other", "5678")
    await senders.authorise(system, "main", "5678")
    return flow


async def stored(flow: Flow, people: list[User]) -> None:
    async with flow.system.database.write() as tx:
        for number, user in enumerate(people, 1):
            user.userid = f"u{number}"
            row = {"id": number, "userid": user.userid, "attributes": user.attributes}
            await tx.run(insert(user_table), {**row, "created_at": 1, "updated_at": 1})
            for bind_id, tag in user.tags:
                await tx.run(insert(tags), {"user_id": number, "bind_id": bind_id, "tag": tag})
            for kind, bind_id in user.addresses:
                slot = {"user_id": number, "kind": kind, "bind_id": bind_id, "value": "x"}
                await tx.run(insert(addresses), slot)
        await _deliveries(tx, people)


async def _deliveries(tx: Any, people: list[User]) -> None:
    empty = {"audience": "{}", "content": "{}", "options": "{}", "priority": 2, "cursor": 0}
    empty |= {"on_unknown": "hold", "state": "expanded", "audience_size": 0, "accepted_at": 1}
    waiting = {"sender_id": 1, "reason": "", "priority": 2, "due_at": 0, "epoch": 0}
    waiting |= {"counted_tries": 0, "tries": 0, "unknown_count": 0}
    number = 0
    for user in people:
        for key, state, created, updated in user.deliveries:
            number += 1
            channel = 1 + KEYS.index(key)
            message = {"id": number, "msgid": str(number), "channel_id": channel, "sender_id": 1}
            await tx.run(insert(messages), {**empty, **message, "expires_at": NOW})
            row = {"message_id": number, "userid": user.userid, "address": f"{number}@x.cn"}
            times = {"state": state, "created_at": created, "updated_at": updated}
            await tx.run(insert(deliveries), {**waiting, **row, **times})


async def test_sql_selects_whom_plain_python_selects(flow: Flow) -> None:
    people: list[User] = generated(users(), 60)
    await stored(flow, people)
    trees = [*generated(LEAVES, 250), *generated(TREES, 150), {}]
    some_hold = 0
    for tree in trees:
        expected = [user.userid for user in people if holds(tree, user)]
        page = await segments.sample(flow.system, tree, limit=500)
        assert [user.userid for user in page.items] == expected, tree
        some_hold += 0 < len(expected) < len(people)
    assert some_hold > len(trees) / 3  # most trees tell some users from others
    some_tree = trees[-2]
    expected = [user for user in people if holds(some_tree, user)]
    assert await segments.count(flow.system, some_tree) == len(expected)


async def test_pages_of_a_sample(flow: Flow) -> None:
    await flow.add_users({f"u{i}": f"u{i}@x.cn" for i in range(7)})
    tree = {"address": {"kind": "email"}}
    found: list[str] = []
    after = None
    while True:
        page = await segments.sample(flow.system, tree, after=after, limit=3)
        found += [user.userid for user in page.items]
        after = page.next
        if after is None:
            break
    assert found == [f"u{i}" for i in range(7)]
    for bad in ("x", "-1", "1; DROP TABLE users"):
        with pytest.raises(Invalid):
            await segments.sample(flow.system, tree, after=bad)


# -- what cannot be read ----------------------------------------------------------------------


def nested(depth: int) -> Any:
    tree: Any = {"address": {"kind": "email"}}
    for _ in range(depth):
        tree = {"not": tree}
    return tree


BAD: list[tuple[str, Any]] = [
    ("conditions", None),
    ("conditions", []),
    ("conditions", "everyone"),
    ("conditions", {"xor": []}),
    ("conditions", {"and": [], "or": []}),
    ("conditions.and", {"and": []}),
    ("conditions.and", {"and": {}}),
    ("conditions.and[1]", {"and": [{"tag": {"any": ["a"]}}, {}]}),
    ("conditions.not", {"not": {}}),
    ("conditions.tag", {"tag": {}}),
    ("conditions.tag", {"tag": {"any": ["a"], "all": ["b"]}}),
    ("conditions.tag", {"tag": {"any": ["a"], "x": 1}}),
    ("conditions.tag.any", {"tag": {"any": []}}),
    ("conditions.tag.any[0]", {"tag": {"any": ["a b"]}}),
    ("conditions.tag.any[0]", {"tag": {"any": [1]}}),
    ("conditions.tag.bind_id", {"tag": {"any": ["a"], "bind_id": 1}}),
    ("conditions.attribute.name", {"attribute": {"op": "exists"}}),
    ("conditions.attribute.name", {"attribute": {"name": 'a"b', "op": "exists"}}),
    ("conditions.attribute.name", {"attribute": {"name": "a\\b", "op": "exists"}}),
    ("conditions.attribute.name", {"attribute": {"name": "a\0b", "op": "exists"}}),
    ("conditions.attribute.name", {"attribute": {"name": "a" * 101, "op": "exists"}}),
    ("conditions.attribute.op", {"attribute": {"name": "a", "op": "= 1 OR 1"}}),
    ("conditions.attribute.op", {"attribute": {"name": "a", "op": ["eq"]}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq"}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "exists", "value": 1}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "lt", "value": True}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "contains", "value": ""}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "contains", "value": 1}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq", "value": None}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq", "value": [1]}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq", "value": 2**63}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq", "value": "\0"}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "eq", "value": "x" * 1001}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "in", "value": []}}),
    ("conditions.attribute.value", {"attribute": {"name": "a", "op": "in", "value": "ab"}}),
    ("conditions.attribute.value[0]", {"attribute": {"name": "a", "op": "in", "value": [{}]}}),
    ("conditions.address.kind", {"address": {"kind": "tag"}}),
    ("conditions.address.kind", {"address": {"kind": ["email"]}}),
    ("conditions.address.exists", {"address": {"kind": "email", "exists": 1}}),
    ("conditions.engagement.event", {"engagement": {"event": "opened", "within_days": 1}}),
    ("conditions.engagement.within_days", {"engagement": {"event": "sent"}}),
    ("conditions.engagement.within_days", {"engagement": {"event": "sent", "within_days": 0}}),
    ("conditions.engagement.within_days", {"engagement": {"event": "sent", "within_days": 1.5}}),
    (
        "conditions.engagement.at_least",
        {"engagement": {"event": "sent", "within_days": 1, "at_least": True}},
    ),
    ("conditions" + ".not" * segment_conditions.MAX_DEPTH, nested(segment_conditions.MAX_DEPTH)),
    ("conditions", nested(100_000)),
    ("conditions", {"attribute": {"name": "a", "op": "in", "value": ["x" * 999] * 20}}),
    (
        f"conditions.attribute.value[{segment_conditions.MAX_PARTS - 1}]",
        {"attribute": {"name": "a", "op": "in", "value": [1] * 1000}},
    ),
]


@pytest.mark.parametrize(("field", "tree"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_what_is_no_condition_is_named_by_its_place(field: str, tree: Any) -> None:
    with pytest.raises(Invalid) as refused:
        read(tree)
    assert (refused.value.reason, refused.value.values["field"]) == ("bad_conditions", field)


async def test_channels_that_conditions_name_must_be_there(flow: Flow) -> None:
    for tree in (
        {"tag": {"any": ["a"], "bind_id": "nobody"}},
        {"tag": {"any": ["a"], "bind_id": "main"}},  # a sender has no tags
        {"not": {"and": [{"address": {"kind": "email", "bind_id": "nobody"}}]}},
        {"engagement": {"event": "sent", "within_days": 1, "channel": "nobody"}},
    ):
        with pytest.raises(Invalid):
            await segments.count(flow.system, tree)
        with pytest.raises(Invalid):
            await segments.create(flow.system, "s", tree)
    assert await segments.count(flow.system, {"address": {"kind": "app", "bind_id": "main"}}) == 0


@pytest.mark.parametrize(
    "largest",
    [
        nested(segment_conditions.MAX_DEPTH - 1),
        {
            "or": [
                {"attribute": {"name": "a", "op": "in", "value": list(range(97))}} for _ in range(5)
            ]
        },
    ],
    ids=["deep", "wide"],
)
async def test_the_largest_conditions_are_no_trouble(flow: Flow, largest: Any) -> None:
    await flow.add_users({"a": "a@x.cn"})
    assert await segments.count(flow.system, largest) in (0, 1)
