"""The bodies and habits of the public clients of the hosted UMS (ums-spec 7.1 to 7.4)."""

import json

from doors import Door

SUCCESS = {"code": 0, "message": "success"}


async def test_the_go_sdk_looks_at_the_bare_address_first(shared: Door) -> None:
    request = b"HEAD / HTTP/1.1\r\nHost: x\r\nUser-Agent: cavlabs/jiguang-sdk-go/1.0.8\r\n"
    answer = await shared.wire(request + b"Connection: close\r\n\r\n")
    assert (answer.status, answer.raw) == (200, b"")


async def test_the_go_sdk_sends(shared: Door) -> None:
    channel = await shared.channel()
    body = {
        "aud_email": [{"instance": "email", "data": ["a@example.com"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
        "option": {"sendno": "n", "owner": "o", "priority": 2},
        "callback": {"params": {"k": 1}},
    }
    headers = {
        "Content_Type": "application/json;charset=UTF-8",
        "User_Agent": "cavlabs/jiguang-sdk-go/1.0.8",
    }
    answer = await shared.post("/v1/sent", body, channel, **headers)
    msgid = answer.body["msgid"]
    assert answer.body == {**SUCCESS, "msgid": msgid, "sendno": "n"}
    del body["aud_email"]
    assert (await shared.post("/v1/broadcast", body, channel, **headers)).code == 0


async def test_the_go_sdk_with_a_list_that_is_not_there(shared: Door) -> None:
    body = {
        "aud_email": [{"instance": "email", "data": ["a@example.com"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
        "option": {"sendno": "n", "owner": "o", "black_id": 1, "priority": 2},
    }
    answer = await shared.post("/v1/sent", body, await shared.channel())
    assert (answer.status, answer.code) == (400, 1015046)
    assert "sendno" not in answer.body


async def test_the_go_package_with_files_null(shared: Door) -> None:
    channel = await shared.channel()
    body = {
        "aud_email": [{"instance": "x", "data": ["a@example.com"]}],
        "msg_email": [{"subject": "s", "text": "t", "files": None}],
    }
    assert (await shared.post("/v1/sent", body, channel)).code == 0


async def test_the_go_package_without_credentials_or_on_a_wrong_path(shared: Door) -> None:
    one = {"set": {}, "email": ["a@example.com"], "tag": {"all": ["x"]}}
    channel = await shared.channel()
    assert (await shared.post("/v1/sent/user/opt", one, channel)).told == (404, 4004, "not_found")
    assert (await shared.post("/v1/user/opt", one, channel)).told == (400, 4004, "not_array")
    assert (await shared.post("/v1/sent", {})).told == (401, 4005, "no_credentials")


async def test_the_php_package_on_its_unfilled_path(shared: Door) -> None:
    channel = await shared.channel()
    for action in ("sent", "broadcast", "template/sent", "template/broadcast"):
        answer = await shared.post(f"/v1/%25s/{action}", {}, channel)
        assert answer.told == (404, 4004, "not_found")


async def test_the_php_package_with_an_empty_and_an_unescaped_body(shared: Door) -> None:
    channel = await shared.channel()
    assert (await shared.post("/v1/sent", {}, channel)).told == (400, 4004, "audience_missing")
    body = {
        "aud_email": [{"data": ["张三@例子.公司"]}],
        "msg_email": [{"subject": "你好", "text": "世界"}],
    }
    plain = json.dumps(body, ensure_ascii=False).encode()
    assert (await shared.post("/v1/sent", plain, channel)).code == 0


async def test_java_with_no_space_after_the_colon(shared: Door) -> None:
    channel = await shared.channel()
    body = json.dumps(
        {
            "aud_email": [{"instance": "email", "data": ["a@example.com", "b@example.com"]}],
            "msg_email": [{"subject": "主题", "text": "<b>t</b>"}],
            "rule_id": 0,
        }
    ).encode()
    head = (
        "POST /v1/sent HTTP/1.1\r\nHost:x\r\nAccept-Charset:UTF-8\r\nConnection:close\r\n"
        "Content-Type:application/json\r\nContent-Type:text/html; charset=UTF-8\r\n"
        f"Authorization:{channel.header}\r\nContent-Length:{len(body)}\r\n\r\n"
    )
    answer = await shared.wire(head.encode() + body)
    assert answer.status == 200
    assert str(answer.body["code"]) == "0"


async def test_every_failure_has_words_that_an_end_user_may_see(shared: Door) -> None:
    channel = await shared.channel(sender=False)
    body = {
        "aud_email": [{"data": ["a@example.com"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
    }
    answer = await shared.post("/v1/sent", body, channel)
    assert (answer.status, answer.code) == (400, 1015010)
    assert "Traceback" not in answer.body["message"]
    assert "\n" not in answer.body["message"]
