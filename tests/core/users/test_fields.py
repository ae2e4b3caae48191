"""Every kind of data of a user, its bind ids, its values and its limits (ums-spec 3.4, 3.10)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import NO_RULES
from ums.core.context.directory import Channel, Sender, Snapshot
from ums.core.users.bulk_upsert import State, apply, change
from ums.core.users.entry_parser import Entry, Rights, parse
from ums.core.users.users import find
from ums.db import rows_json
from ums.errors import WORDS, Invalid

CHANNEL = Channel(1, "A", "A", "", None, None, True, NO_RULES, 0, (1,), None)
OTHER = Channel(2, "B", "B", "", None, None, True, NO_RULES, 0, (), None)
SENDER = Sender(1, "MINE", "mine", "email", "{}", None, True, 0)
SNAPSHOT = Snapshot(
    "1", {"A": CHANNEL, "B": OTHER}, {1: CHANNEL}, {1: SENDER}, {"MINE": SENDER}, {}
)
RIGHTS = Rights(SNAPSHOT, CHANNEL)


def fresh() -> State:
    return State(1, True, "{}", {}, {})


def applied(*entries: dict[str, Any], state: State | None = None) -> dict[Any, list[str]]:
    state = fresh() if state is None else state
    for entry in entries:
        change(state, parse({"userid": "u", **entry}, RIGHTS))
    return {slot: sorted(values) for slot, values in state.now.items() if values}


def reason(entry: Any, state: State | None = None) -> str:
    with pytest.raises(Invalid) as error:
        applied(entry, state=state)
    assert error.value.words()
    assert error.value.words("zh")
    return error.value.reason


ADDRESS = {
    "phone": ("A", "+8613800138000"),
    "email": ("A", "a@example.com"),
    "wechatoa": ("MINE", "o-id_1"),
    "wechatmp": ("MINE", "o-id_1"),
    "alipaylife": ("MINE", "2088"),
}
PLAIN = ("dingtalkcc", "wechatwk")
MANY = {"tag": ("A", 100), "app": ("MINE", 20)}


@pytest.mark.parametrize("kind", ADDRESS)
def test_single_kinds(kind: str) -> None:
    bind_id, value = ADDRESS[kind]
    held = {(kind, bind_id): [value]}
    for entry in (
        {kind: {bind_id: value}},
        {"set": {kind: {bind_id: value}}},
        {kind: {bind_id: [value]}},
    ):
        assert applied(entry) == held
    assert applied({kind: {bind_id: value}}, {kind: {bind_id: ""}}) == {}
    assert applied({kind: {bind_id: value}}, {"del": {kind: {bind_id: value}}}) == {}
    assert applied({kind: {bind_id: value}}, {"del": {kind: {bind_id: ""}}}) == {}
    assert applied({kind: {bind_id: value}}, {"del": {kind: {bind_id: "13@x"}}}) == held
    assert applied({kind: {bind_id: value}}, {kind: {bind_id: None}}) == held
    assert reason({"add": {kind: {bind_id: value}}}) == "single_valued"
    assert reason({kind: {bind_id: 5}}) == "bad_type"
    assert reason({kind: value}) == "bad_type"
    assert reason({kind: {bind_id: f"{value}\x00"}}) == "control_characters"
    assert reason({"del": {kind: {bind_id: "\n"}}}) == "control_characters"
    assert reason({kind: {bind_id: value}, "set": {kind: {bind_id: value}}}) == "twice"
    assert reason({kind: {bind_id: "x" * 300}}) in {"bad_value", "bad_address"}


@pytest.mark.parametrize("kind", PLAIN)
def test_kinds_that_are_always_for_all(kind: str) -> None:
    assert applied({kind: "me"}) == {(kind, "all"): ["me"]}
    assert applied({kind: ["me"]}, {"set": {kind: ""}}) == {}
    assert applied({kind: "me"}, {"del": {kind: "me"}}) == {}
    assert reason({kind: {"all": "me"}}) == "bad_type"
    assert reason({"add": {kind: "me"}}) == "single_valued"
    assert reason({kind: "me", "set": {kind: "you"}}) == "twice"


@pytest.mark.parametrize("kind", MANY)
def test_multi_valued_kinds(kind: str) -> None:
    bind_id, limit = MANY[kind]
    slot = (kind, bind_id)
    most = [f"v{i:03}" for i in range(limit)]
    assert applied({kind: {bind_id: ["x", "y", "x"]}}) == {slot: ["x", "y"]}
    assert applied({kind: {bind_id: ["x"]}}, {kind: {bind_id: ["y"]}}) == {slot: ["y"]}
    assert applied({kind: {bind_id: ["x"]}}, {kind: {bind_id: []}}) == {}
    assert applied({kind: {bind_id: ["x"]}}, {"add": {kind: {bind_id: ["y"]}}}) == {
        slot: ["x", "y"]
    }
    assert applied({kind: {bind_id: ["x", "y"]}}, {"del": {kind: {bind_id: ["x", "z z"]}}}) == {
        slot: ["y"]
    }
    assert applied({kind: {bind_id: ["x"]}}, {"del": {kind: {bind_id: [""]}}}) == {slot: ["x"]}
    assert applied({kind: {bind_id: most}}) == {slot: most}
    assert reason({kind: {bind_id: [*most, "more"]}}) == "limit"
    assert reason({kind: {bind_id: most}, "add": {kind: {bind_id: ["more"]}}}) == "limit"
    for wrong in ("x", {"x": 1}, [1], [None]):
        assert reason({kind: {bind_id: wrong}}) == "bad_type"
    assert reason({kind: {bind_id: ["a\x00"]}}) == "control_characters"


def test_linked_corp() -> None:
    key = "wechatwk_linkedcorp"
    assert applied({key: ["C1/u1", "C2/u2"]}) == {(key, "all"): ["C1/u1", "C2/u2"]}
    assert applied({key: ["C1/u1"]}, {"add": {key: ["C/u"]}, "del": {key: ["C1/u1"]}}) == {
        (key, "all"): ["C/u"]
    }
    for wrong in ("nocorp", "/u", "c/", ""):
        assert reason({key: [wrong]}) == "bad_value"


def test_order_is_set_add_del_whatever_the_order_of_keys() -> None:
    entry = {
        "del": {"tag": {"A": ["b", "c"]}},
        "add": {"tag": {"A": ["c", "d"]}},
        "set": {"tag": {"A": ["a", "b"]}},
    }
    assert applied({"tag": {"A": ["old"]}}, entry) == {("tag", "A"): ["a", "d"]}


def test_different_bind_ids_of_one_kind_at_both_places_are_no_conflict() -> None:
    entry = {"email": {"A": "a@a.org"}, "set": {"email": {"all": "b@a.org"}}}
    assert applied(entry) == {("email", "A"): ["a@a.org"], ("email", "all"): ["b@a.org"]}


@pytest.mark.parametrize(
    "tag", ["北京", "a" * 40, "一" * 13, "A_1@!#$&*+=.|￥", "vip"], ids=lambda tag: tag[:5]
)
def test_tags(tag: str) -> None:
    assert applied({"tag": {"A": [tag]}}) == {("tag", "A"): [tag]}


@pytest.mark.parametrize("tag", ["", "a b", "a" * 41, "一" * 14, "a-b", "a,b", "é", "😀"])
def test_bad_tags(tag: str) -> None:
    assert reason({"tag": {"A": [tag]}}) == "bad_tag"


@pytest.mark.parametrize("userid", ["u", "a" * 64, "A_1@!#$&*+=.|￥", "a@example.com"])
def test_userids(userid: str) -> None:
    assert parse({"userid": userid}, RIGHTS).userid == userid


@pytest.mark.parametrize(
    ("userid", "why"),
    [
        (None, "missing"),
        ("", "missing"),
        ("a" * 65, "bad_userid"),
        ("a b", "bad_userid"),
        ("北京", "bad_userid"),
        ("a\n", "control_characters"),
        ("a\x00", "control_characters"),
        ("\ud800", "control_characters"),
        (True, "bad_userid"),
        ({}, "bad_userid"),
    ],
)
def test_bad_userids(userid: Any, why: str) -> None:
    assert reason({"userid": userid}) == why


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"colour": 1}, "colour"),
        ({"set": {"colour": 1}}, "set.colour"),
        ({"MINE": "o-id"}, "MINE"),
        ({"set": {"MINE": "o-id"}}, "set.MINE"),  # the shape of the mini program's page
        ({"add": {"attributes": {}}}, "add.attributes"),
        ({"set": {"userid": "x"}}, "set.userid"),
        ({"set": {"set": {}}}, "set.set"),
    ],
)
def test_unknown_keys_are_named(entry: dict[str, Any], name: str) -> None:
    with pytest.raises(Invalid) as error:
        parse({"userid": "u", **entry}, RIGHTS)
    assert error.value.words() == f"{name} is not a parameter."


@pytest.mark.parametrize("entry", [None, 1, "u", ["u"], True])
def test_entry_that_is_no_object(entry: Any) -> None:
    with pytest.raises(Invalid) as error:
        parse(entry, RIGHTS)
    assert error.value.reason == "not_entry"


def test_set_that_is_no_object() -> None:
    for wrong in ([], "x", 1):
        assert reason({"set": wrong}) == "bad_type"


def test_access_key_writes_under_any_bind_id_that_exists() -> None:
    rights = Rights(SNAPSHOT)
    for entry in ({"email": {"B": "a@a.org"}}, {"app": {"MINE": ["x"]}}):
        assert parse({"userid": "u", **entry}, rights).changes
    for entry in ({"email": {"C": "a@a.org"}}, {"app": {"THEIRS": ["x"]}}):
        with pytest.raises(Invalid) as error:
            parse({"userid": "u", **entry}, rights)
        assert error.value.reason == "bad_bind_id"


def test_reasons_have_words() -> None:
    for name in ("attributes_large", "cell_number", "cell_nameless", "cell_long", "row_long"):
        assert all(WORDS[name])


def test_bad_attributes() -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    assert reason({"attributes": 1}) == "bad_type"
    assert reason({"attributes": {"a": "\x00"}}) == "control_characters"
    assert reason({"attributes": {"\ud800": 1}}) == "control_characters"
    assert reason({"attributes": {"a": deep}}) == "bad_value"
    assert reason({"attributes": {"a": "x" * 17000}}) == "attributes_large"
    assert reason({"attributes": {"a": 1}, "set": {"attributes": {"b": 1}}}) == "twice"


async def test_attributes_are_merged(system: AppContext) -> None:
    """A given name replaces, null removes; 16 KiB is the limit of what is held, too."""
    steps: list[dict[str, Any]] = [
        {"attributes": {"name": "Wáng 王\n", "n": [1, {"x": 2}], "old": 1}},
        {"set": {"attributes": {"old": None, "n": 3}}},
        {"attributes": {"long": "x" * 10_000}},
        {"attributes": {"longer": "x" * 10_000}},
    ]
    for step in steps:
        async with system.database.write() as tx:
            [outcome] = await apply(tx, [parse({"userid": "u", **step}, RIGHTS)])
    assert isinstance(outcome, Invalid)
    async with system.database.read() as tx:
        user = await find(tx, "u")
    assert user is not None
    assert user.attributes == {"name": "Wáng 王\n", "n": 3, "long": "x" * 10_000}


async def test_outcomes(system: AppContext) -> None:
    entries = [
        {"userid": "a", "email": {"A": "a@a.org"}},
        {"userid": "a", "email": {"A": "a@A.org"}},
        {"userid": "a", "tag": {"A": ["x"]}},
        {"userid": "b"},
    ]
    async with system.database.write() as tx:
        assert await apply(tx, [parse(entry, RIGHTS) for entry in entries]) == [
            "added",
            "unchanged",
            "changed",
            "added",
        ]
        assert await apply(tx, []) == []
        assert await apply(tx, [parse(entries[3], RIGHTS)]) == ["unchanged"]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("a@a.org")
KEYS = st.sampled_from(
    ["userid", "set", "add", "del", "attributes", "tag", "email", "dingtalkcc", "A", "all", "MINE"]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, database=None)
@given(st.dictionaries(KEYS, JSON, max_size=6))
def test_any_entry_is_read_or_refused(raw: dict[str, Any]) -> None:
    outcome = attempt({"userid": "u", **raw})
    if isinstance(outcome, Invalid):
        assert outcome.words()
        assert outcome.words("zh")
        return
    rows = [(*step.slot, value) for step in outcome.changes for value in step.values]
    assert "\\u0000" not in rows_json(rows)


def attempt(raw: dict[str, Any]) -> Entry | Invalid:
    try:
        entry = parse(raw, RIGHTS)
        change(fresh(), entry)
    except Invalid as error:
        return error
    return entry
