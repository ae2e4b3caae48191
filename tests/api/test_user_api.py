"""/v1/user/opt and /v1/user/delete over HTTP (ums-spec 3.10, 3.11)."""

from typing import Any

import pytest

from support.doors import Basic, Door, OneChannel
from ums.core.channels import channels
from ums.core.users import users

OPT, DELETE = "/v1/user/opt", "/v1/user/delete"
EXAMPLE = [{"userid": "zhangsan", "email": {"1234": "zs@jiguang.cn"}}]


async def stored(door: Door, userid: str) -> users.User | None:
    async with door.system.database.read() as tx:
        return await users.find(tx, userid)


def failed(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"userid": userid, "errcode": "4004", "errmsg": words} for userid, words in pairs]


async def test_the_example_of_the_email_guide(door: Door) -> None:
    channel = await door.channel("1234")
    answer = await door.post(OPT, EXAMPLE, channel)
    assert answer.status == 200
    data = {"success": ["zhangsan"], "fail": []}
    assert answer.body == {"code": 0, "message": "success", "data": data}
    user = await stored(door, "zhangsan")
    assert user is not None
    assert user.addresses == {"email": {"1234": ["zs@jiguang.cn"]}}
    mail = {"aud_userid": ["zhangsan"], "msg_email": [{"subject": "s", "text": "t"}]}
    sent = await door.post("/v1/sent", mail, channel)
    await door.done(sent.body["msgid"], channel)
    assert [mail.rcpt_to for mail in door.smtp.mails] == ["zs@jiguang.cn"]


async def test_the_set_form_and_a_one_element_array_do_the_same(door: Door) -> None:
    key = await door.access_key()
    await door.channel("1234")
    forms: list[dict[str, Any]] = [
        {"userid": "a", "set": {"email": {"1234": "x@jiguang.cn"}}},
        {"userid": "b", "email": {"1234": ["x@jiguang.cn"]}},
        {"userid": "c", "email": {"1234": "x@jiguang.cn"}},
    ]
    assert (await door.post(OPT, forms, key)).body["data"]["success"] == ["a", "b", "c"]
    held = [await stored(door, name) for name in "abc"]
    assert [user.addresses for user in held if user] == [{"email": {"1234": ["x@jiguang.cn"]}}] * 3


async def test_some_entries_fail_alone(shared: Door, caller: OneChannel) -> None:
    entries: list[Any] = [
        {"userid": "fine", "email": {"all": "fine@example.org"}},
        {"userid": "bad", "email": {"all": "nobody"}},
        {"email": {"all": "a@example.org"}},
        "zhangsan",
        {"userid": "two words"},
        {"userid": "add", "add": {"email": {"all": "a@example.org"}}},
        {"userid": "odd", "mail": {"all": "a@example.org"}},
    ]
    answer = await shared.post(OPT, entries, caller)
    assert (answer.status, answer.code) == (200, 0)
    data = answer.body["data"]
    assert data["success"] == ["fine"]
    assert [one["userid"] for one in data["fail"]] == ["bad", "", "", "two words", "add", "odd"]
    assert {one["errcode"] for one in data["fail"]} == {"4004"}
    assert all(isinstance(one["errmsg"], str) and one["errmsg"] for one in data["fail"])
    assert await stored(shared, "bad") is None


async def test_failures_speak_the_caller_s_language(shared: Door, caller: OneChannel) -> None:
    answer = await shared.post(OPT, [{}], caller, Accept_Language="zh-CN")
    assert answer.body["data"]["fail"] == failed(("", "缺少必填参数 userid。"))


@pytest.mark.parametrize("path", [OPT, DELETE])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "bad_json"),
        ({"userid": "u"}, "not_array"),
        ([], "batch_size"),
        ([{"userid": "u"}] * 1001, "batch_size"),
        (None, "not_array"),
    ],
)
async def test_a_request_that_fails_as_a_whole_has_an_empty_string_for_data(
    shared: Door, master: Basic, path: str, body: object, reason: str
) -> None:
    answer = await shared.post(path, body, master)
    assert answer.told == (400, 4004, reason)
    assert answer.body["data"] == ""


@pytest.mark.parametrize("path", [OPT, DELETE])
async def test_data_is_an_empty_string_for_strangers_too(shared: Door, path: str) -> None:
    answer = await shared.post(path, [], ("nobody", "x"))
    assert answer.told == (401, 4005, "bad_credentials")
    assert answer.body["data"] == ""
    assert (await shared.get(path)).body["data"] == ""


async def test_a_thousand_entries_at_once(shared: Door, master: Basic) -> None:
    entries = [{"userid": f"m{n}", "email": {"all": f"m{n}@example.org"}} for n in range(1000)]
    answer = await shared.post(OPT, entries, master)
    assert len(answer.body["data"]["success"]) == 1000
    ids = [f"m{n}" for n in range(1000)]
    assert (await shared.post(DELETE, ids, master)).body["data"]["success"] == ids


async def test_what_a_channel_may_write(shared: Door, caller: OneChannel) -> None:
    other = await shared.channel()
    entries: list[dict[str, Any]] = [
        {"userid": "r1", "email": {caller.key: "a@example.org", "all": "b@example.org"}},
        {"userid": "r2", "email": {other.key: "a@example.org"}},
        {"userid": "r3", "email": {"nosuch": "a@example.org"}},
        {"userid": "r4", "app": {caller.sender: ["regid"]}},
        {"userid": "r5", "app": {other.sender: ["regid"]}},
        {"userid": "r6", "email": {caller.sender: "a@example.org"}},
    ]
    data = (await shared.post(OPT, entries, caller)).body["data"]
    assert data["success"] == ["r1", "r4"]
    refused = {one["userid"]: one["errmsg"] for one in data["fail"]}
    assert refused["r2"] == f"email: bind id {other.key} belongs to another channel."
    assert refused["r3"] == "email: bind id nosuch cannot be used here."
    assert refused.keys() == {"r2", "r3", "r5", "r6"}


async def test_the_access_key_writes_for_every_channel(shared: Door, master: Basic) -> None:
    one, other = await shared.channel(), await shared.channel()
    entry = {"userid": "k1", "email": {one.key: "a@example.org", other.key: "b@example.org"}}
    assert (await shared.post(OPT, [entry], master)).body["data"]["success"] == ["k1"]


async def test_only_the_access_key_deletes(shared: Door, caller: OneChannel) -> None:
    entry = {"userid": "stays", "email": {caller.key: "a@example.org"}}
    await shared.post(OPT, [entry], caller)
    answer = await shared.post(DELETE, ["stays"], caller)
    assert answer.told == (403, 4005, "access_key_only")
    assert answer.body["data"] == ""
    assert await stored(shared, "stays") is not None


async def test_deleting_numbers_and_who_is_not_there(shared: Door, master: Basic) -> None:
    entries = [{"userid": "1"}, {"userid": 2}, {"userid": "three"}]
    for entry in entries:
        entry["email"] = {"all": "n@example.org"}
    assert len((await shared.post(OPT, entries, master)).body["data"]["success"]) == 3
    answer = await shared.post(DELETE, [1, 2, "three", 4, "nobody", 1, None, {}], master)
    assert (answer.status, answer.code) == (200, 0)
    data = answer.body["data"]
    assert data["success"] == ["1", "2", "three"]
    assert [one["userid"] for one in data["fail"]] == ["4", "nobody", "1", "", ""]
    assert data["fail"][:2] == failed(
        ("4", "There is no such user."), ("nobody", "There is no such user.")
    )
    assert await stored(shared, "1") is None
    again = (await shared.post(DELETE, ["1"], master)).body["data"]
    assert again == {"success": [], "fail": failed(("1", "There is no such user."))}


async def test_who_is_deleted_gets_nothing_any_more(shared: Door, master: Basic) -> None:
    channel = await shared.channel()
    entry = {"userid": "gone", "email": {"all": "gone@example.org"}, "tag": {"all": ["leaving"]}}
    await shared.post(OPT, [entry], master)
    assert (await shared.post(DELETE, ["gone"], master)).body["data"]["success"] == ["gone"]
    mail = {"aud_userid": ["gone"], "aud_tag": ["leaving"]}
    sent = await shared.post(
        "/v1/sent", {**mail, "msg_email": [{"subject": "s", "text": "t"}]}, channel
    )
    shown = await shared.done(sent.body["msgid"], channel)
    assert shown["counts"] == {"invalid": 1}


async def test_a_closed_channel_changes_no_users(door: Door) -> None:
    channel = await door.channel()
    await channels.set_open(door.system, channel.key, open=False)
    answer = await door.post(OPT, [{"userid": "u", "tag": {"all": ["t"]}}], channel)
    assert answer.told == (400, 1015005, "channel_closed")
    assert answer.body["data"] == ""
    assert await stored(door, "u") is None
