"""What the small Go package `jums` sends and how it reads the answers (ums-spec 7.2)."""

from typing import Any

from support.doors import Answer, Basic, Door, OneChannel
from support.raw import go_json, raw

MAIL = [{"subject": "s", "text": "t", "files": None}]


async def call(door: Door, path: str, who: OneChannel | None, body: Any) -> Answer:
    lines = [f"Host: 127.0.0.1:{door.port}", "Content-Type: application/json"]
    if who is not None:
        lines.append(f"Authorization: {who.header}")
    return await door.wire(raw("POST", path, *lines, body=go_json(body)))


def read(answer: Answer) -> tuple[int, str]:
    """As it does: these two, whatever the status (item 7)."""
    found = {name.lower(): value for name, value in answer.body.items()}
    return found["code"], found["message"]


async def test_1_files_null(shared: Door) -> None:
    channel = await shared.channel()
    body = {"aud_email": [{"instance": "x", "data": ["a@example.com"]}], "msg_email": MAIL}
    answer = await call(shared, "/v1/sent", channel, body)
    assert read(answer) == (0, "success")
    assert (await shared.done(answer.body["msgid"], channel))["counts"] == {"sent": 1}


async def test_2_users_and_tags_the_wrong_way_round(shared: Door) -> None:
    channel = await shared.channel()
    to_users = {"aud_tag": ["zhangsan", "lisi"], "msg_email": MAIL}
    answer = await call(shared, "/v1/sent", channel, to_users)
    assert read(answer) == (0, "success")
    assert (await shared.done(answer.body["msgid"], channel))["audience"] == 0
    to_tags = {"aud_userid": ["no_such_user"], "msg_email": MAIL}
    answer = await call(shared, "/v1/sent", channel, to_tags)
    assert read(answer) == (0, "success")
    assert (await shared.done(answer.body["msgid"], channel))["counts"] == {"invalid": 1}


async def test_3_numbers_for_userids(shared: Door, caller: OneChannel, master: Basic) -> None:
    await call(shared, "/v1/user/opt", caller, [{"userid": "771"}, {"userid": 772}])
    answer = await call(shared, "/v1/user/delete", OneChannel(*master), [771, 772, 773])
    assert read(answer) == (0, "success")
    assert answer.body["data"]["success"] == ["771", "772"]
    assert [one["userid"] for one in answer.body["data"]["fail"]] == ["773"]


async def test_4_users_on_a_wrong_path_in_a_wrong_shape(shared: Door, caller: OneChannel) -> None:
    one = {"set": {}, "del": {}, "email": ["a@example.com"], "phone": ["1"], "tag": {"all": ["x"]}}
    assert (await call(shared, "/v1/sent/user/opt", caller, one)).told == (404, 4004, "not_found")
    assert (await call(shared, "/v1/user/opt", caller, one)).told == (400, 4004, "not_array")


async def test_4_an_array_of_one_where_one_value_belongs(shared: Door, caller: OneChannel) -> None:
    entries = [
        {"userid": "goc1", "email": {"all": ["a@example.com"]}, "phone": {"all": ["13800000000"]}},
        {"userid": "goc2", "set": {"email": {"all": ["a@example.com"]}}},
        {"userid": "goc3", "email": {"all": ["a@example.com", "b@example.com"]}},
        {"userid": "goc4", "email": {"all": []}},
    ]
    data = (await call(shared, "/v1/user/opt", caller, entries)).body["data"]
    assert data["success"] == ["goc1", "goc2"]
    assert [(one["userid"], one["errcode"]) for one in data["fail"]] == [
        ("goc3", "4004"),
        ("goc4", "4004"),
    ]


async def test_6_without_credentials(shared: Door) -> None:
    answer = await call(shared, "/v1/sent", None, {"msg_email": MAIL})
    assert answer.status == 401
    code, message = read(answer)
    assert code == 4005
    assert message
