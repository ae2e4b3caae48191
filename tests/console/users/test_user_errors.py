"""The forms of users tell all that is wrong at once, beside the fields."""

import pytest

from console.conftest import Visit
from console.test_all_errors import held, in_language, told
from support.doors import Door
from ums.core.users import users

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
