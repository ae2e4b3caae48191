"""/v1/template/sent and /v1/template/broadcast: what is taken, and every documented refusal."""

from typing import Any

import pytest
import pytest_asyncio

from support.doors import Door, OneChannel
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.users import segments

DIRECT = {"aud_email": [{"instance": "email", "data": ["a@example.org"]}]}


async def of(door: Door, who: OneChannel) -> Channel:
    door.system.directory.forget()
    return (await door.system.directory.now()).channels[who.key]


async def make(
    system: AppContext, channel: Channel, name: str, sources: Sources, **defaults: Any
) -> int:
    return (await store.create(system, channel, name, sources, defaults)).id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(shared: Door, caller: OneChannel) -> int:
    """`var` is needed, `city` has a default, `order` is an object."""
    text = "{{ var }} {{ city }} {{ user.city|default('') }} {{ order.n|default(0) }}"
    sources = Sources("{{ var }}", "<p>{{ var }}</p>", text)
    return await make(shared.system, await of(shared, caller), "one", sources, city="Rome")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def personal(shared: Door, caller: OneChannel) -> int:
    """`name` and `user.level` come from attributes."""
    sources = Sources("{{ name }}", text="{{ user.level }} {{ user.userid }}")
    id = await make(shared.system, await of(shared, caller), "personal", sources)
    entries = [
        {"userid": "full", "attributes": {"name": "F", "level": 3}},
        {"userid": "half", "attributes": {"name": "H"}},
    ]
    answer = await shared.post("/v1/user/opt", entries, await shared.access_key())
    assert answer.body["data"]["fail"] == []
    return id


async def test_a_template_reaches_direct_addresses_and_everyone(door: Door) -> None:
    channel = await door.channel()
    sources = Sources("{{ var }}", text="{{ var }}")
    id = await make(door.system, await of(door, channel), "t", sources)
    body = {"template_id": id, "template_para": {"var": "验证码 7"}, **DIRECT}
    sent = await door.post(
        "/v1/template/sent", {**body, "option": {"sendno": "s1"}, "rule_id": 9, "app_para": None},
        channel,
    )  # fmt: skip
    assert sent.body == {"code": 0, "message": "success", "msgid": sent.body["msgid"],
                         "sendno": "s1"}  # fmt: skip
    shown = await door.done(sent.body["msgid"], channel)
    assert (shown["subject"], shown["counts"]) == ("{{ var }}", {"sent": 1})
    entry = {"userid": "u1", "email": {"all": "u1@example.org"}}
    await door.post("/v1/user/opt", [entry], await door.access_key())
    body = {"template_id": str(id), "template_para": {"var": 8}}
    everyone = await door.post("/v1/template/broadcast", body, channel)
    assert (await door.done(everyone.body["msgid"], channel))["on_unknown"] == "hold"
    assert [mail.rcpt_to for mail in door.smtp.mails] == ["a@example.org", "u1@example.org"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("sent", DIRECT),
    ("sent", {**DIRECT, "msg_email": None, "msg_app": None, "app_para": {"platform": "ios"}}),
    ("sent", {**DIRECT, "template_para": {"var": True, "unknown": [1], "city": None}}),
    ("sent", {**DIRECT, "template_para": {"var": 1.5, "order": {"n": 1}}}),
    ("sent", {"aud_userid": ["nobody"]}),
    ("sent", {"aud_tag": ["t"], "option": {"priority": 1}, "callback": {"params": {"a": 1}}}),
    ("broadcast", {}),
]


@pytest.mark.parametrize(("path", "more"), TAKEN)
async def test_what_is_taken(
    shared: Door, caller: OneChannel, one: int, path: str, more: dict[str, Any]
) -> None:
    body = {"template_id": one, "template_para": {"var": "v"}, **more}
    answer = await shared.post(f"/v1/template/{path}", body, caller)
    assert (answer.status, answer.code) == (200, 0), answer.raw


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"template_id": None}, 4004, "missing"),
    ({"template_id": 999_999}, 1015031, "template_unknown"),
    ({"template_id": -1}, 1015031, "template_unknown"),
    ({"template_id": 2**70}, 1015031, "template_unknown"),
    ({"template_id": "x"}, 1015031, "template_unknown"),
    ({"template_id": 1.5}, 4004, "misfit"),
    ({"template_id": [1]}, 4004, "misfit"),
    ({"template_para": None}, 4004, "variable_missing"),
    ({"template_para": {"var": None}}, 4004, "variable_missing"),
    ({"template_para": {"var": [1]}}, 4004, "template_failed"),
    ({"template_para": {"var": "a\nb"}}, 4004, "bad_subject"),
    ({"template_para": {"var": "=?utf-8?q?=0ABcc:_y?="}}, 4004, "bad_subject"),
    ({"template_para": {"var": "a\x00b"}}, 4004, "bad_value"),
    ({"template_para": {"var": 2**70}}, 4004, "bad_value"),
    ({"template_para": {"var": "x" * 70_000}}, 4004, "para_large"),
    ({"template_para": {"var": "x" * 1000}}, 4004, "bad_subject"),
    ({"template_para": [1]}, 4004, "misfit"),
    ({"msg_email": [{"subject": "s", "text": "t"}]}, 1015094, "template_content"),
    ({"msg_email": []}, 1015094, "template_content"),
    ({"msg_sms": {}}, 1015094, "template_content"),
    ({"aud_email": None}, 4004, "audience_missing"),
    ({"aud_userid": ["u"]}, 4004, "audience_mixed"),
    ({"aud_email": [{"data": ["nonsense"]}]}, 4004, "bad_address"),
    ({"aud_sms": [{"data": ["1"]}]}, 1015007, "no_sender_sms"),
    ({"aud_email": None, "aud_userid": [str(i) for i in range(1001)]}, 1015004,
     "too_many_userids"),
    ({"aud_email": None, "aud_tag": ["t"], "rule_id": 9}, 1015026, "strategy_unknown"),
    ({"option": {"priority": 9}}, 4004, "priority"),
    ({"option": {"black_id": 1, "white_id": 1}}, 1015097, "lists_conflict"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "reason"), REFUSED)
async def test_what_is_refused(
    shared: Door, caller: OneChannel, one: int, change: dict[str, Any], code: int, reason: str
) -> None:
    body = {"template_id": one, "template_para": {"var": "v"}, **DIRECT, **change}
    answer = await shared.post("/v1/template/sent", body, caller)
    assert answer.told == (400, code, reason)


async def test_a_missing_variable_is_named_in_either_language(
    shared: Door, caller: OneChannel, one: int
) -> None:
    body = {"template_id": one, **DIRECT}
    told = await shared.post("/v1/template/sent", body, caller)
    assert told.body["message"] == "The variable var has no value."
    chinese = await shared.post("/v1/template/sent", body, caller, Accept_Language="zh")
    assert chinese.body["message"] == "变量 var 没有值。"


PEOPLE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"aud_userid": ["full", "stranger"]}, {}, ""),
    ({"aud_userid": ["full", "half"]}, {}, "user.level (half)"),
    ({"aud_userid": ["half"]}, {"name": "x", "user": {"level": 1}}, "user.level (half)"),
    ({"aud_userid": ["half"], "aud_tag": ["t"]}, {}, ""),
    (DIRECT, {}, "name, user.level"),
    (DIRECT, {"name": "x"}, "user.level"),
]


@pytest.mark.parametrize(("audience", "para", "missing"), PEOPLE)
async def test_what_users_lack_is_told_where_it_can_be_known(
    shared: Door,
    caller: OneChannel,
    personal: int,
    audience: dict[str, Any],
    para: dict[str, Any],
    missing: str,
) -> None:
    body = {"template_id": personal, "template_para": para, **audience}
    answer = await shared.post("/v1/template/sent", body, caller)
    if missing:
        assert answer.told == (400, 4004, "variable_missing")
        assert f"The variable {missing} has no value." == answer.body["message"]
    else:
        assert answer.code == 0


async def test_a_template_is_its_channel_s_own_and_may_be_closed(
    shared: Door, caller: OneChannel
) -> None:
    mine = await of(shared, caller)
    id = await make(shared.system, mine, "closing", Sources("s", text="t"))
    body = {"template_id": id, **DIRECT}
    other = await shared.channel()
    answer = await shared.post("/v1/template/sent", body, other)
    assert answer.told == (400, 1015031, "template_unknown")
    await store.set_open(shared.system, mine, id, open=False)
    answer = await shared.post("/v1/template/sent", body, caller)
    assert answer.told == (400, 1015073, "template_closed")
    await store.set_open(shared.system, mine, id, open=True)
    assert (await shared.post("/v1/template/sent", body, caller)).code == 0


async def test_the_doors_ask_for_credentials_and_know_no_other_method(
    shared: Door, caller: OneChannel
) -> None:
    for path in ("/v1/template/sent", "/v1/template/broadcast"):
        assert (await shared.post(path, {})).told == (401, 4005, "no_credentials")
        assert (await shared.get(path, caller)).told == (405, 4004, "wrong_method")
        assert (await shared.post(path, b"{", caller)).told == (400, 4004, "bad_json")


async def test_a_key_gives_the_same_answer_once(shared: Door, caller: OneChannel, one: int) -> None:
    body = {"template_id": one, "template_para": {"var": "v"}, **DIRECT}
    first = await shared.post("/v1/template/sent", body, caller, Idempotency_Key="tpl-1")
    again = await shared.post("/v1/template/sent", body, caller, Idempotency_Key="tpl-1")
    assert first.body == again.body
    changed = {**body, "template_para": {"var": "w"}}
    other = await shared.post("/v1/template/sent", changed, caller, Idempotency_Key="tpl-1")
    assert other.told == (400, 4004, "idempotency_reused")


async def test_a_repeated_request_is_answered_although_the_template_is_closed(
    shared: Door, caller: OneChannel
) -> None:
    mine = await of(shared, caller)
    id = await make(shared.system, mine, "repeated", Sources("s", text="t"))
    body = {"template_id": id, **DIRECT}
    first = await shared.post("/v1/template/sent", body, caller, Idempotency_Key="tpl-2")
    await store.set_open(shared.system, mine, id, open=False)
    again = await shared.post("/v1/template/sent", body, caller, Idempotency_Key="tpl-2")
    assert first.body == again.body


async def test_a_segment_works_and_an_unknown_one_does_not(
    shared: Door, caller: OneChannel, one: int
) -> None:
    segment = await segments.create(shared.system, "for templates")
    body = {"template_id": one, "template_para": {"var": "v"}, "aud_segment": [segment.id]}
    assert (await shared.post("/v1/template/sent", body, caller)).code == 0
    answer = await shared.post("/v1/template/sent", {**body, "aud_segment": [99_999]}, caller)
    assert answer.told == (400, 4004, "segment_unknown")
