"""Statistics and a message's events over the management API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.doors import Door, OneChannel
from support.fakes import Call
from ums.api.management.messages import events
from ums.core.reporting import reports

MAIL = [{"subject": "s", "text": "t"}]


async def send(door: Door, who: OneChannel, *addresses: str) -> str:
    body = {"aud_email": [{"data": list(addresses)}], "msg_email": MAIL}
    return str((await door.post("/v1/sent", body, who)).body["msgid"])


async def test_a_channels_statistics(shared: Door) -> None:
    channel, other = await shared.channel(), await shared.channel()
    msgid = await send(shared, channel, "a@x.org", "b@x.org", "a@x.org")
    await send(shared, other, "c@x.org")
    await shared.done(msgid, channel)
    for by, key in (
        ("message", msgid),
        ("channel", channel.key),
        ("sender", channel.sender),
        ("day", None),
        ("hour", None),
    ):
        body = (await shared.get(f"/api/stats?by={by}", channel)).body
        total = body["total"]
        assert (total["messages"], total["target"], total["valid"], total["submitted"]) == (
            1,
            3,
            2,
            2,
        )
        assert total["losses"] == [
            {"step": "valid", "state": "invalid", "reason": "duplicate", "count": 1}
        ]
        if key is not None:
            assert [row["key"] for row in body["items"]] == [key]
        else:
            assert sum(row["target"] for row in body["items"]) == 3
    admin = await shared.api_token("stats:read")
    whole = (await shared.get("/api/stats?by=channel", admin)).body
    assert {channel.key, other.key} <= {row["key"] for row in whole["items"]}
    named = (await shared.get(f"/api/stats?by=channel&channel={other.key}", admin)).body
    assert [row["key"] for row in named["items"]] == [other.key]
    one = (await shared.get(f"/api/stats?by=sender&message={msgid}", admin)).body
    assert [row["key"] for row in one["items"]] == [channel.sender]


@pytest.mark.parametrize(
    "query",
    [
        "by=moon",
        "zone=Moon/Base",
        "since=2020-01-01T00:00:00Z",
        "since=yesterday",
        "since=0001-01-01T00:00:00Z&until=0001-01-02T00:00:00Z",
        "until=9999-12-31T23:59:59Z",
        "by=message&after=x",
        "colour=red",
    ],
)
async def test_what_cannot_be_asked(shared: Door, caller: OneChannel, query: str) -> None:
    answer = await shared.get(f"/api/stats?{query}", caller)
    assert answer.status == 400
    assert answer.body["reason"] in {"bad_filter", "unknown_field"}


async def test_messages_are_filtered(shared: Door) -> None:
    channel = await shared.channel()
    subjects = ["100% Rabatt", "Über uns", "你好，世界", "100 percent"]
    sent: list[str] = []
    for subject in subjects:
        mail = [{"subject": subject, "text": "t"}]
        body = {"aud_email": [{"data": ["a@x.org"]}], "msg_email": mail}
        sent.append((await shared.post("/v1/sent", body, channel)).body["msgid"])
        await shared.done(sent[-1], channel)

    async def found(query: str) -> list[str]:
        items = await shared.listed(f"/api/messages?{query}", channel)
        return [subjects[sent.index(item["msgid"])] for item in items]

    assert await found("subject=100%25") == [subjects[0]]
    assert await found("subject=RABATT") == [subjects[0]]
    assert await found("subject=世界") == [subjects[2]]
    assert await found("subject=_") == []
    assert await found("sort=accepted_at") == subjects
    assert await found("sort=-accepted_at") == subjects[::-1]
    assert await found(f"sender={channel.sender}") == subjects[::-1]
    assert await found("sender=nobody") == []
    assert await found("state=done") == subjects[::-1]
    for state in ("accepted", "expanding", "sending", "scheduled", "paused", "retracted"):
        assert await found(f"state={state}") == []
    first = (await shared.get(f"/api/messages/{sent[1]}", channel)).body["accepted_at"]
    assert subjects[0] not in await found(f"since={first}")
    assert await found(f"until={first}") == subjects[:1]
    assert (await shared.get("/api/messages?state=flying", channel)).status == 400


async def test_attempts_are_listed(shared: Door) -> None:
    channel = await shared.channel()
    msgid = await send(shared, channel, "a@x.org")
    await shared.done(msgid, channel)
    [one] = (await shared.get(f"/api/messages/{msgid}/deliveries", channel)).body["items"]
    path = f"/api/deliveries/{one['id']}"
    whole = (await shared.get(path, channel)).body["attempts"]
    assert await shared.listed(f"{path}/attempts", channel, 1) == whole
    assert len(whole) == 1


# -- events -----------------------------------------------------------------------------------


def hold(door: Door, gate: asyncio.Event, stage: str = "DATA") -> None:
    """The receiving server answers to `stage` only when `gate` is open."""

    async def wait(_: Call) -> None:
        await gate.wait()

    door.smtp.script[stage] = wait


@asynccontextmanager
async def watched(door: Door, who: OneChannel, msgid: str) -> AsyncIterator[AsyncIterator[Any]]:
    """The events of a message: (name, data)."""

    async def each(lines: AsyncIterator[str]) -> AsyncIterator[Any]:
        event: dict[str, str] = {}
        async for line in lines:
            if not line:
                if event:
                    yield event.get("event", ""), event.get("data", event.get("", ""))
                event = {}
                continue
            name, _, value = line.partition(":")
            event[name] = value.strip()

    path = f"/api/messages/{msgid}/events"
    async with asyncio.timeout(60), door.http.stream("GET", path, auth=who.basic) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield each(answer.aiter_lines())


async def test_a_message_is_watched_to_its_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVERY", 0.01)
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    channel = await door.channel()
    gate = asyncio.Event()
    hold(door, gate)
    looks = 0
    original = reports.message

    async def counted(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        return await original(*given)

    msgid = await send(door, channel, "a@x.org", "b@x.org")
    seen: list[list[Any]] = [[], []]
    beats = 0
    async with watched(door, channel, msgid) as one, watched(door, channel, msgid) as two:
        monkeypatch.setattr(reports, "message", counted)
        for stream, found in ((one, seen[0]), (two, seen[1])):
            async for name, data in stream:
                if name == "":
                    beats += 1
                    gate.set()
                    continue
                found.append((name, data))
    for found in seen:
        assert found[-1] == ("end", "")
        last = json.loads(found[-2][1])
        assert (found[-2][0], last["state"], last["counts"]) == ("counts", "done", {"sent": 2})
        shown = [json.loads(data) for name, data in found if name == "counts"]
        assert all(sum(info["counts"].values()) == info["audience"] for info in shown)
        assert len({json.dumps(info) for info in shown}) == len(shown)
    assert beats
    assert looks
    async with asyncio.timeout(30):
        while door.app.state.watches:
            await asyncio.sleep(0.01)


async def test_a_retracted_message_is_watched_until_nothing_is_on_its_way(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVERY", 0.01)
    channel = await door.channel()
    gate = asyncio.Event()
    hold(door, gate, "DOT")
    msgid = await send(door, channel, "a@x.org", "b@x.org")
    async with asyncio.timeout(60):
        while "at_dot" not in (await door.get(f"/api/messages/{msgid}", channel)).body["counts"]:
            await asyncio.sleep(0.01)
    stopped = await door.post(f"/api/messages/{msgid}/retract", {}, channel)
    assert (stopped.status, stopped.body["halt"], stopped.body["audience"]) == (200, "retracted", 2)
    in_flight = stopped.body["in_flight"]
    assert in_flight >= 1
    found: list[tuple[str, str]] = []
    async with watched(door, channel, msgid) as stream:
        async for name, data in stream:
            if name:
                found.append((name, data))
                gate.set()
    assert found[-1] == ("end", "")
    last = json.loads(found[-2][1])
    assert last["counts"] == {
        state: count
        for state, count in (("sent", in_flight), ("cancelled", 2 - in_flight))
        if count
    }


async def test_who_leaves_is_no_watcher_any_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVERY", 0.01)
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    monkeypatch.setattr(events, "MOST", 1)
    channel = await door.channel()
    gate = asyncio.Event()
    hold(door, gate)
    msgid = await send(door, channel, "a@x.org")
    async with watched(door, channel, msgid) as stream:
        assert (await anext(stream))[0] == "counts"
        full = await door.get(f"/api/messages/{msgid}/events", channel)
        assert full.told == (429, 1015030, "busy")
    async with asyncio.timeout(30):
        while door.app.state.watches:
            await asyncio.sleep(0.01)
    gate.set()
    await door.done(msgid, channel)
    async with watched(door, channel, msgid) as stream:
        assert [name async for name, _ in stream] == ["counts", "end"]


async def test_a_stream_ends_with_its_credentials(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVERY", 0.01)
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    channel = await door.channel()
    hold(door, asyncio.Event())  # the message does not end by itself
    msgid = await send(door, channel, "a@x.org")
    admin = await door.api_token()
    made = await door.post("/api/tokens", {"name": "watch", "scopes": ["messages:read"]}, admin)
    headers = {"Authorization": f"Bearer {made.body['token']}"}
    path = f"/api/messages/{msgid}/events"
    async with door.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        async for line in lines:
            if line.startswith(":"):
                break  # the stream goes on
        revoked = await door.post(f"/api/tokens/{made.body['id']}/revoke", {}, admin)
        assert revoked.status == 200
        async with asyncio.timeout(60):
            async for _ in lines:
                pass  # it ends, or the test does
