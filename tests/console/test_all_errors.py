"""Forms tell all that is wrong at once, beside the fields, in the reader's language."""

import re
from html import unescape
from typing import Any

import pytest

from console.administration.test_settings import followed
from console.conftest import Visit
from console.world import furnish
from support.doors import Door
from ums.console.forms import Form
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.errors import Invalid

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SENDER: dict[str, Any] = {
    "preset": "custom",
    "name": "Main",
    "code": "main",
    "host": "smtp.example.org",
    "port": "465",
    "encryption": "ssl",
    "account": "a@example.org",
    "password": "secret",
    "from_address": "a@example.org",
    "from_name": "",
}


def told(page: str) -> dict[str, str]:
    """What stands beside each field."""
    found = re.findall(r'<p class="error" id="([\w:.-]+)-error">([^<]*)</p>', page)
    return {name: unescape(words) for name, words in found}


def held(page: str, name: str) -> str:
    """What stands in the field."""
    (found,) = re.findall(rf'<input id="{re.escape(name)}"[^>]* value="([^"]*)"', page)
    return unescape(found)


def in_language(words: list[str], language: str) -> bool:
    return all(bool(CHINESE.search(one)) == (language == "zh") for one in words)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_new_sender(door: Door, visit: Visit, language: str) -> None:
    visitor = await visit()
    wrong = {
        "name": "x" * 31,
        "code": "a b",
        "host": "no host",
        "port": "x",
        "account": "a\x01",
        "password": "p\x01",
        "from_address": "nobody",
        "from_name": "a\x01",
    }
    headers = {"Accept-Language": language}
    refused = await visitor.post("/senders", data={**SENDER, **wrong}, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert "from_address" not in "".join(errors.values())
    assert "p\x01" not in refused.text
    await followed(visitor, await visitor.post("/senders", data=SENDER))
    other = {**SENDER, "code": "other"}
    await followed(visitor, await visitor.post("/senders", data={**other, "name": "Other"}))
    taken = await visitor.post("/senders", data={**other, "port": "0"}, headers=headers)
    assert set(told(taken.text)) == {"name", "code", "port"}


async def test_a_test_mail_of_a_template(door: Door, visit: Visit) -> None:
    visitor = await visit()
    pages = await furnish(door, visitor)
    path = pages["template"].partition("?")[0]
    refused = await visitor.post(f"{path}/test", data={"to": "nobody", "userid": "missing"})
    assert refused.status_code == 400
    assert "exactly one @" in told(refused.text)["to"]
    assert "There is no such user." in refused.text


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_sender_that_changes(door: Door, visit: Visit, language: str) -> None:
    visitor = await visit()
    for code in ("main", "other"):
        fields = {name: SENDER[name] for name in ("host", "account", "password", "from_address")}
        new = NewSender(code=code, name=code, port=465, encryption="ssl", **fields)
        await senders.create(door.system, new)
    moved = {"name": "other", "host": "smtp2.example.org", "password": "", "from_address": "no"}
    refused = await visitor.post(
        "/senders/main", data={**SENDER, **moved}, headers={"Accept-Language": language}
    )
    errors = told(refused.text)
    assert set(errors) == {"name", "password", "from_address"}
    assert in_language([*errors.values()], language)
    assert (await senders.show(door.system, "main")).host == "smtp.example.org"


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_template(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    base, headers = f"/channels/{channel.key}/templates", {"Accept-Language": language}
    good = {"name": "One", "subject": "s", "kind": "html", "html": "<p>x</p>"}
    first = await visitor.post(base, data=good)
    made = first.headers["location"].partition("?")[0]
    await visitor.post(base, data={**good, "name": "Two"})
    wrong = {"subject": " ", "html": "{{ a\n\n{% nothing %}", "text": "{{", "defaults": "["}
    for path, name in ((base, "x" * 61), (base, "One"), (made, "Two")):
        refused = await visitor.post(path, data={**good, **wrong, "name": name}, headers=headers)
        assert refused.status_code in (400, 409)
        errors = told(refused.text)
        assert set(errors) == {"name", *wrong}, path
        assert in_language([*errors.values()], language)
    empty = await visitor.post(base, data={**good, "html": "", "name": ""}, headers=headers)
    assert set(told(empty.text)) == {"name", "html"}
    (name_of_source,) = re.findall(r'<label for="html">([^<]*?) *<', empty.text)
    assert name_of_source in errors["html"]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_no_error_has_the_name_of_a_parameter(
    door: Door, visit: Visit, language: str
) -> None:
    visitor = await visit()
    headers = {"Accept-Language": language}
    refused = await visitor.post("/tokens", data={"name": "ci"}, headers=headers)
    (words,) = re.findall(r'<p class="(?:error|trouble)"[^>]*>([^<]*)</p>', refused.text)
    assert "scopes" not in words
    assert in_language([words], language)
    for reason, values in (
        ("missing", {}),
        ("control_characters", {}),
        ("one_value", {}),
        ("bad_value", {}),
    ):
        error = Invalid(reason, field="msg_scopes", **values)
        for known in ({}, {"msg_scopes": ""}):
            form = Form(known, error=error, language=language)
            words = form.trouble or form.error("msg_scopes", "Scopes")
            assert "msg_scopes" not in words
            assert words[:1].upper() == words[:1]


def test_what_is_wrong_with_one_field_is_told_once_each() -> None:
    errors = [Invalid("port_range", field="port"), Invalid("zone_unknown", field="port")]
    form = Form({"port": ""}, error=errors[0], others=errors)
    assert len(form.error("port").splitlines()) == 2
    form = Form({}, error=errors[0], others=errors)
    assert len(form.trouble.splitlines()) == 2


WRITTEN: dict[str, Any] = {"to": "people", "with": "html", "zone": "UTC", "priority": ""}
ALL_OF_A_MESSAGE: list[tuple[dict[str, str], set[str]]] = [
    (
        {"people": "no body", "subject": "", "body": "", "reply_to": "x", "starts": "soon"},
        {"people", "subject", "body", "reply_to", "starts"},
    ),
    (
        {"to": "tags", "tags": "", "subject": "a\x01", "starts": "2001-01-01T00:00"},
        {"tags", "subject", "body", "starts"},
    ),
    (
        {"to": "segment", "with": "template", "variables": "no value", "reply_to": "x"},
        {"segment", "template", "variables", "reply_to"},
    ),
    (
        {"to": "list", "subject": "", "body": "<p>{{ a</p>", "variables": "x", "starts": "x"},
        {"list", "subject", "body", "variables", "starts"},
    ),
    (
        {"to": "list", "with": "mjml", "subject": "s", "body": "<mjml>", "reply_to": "x"},
        {"list", "body", "reply_to"},
    ),
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("wrong", "fields"), ALL_OF_A_MESSAGE)
async def test_a_message(
    door: Door, visit: Visit, language: str, wrong: dict[str, str], fields: set[str]
) -> None:
    visitor, channel = await visit(), await door.channel()
    headers = {"Accept-Language": language}
    given = {**WRITTEN, "channel": channel.key, **wrong}
    refused = await visitor.post("/send", data=given, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == fields
    assert in_language([*errors.values()], language)
    assert 'role="alert"' not in refused.text  # nothing is said above the form


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_message_with_values_that_its_template_lacks(
    door: Door, visit: Visit, language: str
) -> None:
    visitor, channel = await visit(), await door.channel()
    base, headers = f"/channels/{channel.key}/templates", {"Accept-Language": language}
    source = {"name": "One", "subject": "s", "kind": "html", "html": "<p>{{ order }}</p>"}
    made = (await visitor.post(base, data=source)).headers["location"].partition("?")[0]
    who = {"to": "people", "people": "a@example.org", "starts": "x"}
    given = {**WRITTEN, "channel": channel.key, **who, "with": "template"}
    given["template"] = made.rpartition("/")[2]
    refused = await visitor.post("/send", data=given, headers=headers)
    errors = re.findall(r'<p class="error" id="([\w-]+)-error"', refused.text)
    assert sorted(errors) == ["skip_lacking", "starts"]
    assert "<code>order</code>" in refused.text


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_rule_for_replies(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    good = {"text": "mailbox is gone", "code": "550", "reason": "account_suspended"}
    await followed(visitor, await visitor.post("/replies", data=good))
    for wrong, fields in (
        ({"text": "x", "code": "9", "reason": "nothing"}, {"text", "code", "reason"}),
        ({"reason": ""}, {"text", "reason"}),  # known already
    ):
        refused = await visitor.post("/replies", data={**good, **wrong}, headers=headers)
        assert refused.status_code == 400
        assert set(told(refused.text)) == fields
        assert in_language([*told(refused.text).values()], language)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_material(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    large = b"x" * (door.system.settings.material_limit_bytes + 1)
    for files, status in (
        ({"file": ("", b"")}, 400),
        ({"file": ("large.bin", large)}, 400),
    ):
        data = {"hours": "999", "channel": ""}
        refused = await visitor.post("/materials", data=data, files=files, headers=headers)
        assert refused.status_code == status
        errors = told(refused.text)
        assert set(errors) == {"file", "hours"}
        assert in_language([*errors.values()], language)
    alone = await visitor.post(
        "/materials", data={"hours": "1"}, files={"file": ("l.bin", large)}, headers=headers
    )
    assert alone.status_code == 413
    assert set(told(alone.text)) == {"file"}
    assert (await visitor.get("/materials")).text.count("<tbody>") == 0


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pasted_lines_are_named(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    headers = {"Accept-Language": language}
    made = await visitor.post(f"/channels/{channel.key}/lists", data={"name": "L", "kind": "block"})
    for path, field, good in (
        (f"/channels/{channel.key}/suppressions", "addresses", "a1@example.com"),
        (made.headers["location"].partition("?")[0], "entries", "someone"),
    ):
        text = f"{good}\r\nb a d\r\n\r\nworse one\r\n@"
        refused = await visitor.post(path, data={field: text}, headers=headers)
        assert refused.status_code == 400
        words = told(refused.text)[field]
        assert "2 (b a d), 4 (worse one), 5 (@)" in words
        assert in_language([words], language)
        await followed(visitor, await visitor.post(path, data={field: good}))


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_columns_of_an_import(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    files = {"file": ("a.csv", b"A,B,C,D,E\n1,2,3,4,5\n")}
    path = (await visitor.post("/imports", files=files)).headers["location"]
    data = {
        "column": ["userid", "userid", "user.", "user.", "email"],
        "attribute": ["", "", "full name", "", ""],
        "start": "1",
    }
    refused = await visitor.post(path, data=data, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == {"column-1", "column-2", "column-3"}
    assert in_language([*errors.values()], language)
    assert "bind_id" not in refused.text.partition('role="alert"')[2][:600]
    part = await visitor.post(path, data=data, headers={**headers, "HX-Request": "true"})
    assert all(words in unescape(part.text) for words in errors.values())
    good = {**data, "column": ["userid", "", "user.", "", "email"]}
    good["attribute"] = ["", "", "full_name", "", ""]
    assert (await visitor.post(path, data=good)).status_code == 303


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_default_values_name_the_variable(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    headers = {"Accept-Language": language}
    source = {"name": "One", "subject": "s", "kind": "html", "html": "<p>x</p>"}
    data = {**source, "defaults": '{"order no": 1}'}
    refused = await visitor.post(f"/channels/{channel.key}/templates", data=data, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert "order no" in errors.pop("defaults")
    assert errors == {}


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_zone_of_a_warm_up(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    await followed(visitor, await visitor.post("/senders", data=SENDER))
    plan = {"start": "50", "growth": "30", "target": "1000", "zone": "00:00 Asia/Shanghai"}
    refused = await visitor.post("/senders/main/warm-up", data=plan, headers=headers)
    assert refused.status_code == 400
    words = told(refused.text)["zone"]
    assert "00:00" not in words
    assert in_language([words], language)
    right = {**plan, "zone": "Asia/Shanghai"}
    assert (await visitor.post("/senders/main/warm-up", data=right)).status_code == 303
