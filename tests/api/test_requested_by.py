"""A message says who asked for it, and the audit log tells of what people and tokens send."""

from typing import Any

from support.doors import Door, OneChannel

MAIL = {"aud_email": [{"data": ["a@example.org"]}], "msg_email": [{"subject": "s", "text": "t"}]}
ASKED = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}


async def _shown(door: Door, msgid: str, channel: OneChannel) -> tuple[str, str]:
    shown = (await door.get(f"/api/messages/{msgid}", channel)).body
    return shown["requested_by"], shown["requested_from"]


async def _noted(door: Door, msgid: str, admin: str) -> list[dict[str, Any]]:
    return await door.listed(f"/api/audit?subject={msgid}&action=message.send", admin)


async def test_of_a_channels_key_the_message_is_the_record(door: Door) -> None:
    channel, admin = await door.channel(), await door.api_token()
    by_v1 = (await door.post("/v1/sent", MAIL, channel)).body["msgid"]
    by_api = (await door.post("/api/messages", ASKED, channel)).body["msgid"]
    for msgid in (by_v1, by_api):
        assert await _shown(door, msgid, channel) == (f"channel:{channel.key}", "127.0.0.1")
        assert await _noted(door, msgid, admin) == []


async def test_a_token_is_named_by_the_message_and_the_log(door: Door) -> None:
    channel, admin = await door.channel(), await door.api_token()
    asked, key = {**ASKED, "channel": channel.key}, {"Idempotency_Key": "once"}
    msgid = (await door.post("/api/messages", asked, admin, **key)).body["msgid"]
    assert (await door.post("/api/messages", asked, admin, **key)).body["msgid"] == msgid
    by, address = await _shown(door, msgid, channel)
    assert by.startswith("token:")
    (entry,) = await _noted(door, msgid, admin)
    assert (entry["actor"], entry["address"]) == (by, address)
    told = {"channel": channel.key, "by": "api", "recipients": 1}
    assert entry["after"] == told


async def test_a_command_is_named(door: Door) -> None:
    channel, admin = await door.channel(), await door.api_token()
    given = {"channel": channel.key, "body": MAIL}
    answer = await door.post("/local/message.send", given, door.token)
    assert answer.status == 200, answer.raw
    msgid = answer.body["msgid"]
    assert (await _shown(door, msgid, channel))[0] == "local"
    shown = await door.post("/local/message.show", {"msgid": msgid}, door.token)
    assert shown.body["requested_by"] == "local"
    assert len(await _noted(door, msgid, admin)) == 1
