"""The forms of channels tell all that is wrong at once, beside the fields."""

import re

import pytest

from console.conftest import Visit
from console.test_all_errors import held, in_language, told
from support.doors import Door
from support.flow import with_settings
from support.receiver import receiving
from support.telling import ALLOWED
from ums.core.audit import audit_log
from ums.core.channels import channels
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
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


@LANGUAGES
async def test_rules(door: Door, visit: Visit, language: str) -> None:
    visitor, channel = await visit(), await door.channel()
    path, headers = f"/channels/{channel.key}/rules", {"Accept-Language": language}
    before = await channels.rules_of(door.system, channel.key)
    wrong = {
        "zone": "Moon/Base",
        "approval_from": "0",
        "quiet_start": "8",
        "quiet_end": "",
        "cap_count": "x",
        "cap_hours": "0",
        "broadcasts_per_day": "",
        "requests_per_second": "-1",
    }
    data = {**wrong, "quiet_action": "delay"}
    refused = await visitor.post(path, data=data, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert {name: held(refused.text, name) for name in wrong} == wrong
    numbers = {"approval_from": "1", "broadcasts_per_day": "0", "requests_per_second": "0"}
    same = {**data, **numbers, "zone": "UTC", "quiet_start": "08:00", "quiet_end": "08:00"}
    refused = await visitor.post(path, data={**same, "cap_count": "2", "cap_hours": ""})
    assert set(told(refused.text)) == {"quiet_end", "cap_hours"}
    assert await channels.rules_of(door.system, channel.key) == before


@LANGUAGES
async def test_a_route(door: Door, visit: Visit, language: str) -> None:
    """Nothing is changed where one number is wrong."""
    visitor, headers = await visit(), {"Accept-Language": language}
    made = await channels.create(door.system, "Route", "route")
    for code in ("one", "two"):
        account = {"host": "smtp.example.org", "port": 465, "encryption": "ssl"}
        new = {"code": code, "name": code, "from_address": f"{code}@example.org", **account}
        await senders.create(door.system, NewSender(**new, channels=[made.channelkey]))
    before = await channels.show(door.system, "route")
    good = {"default": "two", "rank_one": "2", "weight_one": "5"}
    wrong = {"rank_two": "10", "weight_two": "x"}
    refused = await visitor.post("/channels/route/route", data={**good, **wrong}, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert re.search(r'name="weight_one" value="5"', refused.text)
    assert re.search(r'name="weight_two" value="x"', refused.text)
    assert re.search(r'name="default" value="two"[^>]* checked', refused.text)
    assert await channels.show(door.system, "route") == before
    right = {**good, "rank_two": "1", "weight_two": "3"}
    assert (await visitor.post("/channels/route/route", data=right)).status_code == 303
    shown = await channels.show(door.system, "route")
    assert {leg.sender: (leg.rank, leg.weight) for leg in shown.route} == {
        "one": (2, 5),
        "two": (1, 3),
    }


async def test_a_route_of_no_senders_changes_nothing(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await channels.create(door.system, "Bare", "bare")
    async with door.system.database.read() as tx:
        before = (await audit_log.list_audit(tx)).items
    assert (await visitor.post("/channels/bare/route", data={})).status_code == 303
    async with door.system.database.read() as tx:
        assert (await audit_log.list_audit(tx)).items == before
