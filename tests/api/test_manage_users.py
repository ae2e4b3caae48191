"""Users over the management API: searched, replaced, changed, deleted, and their history."""

from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from support.doors import Door, Token

_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def test_put_replaces_all_that_is_seen(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    path = "/api/users/put|1"
    first = {
        "attributes": {"city": "北京", "age": 3},
        "addresses": {
            "email": {"all": ["a@Example.ORG"], channel.key: ["b@example.org"]},
            "phone": {"all": ["138 0013 8000"]},
            "dingtalkcc": {"all": ["d1"]},
            "app": {channel.sender: ["r1", "r2"]},
        },
        "tags": {"all": ["x", "y"]},
    }
    made = await shared.send("PUT", path, first, admin)
    assert made.status == 201
    assert made.body["addresses"]["email"]["all"] == ["a@example.org"]
    assert made.body["addresses"]["phone"]["all"] == ["13800138000"]
    kept = {name: made.body[name] for name in ("attributes", "addresses", "tags")}
    again = await shared.send("PUT", path, kept, admin)
    assert again.status == 200
    assert {name: again.body[name] for name in kept} == kept
    second = {"attributes": {"age": 4}, "addresses": {"email": {"all": ["c@example.org"]}}}
    changed = await shared.send("PUT", path, second, admin)
    assert {name: changed.body[name] for name in kept} == {**second, "tags": {}}
    empty = await shared.send("PUT", path, {}, admin)
    assert {name: empty.body[name] for name in kept} == {name: {} for name in kept}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"addresses": {"fax": {"all": ["1"]}}}, "unknown_field"),
        ({"addresses": {"email": {"all": ["a@b.org", "c@b.org"]}}}, "one_value"),
        ({"addresses": {"email": {"all": ["nonsense"]}}}, "bad_address"),
        ({"addresses": {"email": {"nobody": ["a@b.org"]}}}, "bad_bind_id"),
        ({"addresses": {"dingtalkcc": {"nobody": ["x"]}}}, "bad_bind_id"),
        ({"tags": {"all": ["no spaces"]}}, "bad_tag"),
        ({"tags": {"all": [f"t{n}" for n in range(101)]}}, "limit"),
        ({"attributes": {"a": "x" * 20_000}}, "attributes_large"),
        ({"attributes": {"a\x00": 1}}, "control_characters"),
    ],
)
async def test_a_user_that_cannot_be(
    shared: Door, admin: Token, body: dict[str, Any], reason: str
) -> None:
    answer = await shared.send("PUT", "/api/users/cannot", body, admin)
    assert answer.told == (400, 4004, reason)
    assert (await shared.get("/api/users/cannot", admin)).status == 404


async def test_what_is_no_userid(shared: Door, admin: Token) -> None:
    for written in ("a%20b", "x" * 65, "%E4%BD%A0"):
        answer = await shared.send("PUT", f"/api/users/{written}", {}, admin)
        assert answer.told == (400, 4004, "bad_userid")


async def test_patch_takes_an_entry(shared: Door, admin: Token) -> None:
    await shared.send("PUT", "/api/users/patched", {"tags": {"all": ["a"]}}, admin)
    entry = {"add": {"tag": {"all": ["b"]}}, "set": {"email": {"all": "a@b.org"}}}
    changed = await shared.send("PATCH", "/api/users/patched", entry, admin)
    assert changed.body["tags"] == {"all": ["a", "b"]}
    assert changed.body["addresses"] == {"email": {"all": ["a@b.org"]}}
    for path, body, told in (
        ("patched", {"add": {"email": {"all": "a@b.org"}}}, (400, 4004, "single_valued")),
        ("patched", {"userid": "other"}, (400, 4004, "bad_value")),
        ("nobody", entry, (404, 4004, "user_unknown")),
    ):
        answer = await shared.send("PATCH", f"/api/users/{path}", body, admin)
        assert answer.told == told


async def test_many_at_once(shared: Door, admin: Token) -> None:
    entries = [{"userid": "m1", "email": {"all": "m1@many.example"}}, {"userid": "m 2"}]
    answer = await shared.post("/api/users", entries, admin)
    assert answer.status == 200
    assert answer.body["success"] == ["m1"]
    assert [(one["userid"], one["errcode"]) for one in answer.body["fail"]] == [("m 2", "4004")]
    for wrong in ([], [{}] * 1001, {}, [1]):
        assert (await shared.post("/api/users", wrong, admin)).status == 400


async def test_users_are_found(shared: Door, admin: Token) -> None:
    entries = [
        {
            "userid": f"Find_{n}",
            "email": {"all": f"f{n % 3}@find.example"},
            "tag": {"all": ["even" if n % 2 == 0 else "odd"]},
        }
        for n in range(7)
    ]
    other_case = ["find_0", "find_1"]
    await shared.post("/api/users", [*entries, *({"userid": one} for one in other_case)], admin)

    async def found(query: str) -> list[str]:
        return [one["userid"] for one in await shared.listed(f"/api/users?{query}", admin)]

    every = [entry["userid"] for entry in entries]
    assert await found("prefix=Find_") == every
    assert await found("prefix=find_") == other_case
    assert await found("prefix=Find%25") == []
    assert await found("prefix=FindX") == []
    assert await found("address=f1@FIND.example") == [every[1], every[4]]
    assert await found("tag=even&prefix=Find_") == every[::2]
    assert await found("tag=even&address=f0@find.example") == [every[0], every[6]]
    assert await found("address=%27%20OR%201=1") == []


async def test_a_user_is_deleted_with_all_it_held(shared: Door, admin: Token) -> None:
    await shared.send("PUT", "/api/users/gone", {"tags": {"all": ["gone"]}}, admin)
    assert (await shared.ask("DELETE", "/api/users/gone", admin)).status == 204
    assert (await shared.ask("DELETE", "/api/users/gone", admin)).told == (
        404,
        4004,
        "user_unknown",
    )
    assert (await shared.get("/api/users?tag=gone", admin)).body["items"] == []
    log = await shared.listed("/api/audit?subject=gone", admin)
    assert [one["action"] for one in log] == ["user.delete", "user.put"]


async def test_the_history_of_a_user(shared: Door, admin: Token) -> None:
    one, two = await shared.channel(), await shared.channel()
    userid = f"h{next(_numbers)}"
    await shared.send(
        "PUT", f"/api/users/{userid}", {"addresses": {"email": {"all": ["h@h.org"]}}}, admin
    )
    sent: list[str] = []
    for channel, subject in ((one, "first"), (two, "second"), (one, "third")):
        mail = {"aud_userid": [userid], "msg_email": [{"subject": subject, "text": "t"}]}
        sent.append((await shared.post("/v1/sent", mail, channel)).body["msgid"])
        await shared.done(sent[-1], channel)
    path = f"/api/users/{userid}/deliveries"
    whole = await shared.listed(path, admin)
    assert [one["msgid"] for one in whole] == sent[::-1]
    assert [one["subject"] for one in whole] == ["third", "second", "first"]
    assert {one["state"] for one in whole} == {"sent"}
    own = await shared.get(path, one)
    assert [item["msgid"] for item in own.body["items"]] == [sent[2], sent[0]]
    named = await shared.get(f"{path}?channel={two.key}", admin)
    assert [item["channelkey"] for item in named.body["items"]] == [two.key]
    assert (await shared.get(f"{path}?channel={two.key}", one)).status == 404
    assert (await shared.get("/api/users/nobody/deliveries", admin)).body["items"] == []


async def test_users_of_a_segment(shared: Door, admin: Token) -> None:
    """Only for whoever sees every channel's users: conditions go by all that a user holds."""
    entries = [{"userid": f"insegment{age}", "attributes": {"age": age}} for age in (10, 20, 30)]
    assert (await shared.send("POST", "/api/users", entries, admin)).status == 200
    conditions = {"attribute": {"name": "age", "op": "ge", "value": 18}}
    draft = {"name": "insegment", "conditions": conditions}
    id = (await shared.send("POST", "/api/segments", draft, admin)).body["id"]
    path = f"/api/users?prefix=insegment&segment={id}"
    first = (await shared.send("GET", f"{path}&limit=1", None, admin)).body
    assert [one["userid"] for one in first["items"]] == ["insegment20"]
    second = (await shared.send("GET", f"{path}&after={first['next']}", None, admin)).body
    assert ([one["userid"] for one in second["items"]], second["next"]) == (["insegment30"], None)
    unknown = await shared.send("GET", "/api/users?segment=999999", None, admin)
    assert (unknown.status, unknown.body["reason"]) == (400, "segment_unknown")
    bound = await shared.api_token(channels=[(await shared.channel()).key])
    assert (await shared.send("GET", path, None, bound)).status == 403


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("created_at", ["sortb", "sorta", "sortc"]),
        ("-created_at", ["sortc", "sorta", "sortb"]),
        ("userid", ["sorta", "sortb", "sortc"]),
        ("-userid", ["sortc", "sortb", "sorta"]),
    ],
)
async def test_users_are_sorted(shared: Door, admin: Token, sort: str, expected: list[str]) -> None:
    for userid in ("sortb", "sorta", "sortc"):
        await shared.send("PUT", f"/api/users/{userid}", {}, admin)
    found: list[str] = []
    after = ""
    while True:
        path = f"/api/users?prefix=sort&sort={sort}&limit=1{after}"
        body = (await shared.send("GET", path, None, admin)).body
        found += [one["userid"] for one in body["items"]]
        if body["next"] is None:
            break
        after = f"&after={body['next']}"
    assert found == expected
