"""Segments and materials over the management API."""

from typing import Any

import pytest_asyncio

from support.doors import Answer, Basic, Door, OneChannel, Token

GROWN = {"attribute": {"name": "age", "op": "ge", "value": 18}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def test_a_segment_from_its_making_to_its_end(door: Door) -> None:
    admin = await door.api_token()
    people = [{"userid": f"seg{age}", "attributes": {"age": age}} for age in (10, 20, 30, 40)]
    await door.post("/v1/user/opt", people, await door.access_key())
    counted = await door.post("/api/segments/count", {"conditions": GROWN}, admin)
    assert counted.body == {"users": 3}
    first = await door.post("/api/segments/sample?limit=2", {"conditions": GROWN}, admin)
    assert [one["userid"] for one in first.body["items"]] == ["seg20", "seg30"]
    rest = await door.post(
        f"/api/segments/sample?limit=2&after={first.body['next']}", {"conditions": GROWN}, admin
    )
    assert ([one["userid"] for one in rest.body["items"]], rest.body["next"]) == (["seg40"], None)
    made = await door.post("/api/segments", {"name": "grown", "conditions": GROWN}, admin)
    assert (made.status, made.body["conditions"]) == (201, GROWN)
    one = f"/api/segments/{made.body['id']}"
    assert (await door.get(f"{one}/count", admin)).body == {"users": 3}
    users = await door.listed(f"{one}/users", admin)
    assert [each["userid"] for each in users] == ["seg20", "seg30", "seg40"]
    named = await door.send("PATCH", one, {"name": "adults"}, admin, If_Match=made.headers["etag"])
    assert named.body["name"] == "adults"
    stale = await door.send("PATCH", one, {"name": "x"}, admin, If_Match=made.headers["etag"])
    assert stale.told == (412, 4004, "outdated")
    assert [each["name"] for each in await door.listed("/api/segments", admin)] == ["adults"]
    assert (await door.ask("DELETE", one, admin)).status == 204
    assert (await door.get(one, admin)).told == (404, 4004, "segment_unknown")


async def test_a_channel_uses_segments_and_changes_none(shared: Door, admin: Token) -> None:
    made = await shared.post("/api/segments", {"name": "for all"}, admin)
    one = f"/api/segments/{made.body['id']}"
    channel = await shared.channel()
    assert (await shared.get(one, channel)).body["name"] == "for all"
    assert (await shared.send("PATCH", one, {"name": "x"}, channel)).status == 403
    bound = await shared.api_token("segments:write", channels=[channel.key])
    for answer in (
        await shared.send("PATCH", one, {"name": "x"}, bound),
        await shared.ask("DELETE", one, bound),
        await shared.get(f"{one}/users", bound),
        await shared.post("/api/segments/sample", {"conditions": {}}, bound),
        await shared.post("/api/segments/count", {"conditions": {}}, bound),
        await shared.post("/api/segments", {"name": "y"}, bound),
    ):
        assert answer.told == (403, 4005, "caller_bound")


async def test_conditions_that_cannot_be(shared: Door, admin: Token) -> None:
    wrong: list[dict[str, Any]] = [{"nonsense": 1}, {"and": {}}, {"attribute": {"name": "a"}}]
    for conditions in wrong:
        answer = await shared.post("/api/segments/count", {"conditions": conditions}, admin)
        assert answer.told == (400, 4004, "bad_conditions")
        assert answer.body["field"].startswith("conditions")
    answer = await shared.post("/api/segments", {"name": " x", "conditions": {}}, admin)
    assert answer.told == (400, 4004, "misfit")


# -- materials --------------------------------------------------------------------------------


async def upload(door: Door, who: OneChannel | Basic | Token, **fields: Any) -> Answer:
    files = {"file": ("报价.pdf", b"%PDF-1.7", "application/pdf")}
    return await door.ask("POST", "/api/materials", who, files=files, data=fields)


async def test_a_material_from_upload_to_deletion(shared: Door) -> None:
    channel = await shared.channel()
    made = await upload(shared, channel, hours=2)
    assert made.status == 201
    shown = made.body
    assert (shown["name"], shown["size"], shown["channelkey"]) == ("报价.pdf", 8, channel.key)
    one = f"/api/materials/{shown['id']}"
    assert (await shared.get(one, channel)).body == shown
    assert [each["id"] for each in await shared.listed("/api/materials", channel)] == [shown["id"]]
    assert (await shared.http.get(shown["url"])).status_code == 403
    deleted = await shared.ask("DELETE", one, channel)
    assert (deleted.status, deleted.body["expired"]) == (200, True)
    assert (await shared.get(one, channel)).told == (404, 4004, "no_material")


async def test_a_material_is_its_channels(shared: Door, admin: Token) -> None:
    channel, other = await shared.channel(), await shared.channel()
    made = (await upload(shared, admin, channel=channel.key)).body
    assert made["channelkey"] == channel.key
    assert (await shared.get(f"/api/materials/{made['id']}", other)).status == 404
    assert (await shared.ask("DELETE", f"/api/materials/{made['id']}", other)).status == 404
    of_it = await shared.get(f"/api/materials?channel={channel.key}", admin)
    assert [each["id"] for each in of_it.body["items"]] == [made["id"]]
    nobodys = (await upload(shared, admin)).body
    assert nobodys["channelkey"] is None


async def test_an_upload_that_cannot_be(shared: Door) -> None:
    channel = await shared.channel()
    assert (await upload(shared, channel, hours=169)).told == (400, 4004, "misfit")
    assert (await upload(shared, channel, colour="red")).told == (400, 4004, "unknown_field")
    without = await shared.ask("POST", "/api/materials", channel, data={"hours": "1"})
    assert without.told == (415, 4004, "wrong_media")
