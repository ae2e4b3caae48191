"""The forms of what a sender may send tell all that is wrong at once, beside the fields."""

import pytest

from console.conftest import Visit
from console.test_all_errors import held, in_language, told
from support.doors import Door
from ums.core.senders import senders, warm_up
from ums.core.senders.senders import NewSender

LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


async def make_sender(door: Door) -> None:
    account = {"host": "smtp.example.org", "port": 465, "encryption": "ssl"}
    new = NewSender(code="main", name="main", from_address="a@example.org", **account)
    await senders.create(door.system, new)


@LANGUAGES
async def test_caps(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    await make_sender(door)
    rows = [("x", "86400", "noon"), ("5", "7", "00:00 UTC"), ("9", "x", ""), ("0", "3600", "")]
    names = ("count", "seconds", "reset")
    fields = {
        f"{n}_{i}": one for i, row in enumerate(rows) for n, one in zip(names, row, strict=True)
    }
    fields |= {"count_4": "1", "seconds_4": "3600", "reset_4": "", "urgent_reserve_percent": "91"}
    refused = await visitor.post("/senders/main/caps", data=fields, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    wrong = {"count_0", "reset_0", "seconds_1", "seconds_2", "count_3", "seconds_4"}
    assert set(errors) == {*wrong, "urgent_reserve_percent"}
    assert in_language([*errors.values()], language)
    for name in ("count_0", "reset_0", "count_1", "urgent_reserve_percent"):
        assert held(refused.text, name) == fields[name]
    assert not (await senders.show(door.system, "main")).caps


@LANGUAGES
async def test_a_warm_up(door: Door, visit: Visit, language: str) -> None:
    visitor, headers = await visit(), {"Accept-Language": language}
    await make_sender(door)
    path = "/senders/main/warm-up"
    wrong = {"start": "x", "growth": "201", "target": "", "zone": "Moon/Base"}
    refused = await visitor.post(path, data=wrong, headers=headers)
    assert refused.status_code == 400
    errors = told(refused.text)
    assert set(errors) == set(wrong)
    assert in_language([*errors.values()], language)
    assert {name: held(refused.text, name) for name in wrong} == wrong
    low = {**wrong, "start": "50", "target": "49", "growth": "50"}
    refused = await visitor.post(path, data=low, headers=headers)
    assert set(told(refused.text)) == {"target", "zone"}
    assert await warm_up.show(door.system, "main") is None
