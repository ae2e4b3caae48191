"""Callbacks over the management API, with a real receiver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.doors import Answer, Door, OneChannel
from support.flow import until, with_settings
from support.receiver import Receiver, receiving
from support.telling import ALLOWED, steps

MAIL = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}


@asynccontextmanager
async def told(door: Door) -> AsyncIterator[tuple[OneChannel, Receiver, str]]:
    """A channel, its receiver, and where its addresses are."""
    with_settings(door.system, **ALLOWED)
    channel = await door.channel()
    async with receiving(channel.key, channel.secret) as receiver:
        yield channel, receiver, f"/api/channels/{channel.key}/callbacks"


async def test_an_address_from_its_verification_to_its_end(door: Door) -> None:
    async with told(door) as (channel, receiver, path):
        made = await door.post(path, {"url": receiver.url, "form": "hosted"}, channel)
        assert (made.status, made.body["is_default"], made.body["state"]) == (201, True, "verified")
        secret = made.body["secret"]
        one = f"{path}/{made.body['id']}"
        shown = (await door.get(path, channel)).body["items"]
        assert [(each["url"], "secret" in each) for each in shown] == [(receiver.url, False)]
        tested = await door.post(f"{one}/test", {}, channel)
        assert (tested.body["ok"], tested.body["status"]) == (True, 200)
        receiver.verify(receiver.posts[0], secret)
        assert (await door.post(f"{one}/verify", {}, channel)).body["state"] == "verified"
        rotated = await door.post(f"{one}/rotate", {"overlap_hours": 0}, channel)
        assert rotated.body["secret"] not in ("", secret)
        again = await door.post(path, {"url": receiver.url, "form": "hosted"}, channel)
        assert again.told == (409, 4004, "callback_taken")
        last = await door.ask("DELETE", one, channel)
        assert last.told == (400, 4004, "callback_default")
        second = await door.post(
            path, {"url": f"{receiver.url}?2", "schedule": "standard", "form": "hosted"}, channel
        )
        other = f"{path}/{second.body['id']}"
        assert (await door.post(f"{other}/default", {}, channel)).body["is_default"] is True
        assert (await door.ask("DELETE", one, channel)).status == 204
        left = (await door.get(path, channel)).body["items"]
        assert [(each["id"], each["schedule"]) for each in left] == [
            (second.body["id"], "standard")
        ]


async def test_what_does_not_answer_is_not_kept(door: Door) -> None:
    async with told(door) as (channel, receiver, path):
        wrong = f"http://127.0.0.1:{receiver.port}"
        receiver.secret = "another"
        refused = await door.post(path, {"url": wrong, "form": "hosted"}, channel)
        assert refused.told == (400, 4004, "callback_unverified")
        for url in ("nonsense", "ftp://x/", "http://10.0.0.1/"):
            assert (await door.post(path, {"url": url}, channel)).status == 400
        assert (await door.get(path, channel)).body["items"] == []


async def test_dead_batches_are_told_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, "hosted", 0.01, 0.01)
    async with told(door) as (channel, receiver, path):
        await door.post(path, {"url": receiver.url, "form": "hosted"}, channel)
        receiver.always = 500
        batches = f"/api/channels/{channel.key}/batches"
        sent = await door.post("/api/messages", {**MAIL, "sendno": "n7"}, channel)
        await door.done(sent.body["msgid"], channel)

        async def dead() -> list[dict[str, Any]]:
            return (await door.get(f"{batches}?state=dead", channel)).body["items"]

        found = await until(dead)
        batch = (await door.get(f"{batches}/{found[0]['id']}", channel)).body
        assert (batch["last_status"], batch["size"]) == (500, len(batch["records"]))
        assert batch["records"][0]["msgid"] == sent.body["msgid"]
        tries = [each.id for each in receiver.posts]
        receiver.always = None
        nothing = await door.post(f"{batches}/replay", {}, channel)
        assert nothing.told == (400, 4004, "callback_replay")
        one = found[0]["id"]
        again: Answer = await door.post(f"{batches}/replay", {"first": one, "last": one}, channel)
        assert again.body == {"batches": 1}
        await receiver.until_told(len(batch["records"]))
        assert receiver.taken[0].id in tries  # under its old id
        gone = await door.post(f"{batches}/replay", {"first": one, "last": one}, channel)
        assert gone.told == (404, 4004, "callback_batch_unknown")


async def test_the_choice_of_statuses_is_a_rule(door: Door) -> None:
    async with told(door) as (channel, receiver, path):
        await door.post(path, {"url": receiver.url, "form": "hosted"}, channel)
        admin = await door.api_token()
        rules = f"/api/channels/{channel.key}/rules"
        await door.send("PATCH", rules, {"statuses": [2]}, admin)
        await door.post("/api/messages", MAIL, channel)
        told_of = await receiver.until_told(1)
        assert {record["type"] for record in told_of} == {2}
