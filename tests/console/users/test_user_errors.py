"""The forms of users tell all that is wrong at once, beside the fields."""

import pytest

from console.conftest import Visit
from console.test_all_errors import held, in_language, told
from support.doors import Door
from ums.core.users import segments, users

LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


@LANGUAGES
async def test_a_user(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    headers, good = {"Accept-Language": language}, {"userid": "li", "email:all": "li@example.org"}
    assert (await visitor.post("/users", data=good)).status_code == 303
    wrong = {
        "email:all": "nobody",
        f"email:{channel.key}": "a@",
        "tags:all": "good, \u202ebad",
        f"tags:{channel.key}": "x" * 100,
        "attributes": "[",
    }
    for userid in ("li", "a b" * 40, ""):
        fields = {"userid": userid, **wrong}
        refused = await visitor.post("/users", data=fields, headers=headers)
        assert refused.status_code == 400
        errors = told(refused.text)
        assert set(errors) == set(fields)
        assert in_language([*errors.values()], language)
        assert held(refused.text, "userid") == userid
        assert held(refused.text, f"email:{channel.key}") == "a@"
    changed = await visitor.post("/users/li", data=wrong, headers=headers)
    assert set(told(changed.text)) == set(wrong)
    assert in_language([*told(changed.text).values()], language)
    large = {**wrong, "attributes": '{"a": "' + "x" * 20_000 + '"}'}
    changed = await visitor.post("/users/li", data=large, headers=headers)
    assert set(told(changed.text)) == set(wrong)
    async with door.system.database.read() as tx:
        kept = await users.find(tx, "li")
    assert kept is not None
    assert kept.addresses == {"email": {"all": ["li@example.org"]}}
    assert (kept.tags, kept.attributes) == ({}, {})


@LANGUAGES
async def test_a_segment(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    await segments.create(door.system, "Taken", {})
    rows = {
        "mode": "rows",
        "0-kind": "tag",
        "0-tags": "",
        "1-kind": "tag",
        "1-tags": "good, \u202ebad",
        "2-kind": "tag",
        "2-tags": "vip",
        "3-kind": "engagement",
        "3-times": "1001",
        "3-days": "30",
    }
    for name in ("", "x" * 61, "Taken"):
        refused = await visitor.post("/segments", data={**rows, "name": name}, headers=headers)
        assert refused.status_code in (400, 409)
        errors = told(refused.text)
        assert set(errors) == {"name", "row-0", "row-1", "row-3"}
        assert in_language([*errors.values()], language)
        assert held(refused.text, "name") == name
        assert held(refused.text, "2-tags") == "vip"
    json = {"mode": "json", "name": "Taken"}
    for text in ("[", '{"tag": 1}'):
        refused = await visitor.post(
            "/segments", data={**json, "conditions": text}, headers=headers
        )
        errors = told(refused.text)
        assert set(errors) == {"name", "conditions"}
        assert in_language([*errors.values()], language)
    assert len(await segments.list_segments(door.system)) == 1


@LANGUAGES
@pytest.mark.parametrize("tag", ["vip gold", "a,b", "vip/gold", "汉" * 14])
async def test_a_tag_that_is_none_changes_nobody(
    door: Door, visit: Visit, language: str, tag: str
) -> None:
    visitor = await visit(language=language)
    await visitor.post("/users", data={"userid": "li", "email:all": "li@example.org"})
    data = {"userid": "li", "tag": tag, "doing": "add", "filter_search": "li"}
    answer = await visitor.post("/users-chosen", data=data)
    assert (answer.status_code, answer.headers["location"].startswith("/users?")) == (303, True)
    page = (await visitor.get(answer.headers["location"])).text
    assert ("40 bytes" in page, "40 字节" in page) == (language == "en", language == "zh")
    assert "add.tag" not in page
    async with door.system.database.read() as tx:
        found = await users.find(tx, "li")
    assert found is not None
    assert found.tags == {}
