"""The management API: messages, deliveries, attempts; and that each channel sees only its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute
from sqlalchemy import update

from support.doors import Answer, Basic, Door, OneChannel
from ums import clock
from ums.console.middleware import Door as ConsoleDoor
from ums.core.deliveries import expansion
from ums.core.deliveries.expansion import expand
from ums.core.tables import deliveries
from ums.db import Database
from ums.engine import worker

MAIL = [{"subject": "你好", "text": "t"}]


async def send(door: Door, who: OneChannel, path: str = "sent", **audience: Any) -> str:
    answer = await door.post(f"/v1/{path}", {"msg_email": MAIL, **audience}, who)
    assert answer.status == 200, answer
    return answer.body["msgid"]


async def pages(door: Door, path: str, who: OneChannel) -> list[list[Any]]:
    """Every page of a list, by its `next`."""
    found: list[list[Any]] = []
    after = ""
    for _ in range(100):
        body = (await door.get(f"{path}{after}", who)).body
        assert body.keys() == {"items", "next"}
        found.append(body["items"])
        if body["next"] is None:
            return found
        after = f"&after={body['next']}"
    raise AssertionError("the list has no end")


# -- messages ---------------------------------------------------------------------------------


async def test_a_message(shared: Door) -> None:
    channel = await shared.channel()
    addresses = ["a@example.org", "b@example.org", "a@example.org"]
    msgid = await send(
        shared, channel, aud_email=[{"data": addresses}], option={"priority": 3, "sendno": "x"}
    )
    shown = await shared.done(msgid, channel)
    moments = shown.pop("accepted_at"), shown.pop("expires_at")
    assert shown == {
        "msgid": msgid,
        "channelkey": channel.key,
        "sender": channel.sender,
        "state": "done",
        "halt": "",
        "halt_reason": "",
        "halt_detail": "",
        "starts_at": None,
        "subject": "你好",
        "priority": 3,
        "on_unknown": "resend",
        "requested_by": f"channel:{channel.key}",
        "requested_from": "127.0.0.1",
        "audience": 3,
        "counts": {"sent": 2, "invalid": 1},
    }
    assert moments[0] < moments[1]


async def test_the_list_of_messages_goes_on_page_by_page(shared: Door) -> None:
    channel, other = await shared.channel(), await shared.channel()
    await send(shared, other, aud_userid=["nobody"])
    sent = [await send(shared, channel, aud_userid=["nobody"]) for _ in range(7)]
    for limit, sizes in ((3, [3, 3, 1]), (7, [7]), (1, [1] * 7)):
        found = await pages(shared, f"/api/messages?limit={limit}", channel)
        assert [len(page) for page in found] == sizes
        assert [item["msgid"] for page in found for item in page] == sent[::-1]
    empty = await shared.channel()
    assert (await shared.get("/api/messages", empty)).body == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "bad_filter"),
        ("limit=501", "bad_filter"),
        ("limit=-1", "bad_filter"),
        ("limit=", "bad_filter"),
        ("limit=ten", "bad_filter"),
        ("limit=1e2", "bad_filter"),
        ("limit=%D9%A1", "bad_filter"),
        ("limit=99999999999999999999", "bad_filter"),
        ("after=x", "bad_filter"),
        ("after=-1", "bad_filter"),
        ("after=", "bad_filter"),
        ("after=9999999999999999999999", "bad_filter"),
        ("page=2", "unknown_field"),
        ("state=flying", "bad_filter"),
        ("State=sent", "unknown_field"),
        ("%00=1", "unknown_field"),
    ],
)
async def test_a_filter_that_cannot_be_used(
    shared: Door, caller: OneChannel, query: str, reason: str
) -> None:
    msgid = await send(shared, caller, aud_userid=["nobody"])
    paths = [f"/api/messages/{msgid}/deliveries"]
    if not query.startswith("state"):
        paths.append("/api/messages")
    for path in paths:
        assert (await shared.get(f"{path}?{query}", caller)).told == (400, 4004, reason)


# -- deliveries -------------------------------------------------------------------------------


async def test_deliveries_are_filtered_and_paged(shared: Door) -> None:
    channel = await shared.channel()
    entries = [
        {"userid": f"p{n}", "email": {channel.key: f"p{n}@pages.example"}} for n in range(20)
    ]
    await shared.post("/v1/user/opt", entries, channel)
    shared.smtp.script["RCPT"] = lambda call: (
        b"550 5.1.1 no such user\r\n" if "<p7@pages" in call.line else None
    )
    userids = [f"p{n}" for n in range(20)] + ["stranger1", "stranger2"]
    msgid = await send(shared, channel, aud_userid=userids)
    assert (await shared.done(msgid, channel))["counts"] == {"sent": 19, "failed": 1, "invalid": 2}
    path = f"/api/messages/{msgid}/deliveries?"

    async def found(query: str) -> list[str]:
        each = [item for page in await pages(shared, path + query, channel) for item in page]
        return [item["userid"] for item in each]

    for limit in (1, 4, 22, 23, 500):
        assert await found(f"limit={limit}") == userids
    assert await found("limit=5&state=sent") == [id for id in userids[:20] if id != "p7"]
    assert await found("limit=1&state=invalid") == userids[20:]
    assert await found("reason=no_user") == userids[20:]
    assert await found("userid=p3") == ["p3"]
    assert await found("address=p4@pages.example&state=sent") == ["p4"]
    assert await found("address=p4@pages.example&state=failed") == []
    assert await found("userid=%27%20OR%201=1") == []
    for query in ("userid=p3%00", "reason=%00"):
        assert (await shared.get(path + query, channel)).told == (400, 4004, "bad_filter")
    refused = await shared.get(f"{path}state=failed", channel)
    assert refused.body["items"][0] | {"id": 0, "created_at": "", "updated_at": ""} == {
        "id": 0,
        "userid": "p7",
        "address": "p7@pages.example",
        "state": "failed",
        "reason": refused.body["items"][0]["reason"],
        "sender": channel.sender,
        "tries": 1,
        "due_at": None,
        "created_at": "",
        "updated_at": "",
    }
    assert refused.body["items"][0]["reason"]
    shared.smtp.script.clear()


async def test_a_delivery_with_its_attempts(door: Door) -> None:
    channel = await door.channel()
    greylisted = [b"451 4.7.1 greylisted, come back \xd6\xae\r\n"]
    door.smtp.script["RCPT"] = [*greylisted]
    msgid = await send(door, channel, aud_email=[{"data": ["a@example.org"]}])
    path = f"/api/messages/{msgid}/deliveries"
    async with asyncio.timeout(30):
        while not (found := (await door.get(f"{path}?state=deferred", channel)).body["items"]):
            await asyncio.sleep(0.02)
    assert found[0]["due_at"] > found[0]["created_at"]
    async with door.system.database.write() as tx:
        await tx.run(update(deliveries).values(due_at=clock.now()))
    shown = await door.done(msgid, channel)
    assert shown["counts"] == {"sent": 1}
    history = (await door.get(f"/api/deliveries/{found[0]['id']}", channel)).body
    assert (history["msgid"], history["state"], history["tries"]) == (msgid, "sent", 2)
    first, second = history["attempts"]
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["code"], first["enhanced"], second["code"]) == (451, "4.7.1", 250)
    assert "greylisted" in first["reply"]
    assert first["started_at"] <= second["started_at"]
    for attempt in (first, second):
        assert attempt["sender"] == channel.sender
        assert attempt["duration_ms"] >= 0
        assert attempt["stage"]
        assert attempt["verdict"]


# -- in the middle of an expansion ------------------------------------------------------------


class Steps:
    """Lets an engine expand one step at a time, but for the one of `others`."""

    def __init__(self, others: Database) -> None:
        self._others = others
        self._allowed = asyncio.Semaphore(0)
        self._done = asyncio.Semaphore(0)
        self.free = False

    async def expand(self, database: Database) -> bool:
        if database is self._others:
            return await expand(database)
        if not self.free:
            await self._allowed.acquire()
        try:
            return await expand(database)
        finally:
            self._done.release()

    async def one(self) -> None:
        self._allowed.release()
        await self._done.acquire()

    def finish(self) -> None:
        self.free = True
        self._allowed.release()


@pytest_asyncio.fixture(loop_scope="module")
async def steps(monkeypatch: pytest.MonkeyPatch, shared: Door) -> AsyncIterator[Steps]:
    made = Steps(shared.system.database)
    monkeypatch.setattr(worker, "expand", made.expand)
    monkeypatch.setattr(expansion, "CHUNK", 7)
    yield made
    made.finish()


async def test_counts_add_up_in_the_middle_of_an_expansion(steps: Steps, door: Door) -> None:
    channel = await door.channel()
    entries = [
        {"userid": f"x{n}", "tag": {"all": ["t"]}, "email": {"all": f"x{n // 2}@many.example"}}
        for n in range(30)
    ]
    await door.post("/v1/user/opt", entries, channel)
    msgid = await send(door, channel, aud_tag=["t"], aud_userid=["x1", "stranger"])
    small = await send(door, channel, aud_email=[{"data": ["a@example.org", "b@example.org"]}])
    seen: list[dict[str, Any]] = []

    async def look() -> dict[str, Any]:
        shown = (await door.get(f"/api/messages/{msgid}", channel)).body
        listed = (await door.get("/api/messages", channel)).body["items"]
        assert [item["msgid"] for item in listed] == [small, msgid]
        assert [item["audience"] for item in listed][1] in {0, 31}
        assert sum(shown["counts"].values()) == shown["audience"]
        seen.append(shown)
        return shown

    assert (await look())["state"] == "accepted"
    assert (await door.get(f"/api/messages/{small}", channel)).body["counts"] == {"pending": 2}
    for _ in range(6):
        await steps.one()
        await look()
    steps.finish()
    last = await door.done(msgid, channel)
    assert last["counts"] == {"sent": 15, "invalid": 16}
    planned = [shown for shown in seen if shown["audience"]]
    assert {shown["audience"] for shown in planned} == {31}
    pending = [shown["counts"].get("pending", 0) for shown in planned]
    assert len(set(pending)) >= 4  # it was looked at in between
    assert pending == sorted(pending, reverse=True)


# -- who sees what ----------------------------------------------------------------------------

MSGID, DELIVERY = "{msgid:str}", "{delivery_id:int}"
OPEN = {"/", "/healthz", "/readyz"}  # say nothing of any channel
OWN = {  # take, and show nothing
    "/v1/sent",
    "/v1/broadcast",
    "/v1/template/sent",
    "/v1/template/broadcast",
    "/v1/retract/{msgid}",
    "/v1/user/opt",
    "/v1/user/delete",
    "/v1/material",
    "/v1/material/{token}",
    "/v1/token",
}
MANAGE = {
    "/api/messages",
    f"/api/messages/{MSGID}",
    f"/api/messages/{MSGID}/deliveries",
    f"/api/deliveries/{DELIVERY}",
}
ELSEWHERE = ("/local/", "/sandbox", "/static")  # see test_local and the console's tests


def is_page(route: HTTPRoute) -> bool:
    """Whether it is one of the console's, which tests/console looks after."""
    handlers = [handler for handler, _ in route.route_handler_map.values()]
    return any(ConsoleDoor in handler.resolve_middleware() for handler in handlers)


async def test_every_route_is_in_the_table(shared: Door) -> None:
    routes = [one for one in shared.app.routes if isinstance(one, HTTPRoute) and not is_page(one)]
    paths = {route.path_format for route in routes}
    known = {path.replace(":str", "") for path in OPEN | OWN}
    # Those of the management API are in test_manage_door.
    assert {path for path in paths if not path.startswith((*ELSEWHERE, "/api/"))} == known


@pytest.mark.parametrize("route", sorted(MANAGE))
async def test_another_channel_sees_nothing(shared: Door, master: Basic, route: str) -> None:
    owner, other = await shared.channel(), await shared.channel()
    secret = f"hidden{owner.key}@private.example"
    msgid = await send(shared, owner, aud_email=[{"data": [secret]}])
    await shared.done(msgid, owner)
    listed = await shared.get(f"/api/messages/{msgid}/deliveries", owner)
    path = route.replace(MSGID, msgid).replace(DELIVERY, str(listed.body["items"][0]["id"]))

    def told_nothing(answer: Answer) -> bool:
        return not any(word.encode() in answer.raw for word in (msgid, secret, owner.key))

    mine = await shared.get(path, owner)
    assert mine.status == 200
    assert not told_nothing(mine)
    theirs = await shared.get(path, other)
    if route == "/api/messages":
        assert theirs.body == {"items": [], "next": None}
    else:
        unknown = await shared.get(route.replace(MSGID, "x").replace(DELIVERY, "999999999"), other)
        assert theirs.told == unknown.told
        assert theirs.status == 404
    assert told_nothing(theirs)
    by_key = await shared.get(path, master)
    assert by_key.told == (403, 4005, "channel_only")
    assert told_nothing(by_key)
    assert (await shared.get(path)).told == (401, 4005, "no_credentials")
    wrong = await shared.get(path, (owner.key, other.secret))
    assert wrong.told == (401, 4005, "bad_credentials")


@pytest.mark.parametrize(
    "path",
    [
        "/api/messages/x",
        "/api/messages/%00",
        "/api/messages/%2e%2e",
        "/api/messages/v%3A1t%3A1p%3A1n%3A1",
        "/api/messages/x/deliveries",
        "/api/deliveries/0",
        "/api/deliveries/x",
        "/api/deliveries/-1",
        "/api/deliveries/%D9%A1",
        "/api/deliveries/99999999999999999999",
        "/api/deliveries/999999999999999999",
    ],
)
async def test_what_is_not_there(shared: Door, caller: OneChannel, path: str) -> None:
    answer = await shared.get(path, caller)
    assert (answer.status, answer.code) == (404, 4004)


async def test_a_msgid_may_be_escaped(shared: Door, caller: OneChannel) -> None:
    msgid = await send(shared, caller, aud_userid=["nobody"])
    for written in (msgid, msgid.replace(":", "%3A"), msgid.replace(":", "%3a")):
        assert (await shared.get(f"/api/messages/{written}", caller)).body["msgid"] == msgid
