"""The forms of channels tell all that is wrong at once, beside the fields."""

import pytest

from console.conftest import Visit
from console.test_all_errors import held, in_language, told
from support.doors import Door
from support.flow import with_settings
from support.receiver import receiving
from support.telling import ALLOWED
from ums.core.channels import channels
from ums.core.webhooks import endpoint_rows

LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


@LANGUAGES
async def test_a_new_channel(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    await channels.create(door.system, "Taken", "taken")
    for name, key in (("x" * 31, "a b"), ("", "all"), ("Taken", "taken"), ("Taken", "a-b")):
        wrong = {"name": name, "key": key, "zone": "Moon/Base"}
        refused = await visitor.post("/channels", data=wrong, headers=headers)
        assert refused.status_code in (400, 409)
        errors = told(refused.text)
        assert set(errors) == set(wrong)
        assert in_language([*errors.values()], language)
        assert {field: held(refused.text, field) for field in wrong} == wrong
    assert len(await channels.list_channels(door.system)) == 1


@LANGUAGES
async def test_a_callback_address(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    path, headers = f"/channels/{channel.key}/callbacks", {"Accept-Language": language}
    wrong = {
        "url": "nonsense",
        "schedule": "never",
        "form": "odd",
        "username": "a\x01",
        "password": "x" * 256,
    }
    refused = await visitor.post(path, data=wrong, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert held(refused.text, "url") == "nonsense"
    assert held(refused.text, "password") == ""
    pair = {"url": "ftp://example.org", "form": "signed", "username": "ums", "password": ""}
    refused = await visitor.post(path, data={**pair, "schedule": "hosted"}, headers=headers)
    assert set(told(refused.text)) == {"url", "username"}
    assert held(refused.text, "username") == "ums"
    insecure = {**wrong, "url": "http://example.org/x", "form": "hosted", "schedule": "hosted"}
    refused = await visitor.post(path, data=insecure, headers=headers)
    assert set(told(refused.text)) == {"url", "username", "password"}
    own = (await door.system.directory.now()).channels[channel.key]
    assert not await endpoint_rows.list_addresses(door.system, own)


@LANGUAGES
async def test_a_callback_address_that_changes(door: Door, visit: Visit, language: str) -> None:
    with_settings(door.system, **ALLOWED)
    visitor, channel = await visit(), await door.channel()
    path, headers = f"/channels/{channel.key}/callbacks", {"Accept-Language": language}
    async with receiving("ums", "word") as receiver:
        basic = {"form": "signed", "username": "ums", "password": "word"}
        for url in (receiver.url, f"{receiver.url}?2"):
            added = await visitor.post(path, data={**basic, "url": url, "schedule": "hosted"})
            assert added.status_code == 303
        kept = {**basic, "password": ""}
        for url in (f"{receiver.url}?2", "nonsense"):
            wrong = {**kept, "url": url, "form": "odd"}
            refused = await visitor.post(f"{path}/1", data=wrong, headers=headers)
            assert refused.status_code == 400
            errors = told(refused.text)
            assert set(errors) == {"url", "form", "password"}
            assert in_language([*errors.values()], language)
            assert (held(refused.text, "url"), held(refused.text, "username")) == (url, "ums")
        assert (
            await visitor.post(f"{path}/1", data={**kept, "url": receiver.url})
        ).status_code == 303
