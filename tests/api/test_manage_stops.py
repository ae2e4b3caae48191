"""Pausing, resuming, cancelling and resending over HTTP, with a real SMTP server; sums add up."""

import asyncio
from typing import Any

import pytest

from support.doors import Door, OneChannel
from support.fakes import SmtpServer

ADDRESSES = [f"a{number}@example.org" for number in range(40)]


async def send(door: Door, who: OneChannel, **more: Any) -> str:
    recipients = [{"address": address} for address in ADDRESSES]
    body = {"recipients": recipients, "subject": "s", "text": "t", **more}
    answer = await door.post("/api/messages", body, who)
    assert answer.status == 201, answer.raw
    return f"/api/messages/{answer.body['msgid']}"


def held(smtp: SmtpServer) -> asyncio.Event:
    """Let the first mails stay before their dot until the event is set."""
    free = asyncio.Event()

    async def wait(_: Any) -> None:
        await free.wait()

    smtp.script["DOT"] = wait
    return free


async def until_at_dot(door: Door, path: str, who: OneChannel) -> None:
    async with asyncio.timeout(60):
        while not (await door.get(path, who)).body["counts"].get("at_dot"):
            await asyncio.sleep(0.02)  # the API tells nobody


async def shown(door: Door, path: str, who: OneChannel) -> dict[str, Any]:
    found = (await door.get(path, who)).body
    assert sum(found["counts"].values()) == found["audience"] == len(ADDRESSES)
    return found


@pytest.mark.parametrize("verb", ["cancel", "retract"])
async def test_what_is_stopped_never_goes_out(door: Door, verb: str) -> None:
    who = await door.channel()
    free = held(door.smtp)
    path = await send(door, who)
    await until_at_dot(door, path, who)
    stopped = (await door.post(f"{path}/{verb}", {}, who)).body
    in_flight = stopped["in_flight"]
    assert in_flight >= 1
    parts = ("stopped", "waiting", "in_flight", "sent", "unknown", "ended")
    assert sum(stopped[part] for part in parts) == stopped["audience"] == len(ADDRESSES)
    free.set()
    ended = await door.done(path.rpartition("/")[2], who)
    assert ended["state"] == {"cancel": "cancelled", "retract": "retracted"}[verb]
    assert ended["counts"].get("sent", 0) == len(door.smtp.mails) <= stopped["sent"] + in_flight
    await shown(door, path, who)


async def test_a_paused_message_goes_on_and_reaches_everybody_once(door: Door) -> None:
    who = await door.channel()
    free = held(door.smtp)
    path = await send(door, who)
    await until_at_dot(door, path, who)
    paused = (await door.post(f"{path}/pause", {}, who)).body
    assert paused["stopped"] >= 1
    free.set()
    found = await shown(door, path, who)
    assert found["state"] == "paused"
    resumed = await door.post(f"{path}/resume", {}, who)
    assert resumed.status == 200
    ended = await door.done(path.rpartition("/")[2], who)
    assert ended["counts"] == {"sent": len(ADDRESSES)}
    assert sorted(one.rcpt_to for one in door.smtp.mails) == sorted(ADDRESSES)


async def test_what_failed_is_sent_again_and_nothing_else(door: Door) -> None:
    who = await door.channel()
    refused = set(ADDRESSES[:3])

    def refuse(call: Any) -> bytes | None:
        address = call.line.partition("<")[2].partition(">")[0]
        return b"550 5.1.1 no such user\r\n" if address in refused else None

    door.smtp.script["RCPT"] = refuse
    path = await send(door, who)
    msgid = path.rpartition("/")[2]
    assert (await door.done(msgid, who))["counts"] == {"failed": 3, "sent": len(ADDRESSES) - 3}
    none = await door.post(f"{path}/resend", {"reasons": ["mailbox_full"]}, who)
    assert none.body["resent"] == 0
    del door.smtp.script["RCPT"]
    again = await door.post(f"{path}/resend", {"states": ["failed"]}, who)
    assert again.body["resent"] == 3
    assert (await door.done(msgid, who))["counts"] == {"sent": len(ADDRESSES)}
    assert sorted(one.rcpt_to for one in door.smtp.mails) == sorted(ADDRESSES)
    wrong = await door.post(f"{path}/resend", {"states": ["sent"]}, who)
    assert wrong.told == (400, 4004, "resend_states")


async def test_halts_that_cannot_be(door: Door) -> None:
    who = await door.channel()
    path = await send(door, who)
    await door.done(path.rpartition("/")[2], who)
    await door.post(f"{path}/cancel", {}, who)
    resumed = await door.post(f"{path}/resume", {}, who)
    assert resumed.status == 400
    assert resumed.body["reason"] != "broken"
    resent = await door.post(f"{path}/resend", {}, who)
    assert resent.status in (200, 400)
    assert (await door.post("/api/messages/nothing/pause", {}, who)).status == 404
