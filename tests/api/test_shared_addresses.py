"""Addresses that all channels use: who may replace and remove them, and what the log says."""

from typing import Any

import pytest

from support.doors import Door, OneChannel

SHARED = {"email": {"all": "one@example.org"}}
TWO = {"email": {"all": "two@example.org"}}


async def person(door: Door, userid: str = "zhangsan") -> None:
    """A user whom every channel reaches."""
    entry = [{"userid": userid, "set": SHARED}]
    answer = await door.post("/v1/user/opt", entry, await door.access_key())
    assert answer.body["data"]["fail"] == []


async def rule(door: Door, channel: OneChannel, **rules: bool) -> None:
    path, admin = f"/api/channels/{channel.key}/rules", await door.api_token()
    assert (await door.send("PATCH", path, rules, admin)).status == 200


async def held(door: Door, userid: str = "zhangsan") -> list[str]:
    shown = await door.get(f"/api/users/{userid}", await door.api_token())
    return shown.body["addresses"].get("email", {}).get("all", [])


async def log(door: Door) -> list[dict[str, Any]]:
    path = "/api/audit?action=user.shared&sort=created_at"
    return (await door.get(path, await door.api_token())).body["items"]


@pytest.mark.parametrize(
    "change",
    [
        {"set": TWO},
        {"set": {"email": {"all": ""}}},
        {"del": {"email": {"all": ""}}},
        {"del": SHARED},
        {"set": {"wechatwk": "theirs"}},
    ],
)
async def test_a_channel_key_may_as_with_the_hosted_ums_unless_the_channel_says_no(
    door: Door, change: dict[str, Any]
) -> None:
    await person(door)
    channel = await door.channel()
    start = [{"userid": "zhangsan", "set": {"wechatwk": "first", "phone": {"all": "123456"}}}]
    await door.post("/v1/user/opt", start, channel)
    await rule(door, channel, key_replaces_shared=False)
    before = (await door.get("/api/users/zhangsan", await door.api_token())).body["addresses"]
    noted = len(await log(door))
    for path in ("/v1/user/opt", "/api/users"):
        answer = (await door.post(path, [{"userid": "zhangsan", **change}], channel)).body
        [failed] = answer.get("data", answer)["fail"]
        assert failed["errcode"] == "4004"
        assert "all channels use this address" in failed["errmsg"]
    after = (await door.get("/api/users/zhangsan", await door.api_token())).body["addresses"]
    assert (after, len(await log(door))) == (before, noted)
    await rule(door, channel, key_replaces_shared=True)
    answer = await door.post("/v1/user/opt", [{"userid": "zhangsan", **change}], channel)
    assert answer.body["data"]["fail"] == []
    [*_, entry] = await log(door)
    assert (entry["actor"], entry["subject"]) == (f"channel:{channel.key}", "zhangsan")
    assert entry["before"] != entry["after"]


async def test_adding_one_and_writing_the_same_again_is_for_every_key(door: Door) -> None:
    channel = await door.channel()
    await rule(door, channel, key_replaces_shared=False)
    entry = [{"userid": "lisi", "set": SHARED}]
    for _ in range(2):
        assert (await door.post("/v1/user/opt", entry, channel)).body["data"]["fail"] == []
    [noted] = await log(door)
    assert noted["before"] == {"from 1": ["lisi email: "]}
    assert noted["after"] == {"from 1": ["lisi email: one@example.org"]}


async def test_who_is_bound_to_channels_adds_and_does_not_replace(door: Door) -> None:
    await person(door)
    channel = await door.channel()
    token = await door.api_token("users:write", channels=[channel.key])
    one = "/api/users/zhangsan"
    put = {"addresses": {"email": {"all": ["two@example.org"]}}}
    for method, body in (("PATCH", {"set": TWO}), ("PUT", put), ("PUT", {"addresses": {}})):
        refused = await door.send(method, one, body, token)
        assert refused.told == (400, 4004, "shared_address")
    bulk = await door.post("/api/users", [{"userid": "zhangsan", "set": TWO}], token)
    assert [each["userid"] for each in bulk.body["fail"]] == ["zhangsan"]
    assert (await door.ask("DELETE", one, token)).status == 403
    assert await held(door) == ["one@example.org"]
    own = {"addresses": {"email": {"all": ["one@example.org"], channel.key: ["own@example.org"]}}}
    assert (await door.send("PUT", one, own, token)).status == 200  # what is shared stays
    new = await door.send("PUT", "/api/users/wangwu", put, token)
    assert (new.status, await held(door, "wangwu")) == (201, ["two@example.org"])
    await rule(door, channel, bound_replace_shared=True)
    assert (await door.send("PATCH", one, {"set": TWO}, token)).status == 200
    assert await held(door) == ["two@example.org"]
    *_, entry = await log(door)
    assert entry["actor"].startswith("token:")
    assert entry["before"] == {"from 1": ["zhangsan email: one@example.org"]}
    assert entry["after"] == {"from 1": ["zhangsan email: two@example.org"]}


async def test_who_is_bound_to_several_channels_needs_the_consent_of_each(door: Door) -> None:
    await person(door)
    one, two = await door.channel(), await door.channel()
    token = await door.api_token("users:write", channels=[one.key, two.key])
    changes = ({"set": TWO}, {"del": SHARED}, {"set": {"email": {"all": ""}}})
    for allowed in ((False, False), (True, False), (False, True)):
        for channel, allows in zip((one, two), allowed, strict=True):
            await rule(door, channel, bound_replace_shared=allows)
        for change in changes:
            refused = await door.send("PATCH", "/api/users/zhangsan", change, token)
            assert refused.told == (400, 4004, "shared_address"), (allowed, change)
    assert await held(door) == ["one@example.org"]
    await rule(door, one, bound_replace_shared=True)
    assert (await door.send("PATCH", "/api/users/zhangsan", changes[0], token)).status == 200
    assert await held(door) == ["two@example.org"]


async def test_every_change_of_a_request_is_in_the_log_what_was_lost_first(door: Door) -> None:
    await person(door, "user0299")
    many = [{"userid": f"user{n:04}", "set": TWO} for n in range(450)]
    await door.post("/v1/user/opt", many, await door.access_key())
    _, *entries = await log(door)
    assert {entry["subject"] for entry in entries} == {"450 addresses"}
    assert [entry["detail"] for entry in entries] == [
        "450 changed, 1 to 200 of 450",
        "450 changed, 201 to 400 of 450",
        "450 changed, 401 to 450 of 450",
    ]
    told = [
        pair
        for entry in entries
        for place, lines in entry["before"].items()
        for pair in zip(lines, entry["after"][place], strict=True)
    ]
    assert told[0] == ("user0299 email: one@example.org", "user0299 email: two@example.org")
    rest = [f"user{n:04} email: " for n in range(450) if n != 299]
    assert sorted(told[1:]) == [(line, f"{line}two@example.org") for line in rest]


async def test_many_shared_values_of_one_user_are_told_one_by_one(door: Door) -> None:
    key, path = await door.access_key(), "/v1/user/opt"
    many = [f"corp{n:02}{'x' * 20}/person{n:02}" for n in range(60)]
    for values in (many, many[10:]):
        entry = [{"userid": "zhangsan", "set": {"wechatwk_linkedcorp": values}}]
        assert (await door.post(path, entry, key)).body["data"]["fail"] == []
    made, lost = await log(door)
    told = [line for lines in made["after"].values() for line in lines]
    assert told == [f"zhangsan wechatwk_linkedcorp: {value}" for value in many]
    told = [line for lines in lost["before"].values() for line in lines]
    assert told == [f"zhangsan wechatwk_linkedcorp: {value}" for value in many[:10]]
    assert {line for lines in lost["after"].values() for line in lines} == {
        "zhangsan wechatwk_linkedcorp: "
    }


async def test_what_is_deleted_was_shared(door: Door) -> None:
    await person(door)
    await person(door, "lisi")
    await door.ask("DELETE", "/api/users/zhangsan", await door.api_token())
    await door.post("/v1/user/delete", ["lisi"], await door.access_key())
    gone = (await log(door))[2:]
    assert [entry["before"]["from 1"] for entry in gone] == [
        ["zhangsan email: one@example.org"],
        ["lisi email: one@example.org"],
    ]
    assert gone[1]["actor"].startswith("accesskey:")
