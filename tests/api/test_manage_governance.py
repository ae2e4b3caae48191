"""Lists, strategies, rules, words and approval over the management API."""

from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from support.doors import Door, OneChannel, Token
from ums import clock
from ums.core.identity import operators

A = "a@example.org"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def who(shared: Door) -> OneChannel:
    return await shared.channel()


def mail(**more: Any) -> dict[str, Any]:
    return {"recipients": [{"address": A}], "subject": "s", "text": "t", **more}


# -- suppressions -----------------------------------------------------------------------------


async def test_addresses_are_suppressed_found_and_lifted(shared: Door) -> None:
    who, other = await shared.channel(), await shared.channel()
    path = f"/api/channels/{who.key}/suppressions"
    added = await shared.post(path, {"addresses": ["Gone@X.CN", A]}, who)
    assert (added.status, added.body) == (200, {"changed": 2, "unchanged": 0})
    listed = await shared.listed(path, who)
    assert [one["address"] for one in listed] == [A, "Gone@x.cn"] or len(listed) == 2
    assert {(one["reason"], one["expires_at"]) for one in listed} == {("by_hand", None)}
    (one,) = await shared.listed(f"{path}?address=Gone@x.CN", who)
    assert one["address"] == "Gone@x.cn"
    sent = await shared.post("/api/messages", mail(), who)
    await shared.done(sent.body["msgid"], who)
    counts = (await shared.get(f"/api/messages/{sent.body['msgid']}", who)).body["counts"]
    assert counts["suppressed"] == 1
    wrong = await shared.post(f"{path}/lift", {"addresses": [A, "nobody"]}, who)
    assert (wrong.told, wrong.body["field"]) == ((400, 4004, "bad_address"), "addresses[1]")
    assert (await shared.get(path, other)).status in (403, 404)
    lifted = await shared.post(f"{path}/lift", {"addresses": [A, "Gone@x.cn"]}, who)
    assert lifted.body == {"changed": 2, "unchanged": 0}
    assert await shared.listed(path, who) == []


# -- settings ---------------------------------------------------------------------------------


async def test_settings_are_shown_and_changed(door: Door) -> None:
    admin, bound = await door.api_token(), await door.channel()
    shown = (await door.get("/api/settings", admin)).body["settings"]
    assert {"message_retention_days", "sender_ports", "smtp_sessions"} <= {
        one["name"] for one in shown
    }
    changed = await door.send("PATCH", "/api/settings", {"audit_retention_days": 30}, admin)
    assert changed.status == 200
    values = {one["name"]: one["value"] for one in changed.body["settings"]}
    assert (values["audit_retention_days"], door.system.settings.audit_retention_days) == (30, 30)
    wrong = await door.send(
        "PATCH", "/api/settings", {"audit_retention_days": 40, "smtp_sessions": 0}, admin
    )
    assert (wrong.told, wrong.body["field"]) == ((400, 4004, "out_of_bounds"), "smtp_sessions")
    assert door.system.settings.audit_retention_days == 30
    assert (await door.get("/api/settings", bound)).status == 403


# -- lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["block", "allow"])
async def test_a_list_from_its_making_to_its_end(shared: Door, who: OneChannel, kind: str) -> None:
    path = f"/api/channels/{who.key}/lists"
    made = await shared.post(path, {"kind": kind, "name": "投诉"}, who)
    assert (made.status, made.body["kind"], made.body["entries"]) == (201, kind, 0)
    one = f"{path}/{made.body['id']}"
    entries = [
        {"kind": "address", "value": "B@X.CN"},
        {"kind": "userid", "value": "li"},
        {"kind": "address", "value": A},
    ]
    added = await shared.post(f"{one}/entries", {"entries": entries}, who)
    assert added.body == {"changed": 3, "unchanged": 0}
    again = await shared.post(f"{one}/entries", {"entries": entries[:1]}, who)
    assert again.body == {"changed": 0, "unchanged": 1}
    held = await shared.listed(f"{one}/entries", who)
    assert [each["value"] for each in held] == ["B@x.cn", A, "li"]
    removed = await shared.post(f"{one}/entries/remove", {"entries": entries[1:2]}, who)
    assert removed.body == {"changed": 1, "unchanged": 0}
    assert (await shared.get(one, who)).body["entries"] == 2
    listed = await shared.listed(f"{path}?kind={kind}", who)
    assert made.body["id"] in [each["id"] for each in listed]
    wrong = {"entries": [entries[0], {"kind": "address", "value": "nobody"}]}
    refused = await shared.post(f"{one}/entries", wrong, who)
    assert (refused.told, refused.body["field"]) == ((400, 4004, "bad_address"), "entries[1]")
    taken = await shared.post(path, {"kind": kind, "name": "投诉"}, who)
    assert taken.told == (409, 4004, "name_taken")
    assert (await shared.ask("DELETE", one, who)).status == 204
    assert (await shared.get(one, who)).told == (404, 4004, "list_unknown")


# -- strategies -------------------------------------------------------------------------------


async def test_a_strategy_that_is_no_longer_valid(shared: Door, who: OneChannel) -> None:
    path = f"/api/channels/{who.key}/strategies"
    made = await shared.post(path, {"name": "mail"}, who)
    assert (made.status, made.body["steps"]) == (201, [{"type": "email"}])
    one, users = f"{path}/{made.body['id']}", [{"userid": "nobody"}]
    named = mail(recipients=users, strategy=made.body["id"])
    assert (await shared.post("/api/messages", named, who)).status == 201
    off = await shared.send("PATCH", one, {"valid": False}, who, If_Match=made.headers["etag"])
    assert off.body["valid"] is False
    refused = await shared.post("/api/messages", named, who)
    assert refused.told == (400, 1015026, "strategy_unknown")
    stale = await shared.send("PATCH", one, {"valid": True}, who, If_Match=made.headers["etag"])
    assert stale.told == (412, 4004, "outdated")
    assert [each["id"] for each in await shared.listed(path, who)] == [made.body["id"]]
    assert (await shared.ask("DELETE", one, who)).status == 204
    assert (await shared.get(one, who)).told == (404, 4004, "rule_unknown")
    steps = [{"type": "email"}, {"type": "sms", "wait": 5, "condition": "not_submitted"}]
    wrong = await shared.post(path, {"name": "x", "steps": steps}, who)
    assert wrong.told == (400, 4004, "bad_steps")


# -- rules and words --------------------------------------------------------------------------


async def test_rules_are_shown_whole_and_changed_one_by_one(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    path = f"/api/channels/{channel.key}/rules"
    shown = await shared.get(path, channel)
    assert (shown.body["zone"], shown.body["approval"]) == ("UTC", False)
    change = {
        "zone": "Asia/Shanghai",
        "quiet_hours": {"start": "22:00", "end": "08:00", "action": "delay"},
        "frequency_cap": {"count": 3, "hours": 24},
        "statuses": [0, 2],
    }
    changed = await shared.send("PATCH", path, change, admin, If_Match=shown.headers["etag"])
    assert changed.body == {**shown.body, **change}
    stale = await shared.send("PATCH", path, {"zone": None}, admin, If_Match=shown.headers["etag"])
    assert stale.told == (412, 4004, "outdated")
    back = await shared.send("PATCH", path, {"zone": None, "quiet_hours": None}, admin)
    assert (back.body["zone"], back.body["quiet_hours"]) == ("UTC", None)
    assert back.body["statuses"] == [0, 2]
    own = await shared.send("PATCH", path, {"approval": False}, channel)
    assert own.told == (403, 4005, "not_for_channels")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"zone": "Nowhere/None"}, "bad_rule"),
        ({"statuses": [9]}, "bad_rule"),
        ({"colour": 1}, "unknown_field"),
        ({"colour": None}, "unknown_field"),
        ({"approval_from": 1.5}, "misfit"),
        ({"quiet_hours": {"start": "8", "end": "9", "action": "delay"}}, "bad_rule"),
        ({"broadcasts_per_day": -1}, "bad_rule"),
    ],
)
async def test_rules_that_cannot_be(
    shared: Door, admin: Token, who: OneChannel, change: dict[str, Any], reason: str
) -> None:
    before = (await shared.get(f"/api/channels/{who.key}/rules", who)).body
    answer = await shared.send("PATCH", f"/api/channels/{who.key}/rules", change, admin)
    assert (answer.status, answer.body["reason"]) == (400, reason)
    assert (await shared.get(f"/api/channels/{who.key}/rules", who)).body == before


async def test_words_for_all_and_for_one(shared: Door, admin: Token) -> None:
    channel, free = await shared.channel(), await shared.channel()
    made = await shared.post("/api/words", {"word": "Casino"}, admin)
    assert (made.status, made.body["word"], made.body["channelkey"]) == (201, "casino", "")
    exempt = await shared.post(
        f"/api/channels/{free.key}/words", {"word": "casino", "exempt": True}, admin
    )
    own = await shared.post(f"/api/channels/{channel.key}/words", {"word": "lotto"}, admin)
    assert (exempt.body["exempt"], own.body["channelkey"]) == (True, channel.key)
    casino, lotto = mail(text="a casino"), mail(text="LOTTO!")
    assert (await shared.post("/api/messages", casino, channel)).code == 1015034
    assert (await shared.post("/api/messages", casino, free)).status == 201
    assert (await shared.post("/api/messages", lotto, channel)).code == 1015034
    listed = await shared.listed(f"/api/channels/{channel.key}/words", channel)
    assert [each["word"] for each in listed] == ["lotto"]
    one = f"/api/channels/{channel.key}/words/{own.body['id']}"
    assert (await shared.ask("DELETE", f"/api/words/{own.body['id']}", admin)).status == 404
    assert (await shared.ask("DELETE", one, admin)).status == 204
    assert (await shared.post("/api/messages", lotto, channel)).status == 201
    assert (await shared.ask("DELETE", f"/api/words/{made.body['id']}", admin)).status == 204
    assert (await shared.post("/api/messages", casino, channel)).status == 201
    bound = await shared.api_token("admin", channels=[channel.key])
    refused = await shared.post("/api/words", {"word": "x"}, bound)
    assert refused.told == (403, 4005, "caller_bound")


# -- approval ---------------------------------------------------------------------------------


async def waiting(door: Door, who: OneChannel, **more: Any) -> str:
    answer = await door.post("/api/messages", mail(owner="zhao", **more), who)
    assert answer.status == 201, answer.raw
    return str(answer.body["msgid"])


async def test_a_message_waits_and_is_let_go_or_refused(door: Door) -> None:
    admin, channel = await door.api_token(), await door.channel()
    await operators.create(door.system, "zhao", "a rather long password")
    rules = f"/api/channels/{channel.key}/rules"
    await door.send("PATCH", rules, {"approval": True}, admin)
    good, bad = await waiting(door, channel), await waiting(door, channel)
    listed = await door.listed("/api/approvals", admin, 1)
    assert [(each["msgid"], each["owner"]) for each in listed] == [(good, "zhao"), (bad, "zhao")]
    own = await door.post(f"/api/messages/{good}/approve", {}, channel)
    assert own.told == (403, 4005, "not_for_channels")
    stranger = await door.api_token("admin", channels=[(await door.channel()).key])
    assert (await door.post(f"/api/messages/{good}/approve", {}, stranger)).status == 404
    assert (await door.get("/api/approvals", stranger)).body["items"] == []
    assert (await door.post(f"/api/messages/{good}/approve", {}, admin)).body["halt"] == ""
    refused = await door.post(f"/api/messages/{bad}/refuse", {"why": "价格不对"}, admin)
    assert refused.body["state"] == "refused"
    twice = await door.post(f"/api/messages/{bad}/approve", {}, admin)
    assert twice.told == (400, 4004, "not_waiting")
    assert (await door.done(good, channel))["counts"] == {"sent": 1}
    assert (await door.done(bad, channel))["counts"] == {"cancelled": 1}
    noted = await door.listed(f"/api/audit?subject={bad}", admin)
    assert [(each["action"], each["detail"]) for each in noted] == [("message.refuse", "价格不对")]


async def test_an_end_that_was_named_stays_where_it_is(door: Door) -> None:
    admin, channel = await door.api_token(), await door.channel()
    await operators.create(door.system, "zhao", "a rather long password")
    await door.send("PATCH", f"/api/channels/{channel.key}/rules", {"approval": True}, admin)
    end = clock.iso(clock.now() + 30 * clock.DAY)
    named = await waiting(door, channel, deliver_by=end)
    usual = await waiting(door, channel)
    before = (await door.get(f"/api/messages/{usual}", channel)).body
    for msgid in (named, usual):
        await door.post(f"/api/messages/{msgid}/approve", {}, admin)
    kept = (await door.get(f"/api/messages/{named}", channel)).body
    assert kept["expires_at"] == end
    moved = (await door.get(f"/api/messages/{usual}", channel)).body
    assert moved["expires_at"] > before["expires_at"]


async def test_the_audit_chain_is_verified_and_signed(door: Door) -> None:
    admin, bound = await door.api_token(), await door.channel()
    made = await door.post("/api/audit/checkpoint", b"", admin)
    assert made.status == 200
    proof = await door.post("/api/audit/verify", {"checkpoint": made.body}, admin)
    assert (proof.status, proof.body["ok"]) == (200, True)
    forged = {**made.body, "seq": made.body["seq"] + 1}
    refused = await door.post("/api/audit/verify", {"checkpoint": forged}, admin)
    assert (refused.status, refused.body["reason"]) == (400, "checkpoint_foreign")
    async with door.system.database.write() as tx:
        await tx.run(text("DELETE FROM audit WHERE seq = 1"))
    proof = await door.post("/api/audit/verify", {}, admin)
    assert (proof.body["ok"], proof.body["problem"], proof.body["first_bad_seq"]) == (
        False,
        "missing",
        1,
    )
    state = await door.get("/api/audit/chain", admin)
    assert state.body["verified"] == proof.body
    assert state.body["checkpoint"] == made.body
    assert (await door.get("/api/audit/chain", bound)).status == 403


async def test_what_is_there_is_a_conflict(shared: Door, admin: Token) -> None:
    for path, body, reason in (
        ("/api/words", {"word": "twice told"}, "word_known"),
        ("/api/reply-rules", {"text": "told twice", "reason": "rate"}, "rule_known"),
    ):
        assert (await shared.post(path, body, admin)).status == 201
        assert (await shared.post(path, body, admin)).told == (409, 4004, reason)


async def test_names_differ_by_case(shared: Door, admin: Token) -> None:
    for name in ("Case", "case"):
        assert (await shared.post("/api/channels", {"name": name}, admin)).status == 201
    taken = await shared.post("/api/channels", {"name": "case"}, admin)
    assert taken.told == (409, 4004, "name_taken")
