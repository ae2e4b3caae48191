"""Caps of senders, and routes of channels, over the management API."""

import pytest_asyncio

from api.test_manage_nouns import draft
from support.doors import Door, Token
from support.flow import until
from support.imap import ACCOUNT, PASSWORD, ImapServer
from ums import clock
from ums.core.senders import learned_limits


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


async def test_the_caps_of_a_sender(shared: Door, admin: Token) -> None:
    caps = [
        {"count": 100, "seconds": 86400, "of": "mails", "reset": "00:00 Asia/Shanghai"},
        {"count": 3, "seconds": 3600, "of": "recipients", "reset": ""},
    ]
    made = await shared.post("/api/senders", draft(shared, "Capped", caps=caps), admin)
    assert (made.status, made.body["caps"], made.body["urgent_reserve_percent"]) == (201, caps, 10)
    path = "/api/senders/Capped"
    channel = await shared.channel(sender=False)
    await shared.send("PUT", f"{path}/channels/{channel.key}", {}, admin)
    body = {"recipients": [{"address": f"{n}@b.org"} for n in range(2)], "subject": "s"}
    sent = await shared.post("/api/messages", {**body, "text": "t"}, channel)
    await shared.done(sent.body["msgid"], channel)
    # What is taken and not sent yet counts too; it comes back within seconds.
    await until(lambda: _used(shared, path, admin, [2, 2]))
    for wrong, reason in (
        ([caps[0], caps[0]], "caps_twice"),
        ([{**caps[0], "reset": "noon"}], "cap_reset"),
        ([{**caps[0], "seconds": 7}], "cap_seconds"),
        ([{"count": 0, "seconds": 1}], "misfit"),
    ):
        refused = await shared.send("PATCH", path, {"caps": wrong}, admin)
        assert (refused.status, refused.body["reason"]) == (400, reason), refused.raw
    changed = await shared.send("PATCH", path, {"caps": [], "urgent_reserve_percent": 0}, admin)
    assert (changed.body["caps"], changed.body["urgent_reserve_percent"]) == ([], 0)
    assert (await shared.get(f"{path}/caps", admin)).body == {"items": [], "next": None}
    assert (await shared.get("/api/senders/None/caps", admin)).status == 404


async def test_the_route_of_a_channel(shared: Door, admin: Token) -> None:
    channel = await shared.channel()
    await shared.post("/api/senders", draft(shared, "Route2", channels=[channel.key]), admin)
    path = f"/api/channels/{channel.key}"
    assert (await shared.get(path, admin)).body["route"] == []
    leg = f"/api/senders/Route2/channels/{channel.key}"
    assert (await shared.send("PUT", leg, {"rank": 2, "weight": 3}, admin)).status == 200
    first = {"sender": channel.sender, "rank": 1, "weight": 1}
    second = {"sender": "Route2", "rank": 2, "weight": 3}
    assert (await shared.get(path, admin)).body["route"] == [first, second]
    await shared.send("PUT", leg, {"rank": 1}, admin)
    assert (await shared.get(path, admin)).body["route"] == [first, {**second, "rank": 1}]
    for wrong in ({"rank": 10}, {"rank": -1}, {"weight": 0}, {"weight": "much"}):
        assert (await shared.send("PUT", leg, wrong, admin)).status == 400
    await shared.send("PUT", leg, {"rank": 0}, admin)
    assert (await shared.get(path, admin)).body["route"] == []


async def _used(door: Door, path: str, who: Token, counts: list[int]) -> bool:
    items = (await door.get(f"{path}/caps", who)).body["items"]
    return [one["used"] for one in items] == counts


async def test_warming_a_sender_up(shared: Door, admin: Token) -> None:
    await shared.post("/api/senders", draft(shared, "Fresh"), admin)
    path = "/api/senders/Fresh/warm-up"
    assert (await shared.get(path, admin)).body["reason"] == "not_warming"
    plan = {"start": 20, "growth": 100, "target": 80, "zone": "UTC"}
    begun = await shared.send("PUT", path, plan, admin)
    assert (begun.status, begun.body) == (200, {**plan, "today": 20, "days": 2, "held": False})
    caps = (await shared.get("/api/senders/Fresh/caps", admin)).body["items"]
    assert [(cap["count"], cap["reset"]) for cap in caps] == [(20, "00:00 UTC")]
    for wrong in ({**plan, "target": 10}, {**plan, "zone": "Mars"}, {"start": 1}):
        assert (await shared.send("PUT", path, wrong, admin)).status == 400
    assert (await shared.send("DELETE", path, None, admin)).status == 204
    assert (await shared.get(path, admin)).status == 404


async def test_the_domains_that_are_slow(shared: Door, admin: Token) -> None:
    await shared.post("/api/senders", draft(shared, "Slow"), admin)
    path = "/api/senders/Slow/domain-rates"
    assert (await shared.get(path, admin)).body == {"items": [], "next": None}
    id = (await shared.system.directory.now()).sender_codes["Slow"].id
    soon = clock.now() + clock.HOUR
    domain_rates = [
        learned_limits.DomainRate("qq.com", 30, soon),
        learned_limits.DomainRate("163.com", 5, 1),
    ]
    async with shared.system.database.write() as tx:
        await learned_limits.keep(tx, id, None, domain_rates)
    assert (await shared.get(path, admin)).body["items"] == [
        {"domain": "163.com", "per_minute": 5, "resume_at": None},
        {"domain": "qq.com", "per_minute": 30, "resume_at": clock.iso(soon)},
    ]
    moved = {"host": "localhost", "password": "p"}
    assert (await shared.send("PATCH", "/api/senders/Slow", moved, admin)).status == 200
    assert (await shared.get(path, admin)).body["items"] == []
    assert (await shared.get("/api/senders/None/domain-rates", admin)).status == 404


async def test_the_mailbox_of_a_sender(shared: Door, admin: Token) -> None:
    await shared.post("/api/senders", draft(shared, "Boxed"), admin)
    path = "/api/senders/Boxed/mailbox"
    for method, sub in (("GET", ""), ("DELETE", ""), ("POST", "/look")):
        assert (await shared.send(method, path + sub, None, admin)).body["reason"] == "no_mailbox"
    async with ImapServer() as server:
        given = {"host": "127.0.0.1", "port": server.port, "encryption": "none"}
        refused = await shared.send("PUT", path, given, admin)
        assert (refused.status, refused.body["reason"]) == (400, "mailbox_port")
        given["allow_port"] = True
        refused = await shared.send("PUT", path, given, admin)
        assert (refused.status, refused.body["reason"]) == (400, "missing")
        given |= {"account": ACCOUNT, "password": PASSWORD}
        for wrong in ({"port": 0}, {"encryption": "tls"}, {"host": "a b"}, {"inbox": ""}, {"x": 1}):
            assert (await shared.send("PUT", path, given | wrong, admin)).status == 400
        made = await shared.send("PUT", path, given, admin)
        assert (made.status, made.body["inbox"], made.body["polled_at"]) == (200, "INBOX", None)
        looked = await shared.send("POST", f"{path}/look", None, admin)
        assert (looked.status, looked.body["problem"]) == (200, "")
        assert looked.body["found_sent_folder"] == "Sent"
        shown = await shared.get(path, admin)
        assert shown.body["polled_at"] == looked.body["polled_at"]
        assert PASSWORD not in str((made.body, shown.body))
        del given["password"]
        moved = await shared.send("PUT", path, {**given, "port": server.port + 1}, admin)
        assert moved.body["reason"] == "password_again"
        assert (await shared.send("PUT", path, {**given, "inbox": "B"}, admin)).status == 200
        failed = await shared.send("POST", f"{path}/look", None, admin)
        assert (failed.status, failed.body["problem"]) == (200, "mailbox_refused")
    assert (await shared.send("DELETE", path, None, admin)).status == 204
    assert (await shared.get(path, admin)).status == 404
    assert (await shared.get("/api/senders/None/mailbox", admin)).status == 404
