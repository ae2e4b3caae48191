"""Conditions read by plain Python, and examples of conditions and users, to hold SQL against."""

import re
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ums import clock
from ums.core.users import segment_conditions
from ums.core.users.segment_conditions import EVENTS, OPS, is_date

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
    elif op in segment_conditions.TEXT:
        test["value"] = draw(some(*[text for text in TEXTS if text]))
    elif op in segment_conditions.ORDER:
        test["value"] = draw(some(*TEXTS, *NUMBERS))
    elif op in segment_conditions.EQUAL:
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
