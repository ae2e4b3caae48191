"""The forms of administrators tell all that is wrong at once, beside the fields."""

import re
from typing import Any

import pytest

from console.conftest import PASSWORD, Visit, browsing
from console.test_all_errors import held, in_language, told
from support.doors import Door
from ums.core.identity import api_tokens, invitations, operators
from ums.core.settings import runtime_settings

LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


@LANGUAGES
async def test_a_token(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    channel = await door.channel()
    wrong: dict[str, Any] = {"name": "x" * 41, "channels": [channel.key, "nowhere"]}
    for scopes in ([], ["nothing:read", "stats:read"]):
        refused = await visitor.post("/tokens", data={**wrong, "scopes": scopes}, headers=headers)
        assert refused.status_code in (400, 404)
        errors = told(refused.text)
        assert set(errors) == {"name", "scopes", "channels"}
        assert in_language([*errors.values()], language)
        assert held(refused.text, "name") == wrong["name"]
    assert re.search(r'value="stats:read" checked', refused.text)
    assert re.search(f'value="{channel.key}" checked', refused.text)
    nameless = await visitor.post("/tokens", data={"name": " "}, headers=headers)
    assert set(told(nameless.text)) == {"name", "scopes"}
    assert not (await api_tokens.list_tokens(door.system)).items


@LANGUAGES
async def test_an_invitation(door: Door, language: str) -> None:
    await operators.create(door.system, "taken", PASSWORD)
    token = await invitations.create(door.system, "viewer", actor="test")
    path, headers = f"/invitation/{token}", {"Accept-Language": language}
    async with browsing(door) as visitor:
        for name in ("a/b", "Taken", ""):
            fields = {"name": name, "password": "short", "again": "other"}
            refused = await visitor.post(path, data=fields, headers=headers)
            assert refused.status_code in (400, 409)
            errors = told(refused.text)
            assert set(errors) == {"name", "password", "again"}
            assert in_language([*errors.values()], language)
            assert held(refused.text, "name") == name
            assert held(refused.text, "password") == ""
        own = {"name": "new", "password": PASSWORD, "again": PASSWORD}
        assert (await visitor.post(path, data=own)).status_code == 303


@LANGUAGES
async def test_another_password(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    fields = {"old": "wrong", "password": "short", "again": "other"}
    refused = await visitor.post("/account/password", data=fields, headers=headers)
    errors = told(refused.text)
    assert set(errors) == {"old", "password", "again"}
    assert in_language([*errors.values()], language)
    same = {"old": PASSWORD, "password": PASSWORD, "again": "other"}
    refused = await visitor.post("/account/password", data=same, headers=headers)
    assert set(told(refused.text)) == {"password", "again"}


@LANGUAGES
async def test_settings(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    wrong = {
        "sender_ports": "x",
        "smtp_sessions": "0",
        "import_rows": "many",
        "attachments_limit_bytes": "1.5",
        "material_limit_bytes": "999",
        "message_retention_days": "-1",
    }
    before = runtime_settings.show(door.system)
    good = {"smtp_session_messages": "17"}
    refused = await visitor.post("/settings", data={**wrong, **good}, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert {name: held(refused.text, name) for name in (wrong | good)} == wrong | good
    assert runtime_settings.show(door.system) == before


@LANGUAGES
async def test_the_name_and_the_logo(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    fields, files = {"brand": "x" * 41}, {"logo": ("logo.svg", b"<svg/>", "image/svg+xml")}
    refused = await visitor.post("/settings/brand", data=fields, files=files, headers=headers)
    errors = told(refused.text)
    assert set(errors) == {"brand", "logo"}
    assert in_language([*errors.values()], language)
    assert held(refused.text, "brand") == fields["brand"]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_an_invitation_to_a_channel_that_is_gone(
    door: Door, visit: Visit, language: str
) -> None:
    visitor = await visit()
    data, headers = {"role": "viewer", "channels": "gone"}, {"Accept-Language": language}
    refused = await visitor.post("/operators/invite", data=data, headers=headers)
    assert refused.status_code == 404
    assert 'action="/operators/invite"' in refused.text  # the form again, not a page of its own
    assert ("gone" in refused.text, "不存在" in refused.text) == (True, language == "zh")
