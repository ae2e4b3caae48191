"""The pages of a webhook sender: made with a secret shown once, changed, tested."""

import re

import pytest

from console.administration.test_settings import followed
from console.conftest import Visit
from console.test_all_errors import in_language, told
from support.doors import Door
from support.flow import with_settings
from support.receiver import receiving
from ums.core.senders import senders, webhook_senders
from ums.core.senders.webhook_senders import NewWebhookSender

HOOK = {"code": "hook", "name": "Hook", "url": "https://hooks.example.com/x"}


async def make(door: Door, **more: str) -> str:
    """Its signing secret."""
    made = await webhook_senders.create(door.system, NewWebhookSender(**{**HOOK, **more}))
    return str(made.signing_secret)


async def test_one_is_made_and_its_secret_shown_once(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel(sender=False)
    assert 'href="/webhook-senders/new"' in (await visitor.get("/senders/new")).text
    form = (await visitor.get("/webhook-senders/new")).text
    assert '<a href="/senders" aria-current="page"' in form
    assert 'href="/help#senders"' in form
    data = {**HOOK, "password": "t0ken", "deduplicates": "on", "channels": channel.key}
    shown = await followed(visitor, await visitor.post("/webhook-senders", data=data))
    assert re.search(r"whsec_[A-Za-z0-9+/=]{44}", shown)
    made = await senders.show(door.system, "hook")
    assert (made.authentication, made.deduplicates) == ("bearer", True)
    assert made.channels == [channel.key]
    page = (await visitor.get("/senders/hook")).text
    assert "https://hooks.example.com/x" in page
    assert "t0ken" not in page
    assert "whsec_" not in page
    assert "/senders/hook/mailbox" not in page


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_all_that_is_wrong_is_told_at_once(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    wrong = {"code": "a b", "name": "x" * 31, "url": "nowhere", "account": "a:b"}
    refused = await visitor.post("/webhook-senders", data=wrong, headers=headers)
    errors = told(refused.text)
    assert refused.status_code == 400
    assert set(errors) == {*wrong, "password"}
    assert in_language([*errors.values()], language)
    await make(door)
    for field, other in (("code", {"name": "Other"}), ("name", {"code": "other"})):
        taken = await visitor.post("/webhook-senders", data={**HOOK, **other}, headers=headers)
        assert set(told(taken.text)) == {field}


async def test_a_change_keeps_the_password_and_says_where_it_is_needed(
    door: Door, visit: Visit
) -> None:
    visitor = await visit()
    await make(door, password="t0ken")
    led = await visitor.get("/senders/hook/edit")
    assert led.headers["location"] == "/webhook-senders/hook/edit"
    assert "t0ken" not in await followed(visitor, led)
    moved = await visitor.post("/webhook-senders/hook", data={**HOOK, "url": "https://b.example/"})
    assert set(told(moved.text)) == {"password"}
    await followed(visitor, await visitor.post("/webhook-senders/hook", data={**HOOK, "name": "N"}))
    kept = await senders.show(door.system, "hook")
    assert (kept.name, kept.authentication) == ("N", "bearer")
    forgotten = {**HOOK, "forget_password": "on"}
    await followed(visitor, await visitor.post("/webhook-senders/hook", data=forgotten))
    assert (await senders.show(door.system, "hook")).authentication == "none"


async def test_a_new_secret_is_shown_once(door: Door, visit: Visit) -> None:
    visitor, before = await visit(), await make(door)
    answer = await visitor.post("/webhook-senders/hook/rotate")
    shown = await followed(visitor, answer)
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{44}", shown))
    assert secret != before


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ["Test request", "Test delivery"]), ("zh", ["测试请求", "测试消息"])],
)
async def test_the_test_shows_the_steps_of_such_a_sender(
    door: Door, visit: Visit, language: str, words: list[str]
) -> None:
    visitor = await visit()
    with_settings(door.system, callback_allow="127.0.0.1/32")
    async with receiving("", "") as receiver:
        receiver.any_json, receiver.script = True, [None, None, 422]
        await make(door, url=receiver.url)
        headers = {"Accept-Language": language}
        data = {"to": "a@example.org"}
        good = await visitor.post("/senders/hook/test", data=data, headers=headers)
        bad = await visitor.post("/senders/hook/test", headers=headers)
    assert all(word in good.text for word in words)
    assert "422" in bad.text
    assert "/webhook-senders/hook/edit" in bad.text
