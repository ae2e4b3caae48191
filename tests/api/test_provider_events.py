"""What a provider's webhook told, handed on over the management API."""

from typing import Any

import pytest

from support.doors import Door, OneChannel, Token
from ums.core.deliveries.message_id import signer_of

BODY = {"msg_email": [{"subject": "s", "text": "t"}]}


async def sent(door: Door, channel: OneChannel, address: str) -> tuple[str, str]:
    """msgid and Message-ID of a mail that went out."""
    body = {**BODY, "aud_email": [{"data": [address]}]}
    msgid = (await door.post("/v1/sent", body, channel)).body["msgid"]
    await door.done(msgid, channel)
    signer = signer_of(door.system.seal)
    found = (await door.get(f"/api/messages/{msgid}/deliveries", channel)).body["items"]
    return msgid, f"<{signer.token(found[0]['id'])}@example.org>"


def told(message_id: str, event: str, **more: str) -> dict[str, Any]:
    return {"events": [{"message_id": message_id, "event": event, **more}]}


async def state(door: Door, msgid: str, who: OneChannel) -> tuple[str, str]:
    found = (await door.get(f"/api/messages/{msgid}/deliveries", who)).body["items"][0]
    return found["state"], found["reason"]


async def test_a_mail_that_came_back_is_failed_once(door: Door) -> None:
    channel = await door.channel()
    admin = await door.api_token()
    msgid, mail = await sent(door, channel, "gone@example.org")
    failed = told(mail, "failed", reply="550 5.1.1 user unknown", id="evt-1")
    answer = await door.post("/api/provider-events", failed, admin)
    assert (answer.status, answer.body) == (200, counts(taken=1, bounced=1))
    assert await state(door, msgid, channel) == ("failed", "no_such_mailbox")
    again = await door.post("/api/provider-events", failed, admin)
    assert again.body == counts(taken=1)
    key = channel.key
    listed = (await door.get(f"/api/channels/{key}/suppressions", admin)).body["items"]
    assert [(one["address"], one["reason"]) for one in listed] == [
        ("gone@example.org", "no_such_mailbox")
    ]


async def test_a_complaint_suppresses(door: Door) -> None:
    channel = await door.channel()
    admin = await door.api_token()
    msgid, mail = await sent(door, channel, "angry@example.org")
    answer = await door.post("/api/provider-events", told(mail, "complaint"), admin)
    assert answer.body == counts(taken=1, complained=1)
    assert await state(door, msgid, channel) == ("sent", "")
    for event in ("delivered", "delayed", "opened"):
        answer = await door.post("/api/provider-events", told(mail, event), admin)
        assert answer.body == counts(taken=1)


async def test_only_own_and_signed_message_ids_count(door: Door) -> None:
    channel = await door.channel()
    admin: Token = await door.api_token()
    other = await door.channel()
    msgid, mail = await sent(door, channel, "a@example.org")
    bound = await door.api_token(channels=[other.key])
    for who, id in ((bound, mail), (admin, "1.00000000000000000000@x"), (admin, "nothing")):
        answer = await door.post("/api/provider-events", told(id, "failed"), who)
        assert answer.body == counts(not_ours=1)
    assert await state(door, msgid, channel) == ("sent", "")


def counts(**some: int) -> dict[str, int]:
    zero = dict.fromkeys(("taken", "not_ours", "arrived", "bounced", "complained"), 0)
    return zero | some


@pytest.mark.parametrize(
    "body",
    [
        {"events": []},
        {"events": [{"message_id": "x", "event": "lost"}]},
        {"events": [{"event": "failed"}]},
        {"events": [{"message_id": "x", "event": "failed", "more": 1}]},
        {"events": [{"message_id": "x" * 256, "event": "failed"}]},
        {"events": [{"message_id": "x", "event": "failed"}] * 1001},
        {},
    ],
)
async def test_bad_events_are_refused(door: Door, body: dict[str, Any]) -> None:
    answer = await door.post("/api/provider-events", body, await door.api_token())
    assert answer.status == 400
