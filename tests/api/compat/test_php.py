"""What hedeqiang/easyjiguang sends (ums-spec 7.3)."""

import json
from typing import Any

import pytest

from support.doors import Answer, Door, OneChannel
from support.raw import raw

ACTIONS = ["sent", "broadcast", "template/sent", "template/broadcast"]


async def call(door: Door, path: str, who: OneChannel, body: bytes, *more: str) -> Answer:
    lines = [
        "User-Agent: GuzzleHttp/7",
        f"Host: 127.0.0.1:{door.port}",
        "Content-Type: application/json",
        f"Authorization: {who.header}",
    ]
    return await door.wire(raw("POST", path, *lines, *more, body=body))


def php_json(value: Any) -> bytes:
    """With JSON_UNESCAPED_UNICODE: only its slashes are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("/", "\\/").encode()


@pytest.mark.parametrize("action", ACTIONS)
async def test_2_the_path_it_never_fills_in(shared: Door, caller: OneChannel, action: str) -> None:
    answer = await call(shared, f"/v1/%25s/{action}", caller, b"{}")
    assert answer.told == (404, 4004, "not_found")


async def test_3_unescaped_utf8(shared: Door) -> None:
    channel = await shared.channel()
    body = {
        "aud_email": [{"data": ["张三@例子.公司"]}],
        "msg_email": [{"subject": "你好", "text": "<a href='https://例子.公司/'>世界</a>"}],
    }
    assert (await call(shared, "/v1/sent", channel, php_json(body))).code == 0


async def test_3_an_empty_body(shared: Door, caller: OneChannel) -> None:
    answer = await call(shared, "/v1/sent", caller, b"{}")
    assert answer.told == (400, 4004, "audience_missing")


async def test_4_a_request_it_repeats_is_sent_once(shared: Door) -> None:
    channel = await shared.channel()
    body = php_json(
        {"aud_email": [{"data": ["a@example.com"]}], "msg_email": [{"subject": "s", "text": "t"}]}
    )
    tries = [
        await call(shared, "/v1/sent", channel, body, "Idempotency-Key: php-1") for _ in range(2)
    ]
    assert tries[0].body == tries[1].body
    assert len((await shared.get("/api/messages", channel)).body["items"]) == 1
