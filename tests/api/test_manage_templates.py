"""Templates over the management API: from their making to a mail."""

from typing import Any

import pytest
import pytest_asyncio

from support.doors import Answer, Door, OneChannel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def who(shared: Door) -> OneChannel:
    return await shared.channel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(who: OneChannel) -> str:
    return f"/api/channels/{who.key}/templates"


async def make(door: Door, who: OneChannel, **body: Any) -> Answer:
    given = {"subject": "Hi {{ name }}", "html": "<p>{{ name }}, {{ city }}</p>", **body}
    return await door.post(f"/api/channels/{who.key}/templates", given, who)


async def test_a_template_and_its_versions(shared: Door, who: OneChannel, path: str) -> None:
    made = await make(shared, who, name="versions", defaults={"city": "Rome"})
    assert (made.status, made.body["version"], made.body["open"]) == (201, 1, True)
    assert (made.body["variables"], made.body["required"]) == (["city", "name"], ["name"])
    one = f"{path}/{made.body['id']}"
    assert (await shared.get(one, who)).headers["etag"] == made.headers["etag"]
    changed = await shared.send(
        "PATCH", one, {"text": "{{ name }}"}, who, If_Match=made.headers["etag"]
    )
    assert (changed.body["version"], changed.body["text"]) == (2, "{{ name }}")
    stale = await shared.send("PATCH", one, {"text": "x"}, who, If_Match=made.headers["etag"])
    assert stale.told == (412, 4004, "outdated")
    first = (await shared.get(f"{one}?version=1", who)).body
    assert (first["version"], first["newest"], first["text"]) == (1, 2, None)
    versions = await shared.listed(f"{one}/versions", who, 1)
    assert [each["version"] for each in versions] == [2, 1]
    assert (await shared.get(f"{one}?version=3", who)).status == 404
    assert (await shared.get(f"{path}/999999/versions", who)).status == 404
    listed = await shared.listed(path, who)
    assert made.body["id"] in [each["id"] for each in listed]


async def test_a_closed_one_is_not_sent_and_opens_again(
    shared: Door, who: OneChannel, path: str
) -> None:
    made = await make(shared, who, name="closing")
    one = f"{path}/{made.body['id']}"
    closed = await shared.send("PATCH", one, {"open": False}, who)
    assert (closed.body["open"], closed.body["version"]) == (False, 1)
    body = {"template": made.body["id"], "recipients": [{"address": "a@example.org"}]}
    assert (await shared.post("/api/messages", body, who)).told == (400, 1015073, "template_closed")
    assert (await shared.send("PATCH", one, {"open": True}, who)).body["open"] is True


async def test_a_look_with_a_real_user(shared: Door, who: OneChannel, path: str) -> None:
    made = await make(shared, who, name="look")
    user = {"userid": "looked", "attributes": {"name": "<Li>"}, "email": {"all": "li@example.org"}}
    await shared.post("/v1/user/opt", [user], await shared.access_key())
    look = f"{path}/{made.body['id']}/preview"
    nobody = (await shared.post(look, {}, who)).body
    assert (nobody["missing"], nobody["subject"]) == (["city", "name"], "Hi [name]")
    seen = (await shared.post(look, {"userid": "looked", "variables": {"city": "Xi'an"}}, who)).body
    assert (seen["missing"], seen["subject"], seen["problem"]) == ([], "Hi <Li>", "")
    assert "&lt;Li&gt;, Xi&#39;an" in seen["html"]
    strange = await shared.post(look, {"userid": "not there"}, who)
    assert strange.told == (400, 4004, "user_unknown")


async def test_a_test_is_one_mail(shared: Door, who: OneChannel, path: str) -> None:
    made = await make(shared, who, name="test")
    trial = f"{path}/{made.body['id']}/test"
    given = {"to": "me@example.org", "variables": {"name": "Wang", "city": "北京"}}
    sent = await shared.post(trial, given, who)
    assert sent.status == 201
    assert (await shared.done(sent.body["msgid"], who))["counts"] == {"sent": 1}
    assert b"Subject: Hi Wang" in shared.smtp.mails[-1].data
    lacking = await shared.post(trial, {"to": "me@example.org"}, who)
    assert lacking.told == (400, 4004, "variable_missing")
    wrong = await shared.post(trial, {**given, "to": "me"}, who)
    assert wrong.told == (400, 4004, "bad_address")
    reading = await shared.api_token("templates:write", channels=[who.key])
    assert (await shared.post(trial, given, reading)).told == (403, 4005, "scope_missing")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": "x", "subject": "{{", "text": "t"}, "template_source"),
        ({"name": "x", "subject": "s"}, "template_empty"),
        ({"name": "x", "subject": "s", "html": "{% for %}"}, "template_source"),
        ({"name": "", "subject": "s", "text": "t"}, "misfit"),
        ({"name": "x"}, "missing"),
        ({"name": "x", "subject": "s", "text": "t", "colour": 1}, "unknown_field"),
    ],
)
async def test_what_is_refused(
    shared: Door, who: OneChannel, path: str, body: dict[str, Any], reason: str
) -> None:
    answer = await shared.post(path, body, who)
    assert (answer.status, answer.body["reason"]) == (400, reason)


async def test_names_are_one_channels_own(shared: Door, who: OneChannel) -> None:
    other = await shared.channel()
    assert (await make(shared, who, name="same")).status == 201
    assert (await make(shared, who, name="same")).told == (409, 4004, "name_taken")
    assert (await make(shared, other, name="same")).status == 201
