"""What rebue/scx sends and how it reads the answers (ums-spec 7.4)."""

import json
from typing import Any

import pytest

from support.doors import Answer, Door, OneChannel
from support.raw import raw
from ums.core.templates import store
from ums.core.templates.compiler import Sources

MESSAGE: dict[str, Any] = {
    "aud_email": [{"instance": "email", "data": ["a@example.com", "b@example.com"]}],
    "msg_email": [{"subject": "主题", "text": "<b>t</b>"}],
}


async def call(
    door: Door, who: OneChannel, body: Any, *kinds: str, path: str = "/v1/sent"
) -> Answer:
    lines = [
        f"Host:127.0.0.1:{door.port}",
        "Accept-Charset:UTF-8",
        f"Authorization:{who.header}",
        *(f"Content-Type:{kind}" for kind in kinds),
    ]
    content = json.dumps(body, ensure_ascii=False).encode()
    return await door.wire(raw("POST", path, *lines, body=content))


@pytest.mark.parametrize("more", [{}, {"rule_id": 0}], ids=["as it is", "older sample"])
async def test_1_and_3_it_sends(shared: Door, more: dict[str, Any]) -> None:
    channel = await shared.channel()
    answer = await call(shared, channel, {**MESSAGE, **more}, "application/json")
    assert answer.status == 200
    assert str(answer.body["code"]) == "0"
    assert (await shared.done(answer.body["msgid"], channel))["counts"] == {"sent": 2}


async def test_2_a_template_to_direct_addresses(shared: Door) -> None:
    made = await shared.channel()
    channel = (await shared.system.directory.now()).channels[made.key]
    template = await store.create(
        shared.system, channel, "t", Sources(subject="{{ var }}", text="t")
    )
    body = {
        "aud_email": MESSAGE["aud_email"],
        "template_id": template.id,
        "template_para": {"var": "验证码 1234"},
    }
    answer = await call(shared, made, body, "application/json", path="/v1/template/sent")
    assert (answer.status, str(answer.body["code"])) == (200, "0")
    assert (await shared.done(answer.body["msgid"], made))["counts"] == {"sent": 2}


@pytest.mark.parametrize(
    "kinds",
    [("application/json", "text/html; charset=UTF-8"), ("text/html; charset=UTF-8",), ()],
    ids=["both", "another", "none"],
)
async def test_3_the_content_type_is_not_looked_at(shared: Door, kinds: tuple[str, ...]) -> None:
    answer = await call(shared, await shared.channel(), MESSAGE, *kinds)
    assert str(answer.body["code"]) == "0"


async def test_4_end_users_see_the_message(shared: Door) -> None:
    channel = await shared.channel(sender=False)
    for body in (MESSAGE, {}, {"aud_email": 1}, {"msg_email": MESSAGE["msg_email"]}):
        answer = await call(shared, channel, body, "application/json")
        assert str(answer.body["code"]) != "0"
        message = answer.body["message"]
        assert 0 < len(message) < 200
        assert "Traceback" not in message
        assert message.isprintable()
