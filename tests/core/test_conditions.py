"""Conditions: what can be read, and that SQL selects the very users that plain Python does."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from flow import Flow, open_flow
from ums import clock
from ums.core import channels, conditions, segments, senders
from ums.core.conditions import EVENTS, OPS, is_date, read
from ums.core.models import addresses, deliveries, messages, tags
from ums.core.models import users as user_table
from ums.core.system import System
from ums.errors import Invalid

NOW = 20_000 * clock.DAY
NAMES = [
    "age",
    "city",
    "a.b",
    "$.age",
    "a[0]",
    "x' OR '1'='1",
    ":s0",
    "名字",
    "$rows(r: id int)",
    "%",
]
TEXTS = ["", "Berlin", "berlin", "Zürich", "上海", "😀", "10", "%", "_", "'; DROP TABLE users; --"]
TEXTS += ["2024-05-01", "2024-05-02T10:00:00Z", "2024-13-01", "2024-05-01x", "\\", '"', ":s0"]
NUMBERS = [-1, 0, 1, 1.5, 2, 10, 0.1, 2**53 + 1, -(2**63), 1e-7, 2.5e15]
SCALARS: list[Any] = [*TEXTS, *NUMBERS, True, False]
TAGS = ["vip", "red", "上海"]
KEYS = ["1234", "5678"]


# -- a plain Python reading of the same -------------------------------------------------------


class User:
    """All that conditions may ask of a user."""

    def __init__(self, userid: str, attributes: dict[str, Any]) -> None:
        self.userid, self.attributes = userid, attributes
        self.tags: set[tuple[str, str]] = set()
        self.addresses: set[tuple[str, str]] = set()
        self.deliveries: list[tuple[str, str, int, int]] = []  # key, state, created, updated


def holds(tree: Any, user: User) -> bool:
    if tree == {}:
        return True
    ((name, given),) = tree.items()
    return READERS[name](given, user)


def tagged(given: dict[str, Any], user: User) -> bool:
    bind_id = given.get("bind_id", "all")
    how = next(how for how in ("any", "all", "none") if how in given)
    has = [(bind_id, tag) in user.tags for tag in given[how]]
    return {"any": any(has), "all": all(has), "none": not any(has)}[how]


def addressed(given: dict[str, Any], user: User) -> bool:
    bind_id = given.get("bind_id")
    has = any(kind == given["kind"] and bind_id in (None, bind) for kind, bind in user.addresses)
    return has == given.get("exists", True)


def engaged(given: dict[str, Any], user: User) -> bool:
    since = NOW - given["within_days"] * clock.DAY
    ended = ("sent", "failed", "unknown", "expired", "cancelled", "suppressed")
    count = 0
    for key, state, created, updated in user.deliveries:
        if given.get("channel") not in (None, key):
            continue
        if given["event"] == "accepted":
            count += state in ended and created >= since
        else:
            count += state == given["event"] and updated >= since
    return count >= given.get("at_least", 1)


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def compared(op: str, held: Any, value: Any) -> bool:
    if kind_of(held) != kind_of(value):
        return False
    if is_date(value):
        if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", held) is None:
            return False
        held = held[:10]
    return {
        "eq": lambda: held == value,
        "lt": lambda: held < value,
        "le": lambda: held <= value,
        "gt": lambda: held > value,
        "ge": lambda: held >= value,
    }[op]()


def attribute(given: dict[str, Any], user: User) -> bool:
    op, there = given["op"], given["name"] in user.attributes
    held, value = user.attributes.get(given["name"]), given.get("value")
    if op in ("exists", "missing"):
        return there == (op == "exists")
    if op == "contains":
        return isinstance(held, str) and value in held
    if op == "starts_with":
        return isinstance(held, str) and held.startswith(value)
    if op == "in":
        return there and any(compared("eq", held, one) for one in value)
    if op == "ne":
        return there and not compared("eq", held, value)
    return there and compared(op, held, value)


READERS: dict[str, Any] = {
    "and": lambda given, user: all(holds(part, user) for part in given),
    "or": lambda given, user: any(holds(part, user) for part in given),
    "not": lambda given, user: not holds(given, user),
    "tag": tagged,
    "address": addressed,
    "engagement": engaged,
    "attribute": attribute,
}


# -- trees and users --------------------------------------------------------------------------


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def attribute_tests(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(some(*OPS))
    test: dict[str, Any] = {"name": draw(some(*NAMES)), "op": op}
    if op == "in":
        test["value"] = draw(st.lists(some(*SCALARS), min_size=1, max_size=4))
    elif op in conditions.TEXT:
        test["value"] = draw(some(*[text for text in TEXTS if text]))
    elif op in conditions.ORDER:
        test["value"] = draw(some(*TEXTS, *NUMBERS))
    elif op in conditions.EQUAL:
        test["value"] = draw(some(*SCALARS))
    return {"attribute": test}


@st.composite
def tag_tests(draw: st.DrawFn) -> dict[str, Any]:
    how = draw(some("any", "all", "none"))
    some_tags = draw(st.lists(some(*TAGS), min_size=1, max_size=3))
    return {"tag": {how: some_tags, **draw(optional(bind_id=some("all", *KEYS)))}}


ADDRESS_TESTS = st.builds(
    lambda kind, rest: {"address": {"kind": kind, **rest}},
    some("email", "phone"),
    optional(exists=st.booleans(), bind_id=some("all", *KEYS)),
)
ENGAGEMENT_TESTS = st.builds(
    lambda event, days, rest: {"engagement": {"event": event, "within_days": days, **rest}},
    some(*EVENTS),
    some(1, 10, 366),
    optional(at_least=some(1, 2, 3), channel=some(*KEYS)),
)
LEAVES = st.one_of(attribute_tests(), tag_tests(), ADDRESS_TESTS, ENGAGEMENT_TESTS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)
HELD = st.dictionaries(some(*NAMES), some(*SCALARS, [1, "Berlin"], {"age": 1}), max_size=4)
SLOTS = st.tuples(some("email", "phone"), some("all", *KEYS))
SENT = st.tuples(
    some(*KEYS),
    some("queued", "deferred", "invalid", "sent", "failed", "unknown", "expired", "cancelled"),
    some(0.5, 5, 50, 500).map(lambda days: NOW - round(days * clock.DAY)),
    some(0, 3, 30).map(lambda days: days * clock.DAY),
)


@st.composite
def users(draw: st.DrawFn) -> User:
    user = User("", draw(HELD))
    user.tags = set(draw(st.lists(st.tuples(some("all", *KEYS), some(*TAGS)), max_size=3)))
    user.addresses = set(draw(st.lists(SLOTS, max_size=2)))
    sent = draw(st.lists(SENT, max_size=4))
    user.deliveries = [(key, state, at, min(at + more, NOW)) for key, state, at, more in sent]
    return user


def generated(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many examples, the same at each run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found


@pytest.fixture
async def flow(system: System, monkeypatch: pytest.MonkeyPatch) -> Flow:
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
    empty |= {"on_doubt": "hold", "state": "expanded", "size": 0, "accepted_at": 1}
    waiting = {"sender_id": 1, "reason": "", "priority": 2, "due_at": 0, "epoch": 0}
    waiting |= {"charged": 0, "tries": 0, "doubts": 0}
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
    ("conditions.engagement.within_days", {"engagement": {"event": "sent", "within_days": 1.0}}),
    (
        "conditions.engagement.at_least",
        {"engagement": {"event": "sent", "within_days": 1, "at_least": True}},
    ),
    ("conditions" + ".not" * conditions.MAX_DEPTH, nested(conditions.MAX_DEPTH)),
    ("conditions", nested(100_000)),
    ("conditions", {"attribute": {"name": "a", "op": "in", "value": ["x" * 999] * 20}}),
    (
        f"conditions.attribute.value[{conditions.MAX_PARTS - 1}]",
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
        nested(conditions.MAX_DEPTH - 1),
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
