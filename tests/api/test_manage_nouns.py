"""Channels, senders, operators, tokens and the audit log over the management API."""

from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from support.doors import Answer, Door, Token, password_is
from ums import clock
from ums.core.tables import tokens as token_rows


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def actions(door: Door, subject: str, who: Token) -> list[tuple[str, str]]:
    items = await door.listed(f"/api/audit?subject={subject}", who)
    return [(item["action"], item["actor"]) for item in items]


# -- channels ---------------------------------------------------------------------------------


async def test_a_channel_from_making_to_closing(shared: Door) -> None:
    token = await shared.api_token()
    made = await shared.post("/api/channels", {"name": "life", "key": "Life1"}, token)
    assert made.status == 201
    public = made.body
    basic = ("Life1", public.pop("mastersecret"))
    shown = await shared.get("/api/channels/Life1", token)
    assert (shown.body, shown.headers["etag"]) == (public, made.headers["etag"])
    assert (await shared.get("/api/channels/Life1", basic)).body == public
    changed = await shared.send("PATCH", "/api/channels/Life1", {"name": "life 2"}, token)
    assert (changed.body["name"], changed.body["open"]) == ("life 2", True)
    closed = await shared.send("PATCH", "/api/channels/Life1", {"open": False}, token)
    assert (closed.body["name"], closed.body["open"]) == ("life 2", False)
    rotated = await shared.post("/api/channels/Life1/rotate", {"overlap_hours": 0}, token)
    assert (await shared.get("/api/channels", basic)).status == 401
    fresh = ("Life1", rotated.body["mastersecret"])
    listed = await shared.get("/api/channels", fresh)
    assert [one["channelkey"] for one in listed.body["items"]] == ["Life1"]
    assert "mastersecret" not in listed.body["items"][0]
    who = (await shared.get("/api/audit?subject=Life1", token)).body["items"][0]["actor"]
    assert who.startswith("token:")
    assert await actions(shared, "Life1", token) == [
        ("channel.rotate", who),
        ("channel.change", who),
        ("channel.change", who),
        ("channel.create", who),
    ]


async def test_a_channel_is_made_with_its_zone(shared: Door, admin: Token) -> None:
    for given, zone in (({"zone": "Asia/Shanghai"}, "Asia/Shanghai"), ({}, "UTC")):
        made = await shared.post("/api/channels", {"name": f"at {zone}", **given}, admin)
        rules = await shared.get(f"/api/channels/{made.body['channelkey']}/rules", admin)
        assert rules.body["zone"] == zone


async def test_a_channels_key_changes_no_channel(shared: Door) -> None:
    channel = await shared.channel()
    path = f"/api/channels/{channel.key}"
    answer = await shared.send("PATCH", path, {"name": "mine"}, channel)
    assert answer.told == (403, 4005, "not_for_channels")


async def test_lists_of_channels_go_on(shared: Door, admin: Token) -> None:
    made = [await shared.channel(sender=False) for _ in range(5)]
    keys = [one["channelkey"] for one in await shared.listed("/api/channels", admin)]
    assert keys[-5:] == [channel.key for channel in made]
    bound = await shared.api_token("channels:write", channels=[made[0].key, made[3].key])
    assert [one["channelkey"] for one in await shared.listed("/api/channels", bound, 1)] == [
        made[0].key,
        made[3].key,
    ]
    await shared.send("PATCH", f"/api/channels/{made[0].key}", {"open": False}, bound)
    shut = await shared.listed("/api/channels?open=false", bound)
    assert [one["channelkey"] for one in shut] == [made[0].key]
    assert (await shared.post("/api/channels", {"name": "n"}, bound)).told == (
        403,
        4005,
        "caller_bound",
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": " x"}, "misfit"),
        ({"name": "x\n"}, "control_characters"),
        ({"name": "new", "key": "a-b"}, "key_shape"),
        ({"name": "new", "key": "all"}, "key_shape"),
        ({"name": "new", "zone": "Moon/Base"}, "bad_rule"),
    ],
)
async def test_a_channel_that_cannot_be(
    shared: Door, admin: Token, body: object, reason: str
) -> None:
    assert (await shared.post("/api/channels", body, admin)).told == (400, 4004, reason)


async def test_a_name_that_is_taken(shared: Door, admin: Token) -> None:
    one, two = await shared.channel(sender=False), await shared.channel(sender=False)
    name = (await shared.get(f"/api/channels/{one.key}", admin)).body["name"]
    path = f"/api/channels/{two.key}"
    assert (await shared.send("PATCH", path, {"name": name}, admin)).told == (
        409,
        4004,
        "name_taken",
    )
    own = await shared.send("PATCH", f"/api/channels/{one.key}", {"name": name}, admin)
    assert own.status == 200


# -- senders ----------------------------------------------------------------------------------


def draft(door: Door, code: str, **more: Any) -> dict[str, Any]:
    made = {
        "code": code,
        "name": code,
        "host": "127.0.0.1",
        "port": door.smtp.port,
        "encryption": "none",
        "from_address": "ums@sender.example",
        "allow_port": True,
    }
    return made | more


async def test_a_sender_from_making_to_pausing(shared: Door, admin: Token) -> None:
    channel = await shared.channel(sender=False)
    made = await shared.post("/api/senders", draft(shared, "Life", channels=[channel.key]), admin)
    assert (made.status, made.body["channels"]) == (201, [channel.key])
    path = "/api/senders/Life"
    assert (await shared.get(path, admin)).body == made.body
    tested = await shared.post(f"{path}/test", {"to": "a@example.org"}, admin)
    assert (tested.body["ok"], tested.body["stage"]) == (True, "dot")
    (noted,) = (await shared.get("/api/audit?action=sender.test", admin)).body["items"]
    assert (noted["subject"], noted["detail"]) == ("Life", "to a@example.org")
    paused = await shared.post(f"{path}/pause", b"", admin)
    assert paused.body["open"] is False
    body = {"aud_email": [{"data": ["a@b.org"]}], "msg_email": [{"subject": "s", "text": "t"}]}
    assert (await shared.post("/v1/sent", body, channel)).told == (400, 1015010, "no_sender")
    assert (await shared.post(f"{path}/resume", b"", admin)).body["open"] is True
    sent = await shared.post("/v1/sent", body, channel)
    assert (await shared.done(sent.body["msgid"], channel))["counts"] == {"sent": 1}
    assert [action for action, _ in await actions(shared, "Life", admin)] == [
        "sender.open",
        "sender.close",
        "sender.test",
        "sender.create",
    ]


async def test_a_change_of_a_sender_keeps_the_rest(shared: Door, admin: Token) -> None:
    given = draft(shared, "Edit", account="me", password="p" * 8, from_name="Old")
    assert (await shared.post("/api/senders", given, admin)).status == 201
    path = "/api/senders/Edit"
    # Its own port needs no second approval, nor the scope for one.
    plain = await shared.api_token("senders:write")
    changed = await shared.send("PATCH", path, {"from_name": "New", "open": False}, plain)
    assert changed.status == 200
    assert (changed.body["from_name"], changed.body["account"]) == ("New", "me")
    assert changed.body["open"] is False
    moved = await shared.send("PATCH", path, {"host": "127.0.0.2"}, plain)
    assert moved.told == (400, 4004, "password_again")
    port = await shared.send("PATCH", path, {"port": 2526, "password": "x"}, plain)
    assert port.told == (400, 4004, "port_approval")
    approved = {"port": 2526, "password": "x", "allow_port": True}
    assert (await shared.send("PATCH", path, approved, plain)).told == (
        403,
        4005,
        "scope_missing",
    )
    able = await shared.api_token("senders:write", "senders:approve")
    assert (await shared.send("PATCH", path, approved, able)).body["port"] == 2526
    entry = (await shared.get("/api/audit?subject=Edit&limit=1", admin)).body["items"][0]
    assert "port approved" in entry["detail"]
    assert b"pppp" not in (await shared.get(path, admin)).raw


async def test_the_rights_of_channels_to_a_sender(shared: Door, admin: Token) -> None:
    channel = await shared.channel(sender=False)
    for code in ("RightA", "RightB"):
        await shared.post("/api/senders", draft(shared, code), admin)
    path = f"/channels/{channel.key}"

    async def held() -> tuple[list[str], str | None]:
        body = (await shared.get(f"/api/channels/{channel.key}", admin)).body
        return body["senders"], body["default_sender"]

    await shared.send("PUT", f"/api/senders/RightA{path}", {}, admin)
    await shared.send("PUT", f"/api/senders/RightB{path}", {"default": True}, admin)
    assert await held() == (["RightA", "RightB"], "RightB")
    await shared.send("PUT", f"/api/senders/RightB{path}", {}, admin)
    assert await held() == (["RightA", "RightB"], "RightB")
    gone = await shared.ask("DELETE", f"/api/senders/RightB{path}", admin)
    assert gone.body["channels"] == []
    assert await held() == (["RightA"], "RightA")
    assert (await shared.ask("DELETE", f"/api/senders/RightB{path}", admin)).status == 200
    await shared.ask("DELETE", f"/api/senders/RightA{path}", admin)
    assert await held() == ([], None)


async def test_a_sender_that_is_not_there(shared: Door, admin: Token) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/pause"), ("POST", "/test")):
        answer = await shared.send(method, f"/api/senders/none{path}", {}, admin)
        assert answer.told == (404, 4004, "sender_unknown"), (method, path)
    wrong = draft(shared, "Wrong", channels=["nobody"])
    assert (await shared.post("/api/senders", wrong, admin)).told == (404, 4004, "channel_unknown")
    codes = [one["code"] for one in await shared.listed("/api/senders", admin)]
    assert "Wrong" not in codes
    assert codes == sorted(codes)


# -- operators --------------------------------------------------------------------------------


async def test_operators(shared: Door, admin: Token) -> None:
    first = {"name": "first", "password": "seven grey herons", "role": "administrator"}
    second = {"name": "second", "password": "nine grey herons", "role": "viewer"}
    for given in (first, second):
        made = await shared.post("/api/operators", given, admin)
        assert made.status == 201
        assert b"password" not in made.raw
    assert (await shared.post("/api/operators", second, admin)).told == (409, 4004, "name_taken")

    async def change(name: str, **values: object) -> Answer:
        return await shared.send("PATCH", f"/api/operators/{name}", values, admin)

    assert (await change("second", role="operator")).body["role"] == "operator"
    for values in ({"role": "viewer"}, {"disabled": True}):
        assert (await change("first", **values)).told == (409, 4004, "last_administrator")
    await change("second", role="administrator", password="two brown herons")
    assert not await password_is(shared.system, "second", "nine grey herons")
    assert await password_is(shared.system, "second", "two brown herons")
    assert (await change("first", disabled=True)).body["disabled"] is True
    assert not await password_is(shared.system, "first", "seven grey herons")
    assert (await change("second", disabled=True)).status == 409
    assert (await change("first", disabled=False)).status == 200
    assert await password_is(shared.system, "first", "seven grey herons")
    names = [one["name"] for one in await shared.listed("/api/operators", admin, 1)]
    assert names[-2:] == ["first", "second"]
    for body in ({"role": "king"}, {"password": "short"}, {"colour": "x"}):
        assert (await change("first", **body)).status == 400
    found = await actions(shared, "second", admin)
    assert [action for action, _ in found] == ["operator.change"] * 2 + ["operator.create"]


# -- tokens -----------------------------------------------------------------------------------


async def test_a_token_from_making_to_revoking(shared: Door, admin: Token) -> None:
    given = {"name": "CI", "scopes": ["channels:read", "tokens:read"]}
    made = await shared.post("/api/tokens", given, admin)
    assert made.status == 201
    token, id = made.body["token"], made.body["id"]
    assert token.startswith("ums_")
    assert token.endswith(made.body["hint"])
    async with shared.system.database.read() as tx:
        row = await tx.first(select(token_rows).where(token_rows.c.id == id))
    assert token not in repr(row)
    shown = await shared.get(f"/api/tokens/{id}", token)
    assert "token" not in shown.body
    assert shown.body["last_used_at"] is not None
    assert (await shared.get("/api/channels", token)).status == 200
    revoked = await shared.post(f"/api/tokens/{id}/revoke", b"", admin)
    assert revoked.body["revoked_at"] is not None
    assert (await shared.get("/api/channels", token)).told == (401, 4005, "bad_token")
    again = await shared.post(f"/api/tokens/{id}/revoke", b"", admin)
    assert again.body["revoked_at"] == revoked.body["revoked_at"]
    assert [action for action, _ in await actions(shared, str(id), admin)] == [
        "token.revoke",
        "token.revoke",
        "token.create",
    ]


async def test_a_token_ends(shared: Door, admin: Token) -> None:
    given = {"name": "x", "scopes": ["admin"], "expires_at": "2999-01-01T00:00:00+08:00"}
    made = await shared.post("/api/tokens", given, admin)
    assert made.body["expires_at"] == "2998-12-31T16:00:00.000Z"
    mine = token_rows.c.id == made.body["id"]
    async with shared.system.database.write() as tx:
        await tx.run(update(token_rows).where(mine).values(expires_at=clock.now()))
    assert (await shared.get("/api/channels", made.body["token"])).status == 401


@pytest.mark.parametrize(
    ("values", "status", "reason"),
    [
        ({"scopes": []}, 400, "misfit"),
        ({"scopes": ["channels:fly"]}, 400, "misfit"),
        ({"channels": []}, 400, "too_many"),
        ({"channels": ["nobody"]}, 404, "channel_unknown"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400, "past"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, 400, "misfit"),
        ({"expires_at": "2999-01-01T00:00:00"}, 400, "misfit"),
        ({"name": " x"}, 400, "misfit"),
    ],
)
async def test_a_token_that_cannot_be(
    shared: Door, admin: Token, values: dict[str, Any], status: int, reason: str
) -> None:
    given = {"name": "t", "scopes": ["stats:read"]} | values
    answer = await shared.post("/api/tokens", given, admin)
    assert (answer.status, answer.body["reason"]) == (status, reason)


async def test_nobody_gives_away_what_they_have_not(shared: Door) -> None:
    maker = await shared.api_token("tokens:write", "stats:read")
    for scope, status in (("stats:read", 201), ("tokens:read", 201), ("admin", 403)):
        answer = await shared.post("/api/tokens", {"name": "t", "scopes": [scope]}, maker)
        assert answer.status == status
    assert answer.body["reason"] == "scope_beyond"


async def test_lists_of_tokens_go_on(shared: Door, admin: Token) -> None:
    made = [await shared.api_token() for _ in range(3)]
    listed = await shared.listed("/api/tokens", admin)
    assert [one["hint"] for one in listed[:3]] == [token[-4:] for token in made[::-1]]


async def test_the_audit_log_is_filtered(shared: Door, admin: Token) -> None:
    channel = await shared.channel(sender=False)
    await shared.send("PATCH", f"/api/channels/{channel.key}", {"open": False}, admin)
    path = f"/api/audit?subject={channel.key}"
    both = (await shared.get(path, admin)).body["items"]
    assert [one["action"] for one in both] == ["channel.change", "channel.rules", "channel.create"]
    assert both[1]["actor"] == "local"
    made = (await shared.get(f"{path}&action=channel.create", admin)).body["items"]
    assert made == both[2:]
    by_local = (await shared.get(f"{path}&actor=local", admin)).body["items"]
    assert by_local == both[1:]
    later = (await shared.get(f"{path}&since=2999-01-01T00:00:00Z", admin)).body["items"]
    assert later == []
    at = both[0]["at"]
    before = (await shared.get(f"{path}&until={at}", admin)).body["items"]
    assert all(one["at"] < at for one in before)


async def test_rules_for_replies(shared: Door) -> None:
    admin = await shared.api_token()
    rule = {"text": "the elders object", "reason": "no_such_mailbox", "code": "5xx"}
    made = await shared.send("POST", "/api/reply-rules", rule, admin)
    assert made.status == 201
    assert {name: made.body[name] for name in rule} == rule
    listed = (await shared.send("GET", "/api/reply-rules", None, admin)).body["items"]
    assert made.body in listed
    wrong = await shared.send("POST", "/api/reply-rules", {**rule, "reason": "sent"}, admin)
    assert (wrong.status, wrong.body["reason"]) == (400, "bad_value")
    bound = await shared.api_token(channels=[(await shared.channel()).key])
    for method, path in (("POST", "/api/reply-rules"), ("GET", "/api/unclear-replies")):
        body = rule if method == "POST" else None
        assert (await shared.send(method, path, body, bound)).status == 403
    assert (await shared.send("GET", "/api/unclear-replies", None, admin)).status == 200
    path = f"/api/reply-rules/{made.body['id']}"
    assert (await shared.send("DELETE", path, None, admin)).status in (200, 204)
    assert (await shared.send("DELETE", path, None, admin)).status == 404


async def test_the_audit_log_says_from_where(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    word = {"word": f"where{channel.key}"}
    await shared.post(f"/api/channels/{channel.key}/words", word, admin)
    (entry,) = await shared.listed(f"/api/audit?subject={channel.key}&action=word.add", admin)
    assert entry["address"] == "127.0.0.1"
    assert entry["actor"].startswith("token:")
