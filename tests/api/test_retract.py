"""`/v1/retract/{msgid}` as clients of the hosted UMS call it (ums-spec 3.9, 7.1 item 7, 7.5)."""

from urllib.parse import quote

import pytest
from sqlalchemy import update

from support.doors import Basic, Door, OneChannel
from support.flow import until
from ums import clock
from ums.core.channels import channels
from ums.core.tables import messages

SUCCESS = {"code": 0, "message": "success"}


async def sent(door: Door, who: OneChannel, *addresses: str) -> str:
    body = {
        "aud_email": [{"data": list(addresses) or ["a@example.org"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
    }
    answer = await door.post("/v1/sent", body, who)
    assert answer.code == 0
    return answer.body["msgid"]


@pytest.mark.parametrize("colons", [":", "%3A", "%3a"])
async def test_colons_come_as_they_are_or_escaped(
    shared: Door, caller: OneChannel, colons: str
) -> None:
    msgid = await sent(shared, caller)
    request = (
        f"POST /v1/retract/{msgid.replace(':', colons)} HTTP/1.1\r\nHost: x\r\n"
        f"Connection: close\r\nAuthorization: {caller.header}\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await shared.wire(request.encode())
    assert (answer.status, answer.body) == (200, SUCCESS)


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[1", b"\x00\xff", b"x" * 300_000])
async def test_the_body_is_not_looked_at(shared: Door, caller: OneChannel, body: bytes) -> None:
    msgid = await sent(shared, caller)
    answer = await shared.post(f"/v1/retract/{msgid}", body, caller)
    assert (answer.status, answer.body) == (200, SUCCESS)
    # The connection is in order for the next request.
    assert (await shared.post(f"/v1/retract/{msgid}", body, caller)).code == 1015055


async def test_the_second_time_has_its_code(shared: Door, caller: OneChannel) -> None:
    msgid = await sent(shared, caller)
    assert (await shared.post(f"/v1/retract/{msgid}", None, caller)).body == SUCCESS
    answer = await shared.post(f"/v1/retract/{msgid}", None, caller)
    assert answer.told == (400, 1015055, "message_retracted")


async def test_a_message_that_is_gone_is_retracted_all_the_same(
    shared: Door, caller: OneChannel
) -> None:
    """There is nothing left to stop; what became of its mails the counts tell."""
    msgid = await sent(shared, caller)
    await shared.done(msgid, caller)
    assert (await shared.post(f"/v1/retract/{msgid}", None, caller)).body == SUCCESS
    shown = (await shared.get(f"/api/messages/{msgid}", caller)).body
    assert (shown["state"], shown["halt"], shown["counts"]) == (
        "retracted",
        "retracted",
        {"sent": 1},
    )


@pytest.mark.parametrize(
    "msgid", ["v:1t:1p:1n:1", "x", "%00", "a%00b", "%FF", "a%2Fb", "v" * 3000, "..", "%20"]
)
async def test_an_unknown_message(shared: Door, caller: OneChannel, msgid: str) -> None:
    request = (
        f"POST /v1/retract/{msgid} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {caller.header}\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await shared.wire(request.encode())
    assert answer.status in (400, 404)
    assert answer.code == 4004


async def test_another_channel_s_message_is_an_unknown_one(
    shared: Door, caller: OneChannel
) -> None:
    other = await shared.channel()
    msgid = await sent(shared, other)
    unknown = await shared.post("/v1/retract/v:1t:1p:1n:1", None, caller)
    answer = await shared.post(f"/v1/retract/{msgid}", None, caller)
    assert answer.told == unknown.told == (400, 4004, "message_unknown")
    assert answer.body == unknown.body
    assert (await shared.get(f"/api/messages/{msgid}", other)).body["halt"] == ""


async def test_after_24_hours_it_is_too_late(shared: Door, caller: OneChannel) -> None:
    msgid = await sent(shared, caller)
    async with shared.system.database.write() as tx:
        old = clock.now() - 24 * clock.HOUR - 1
        mine = update(messages).where(messages.c.msgid == msgid)
        await tx.run(mine.values(accepted_at=old))
    answer = await shared.post(f"/v1/retract/{msgid}", None, caller)
    assert answer.told == (400, 4004, "retract_too_late")


async def test_who_may(shared: Door, caller: OneChannel, master: Basic) -> None:
    msgid = await sent(shared, caller)
    path = f"/v1/retract/{msgid}"
    assert (await shared.post(path, None)).told == (401, 4005, "no_credentials")
    assert (await shared.post(path, None, (caller.key, "x"))).told[:2] == (401, 4005)
    assert (await shared.post(path, None, master)).told == (403, 4005, "channel_only")
    assert (await shared.get(path, caller)).told == (405, 4004, "wrong_method")
    assert (await shared.get(f"/api/messages/{msgid}", caller)).body["halt"] == ""


async def test_the_words_come_in_chinese(shared: Door, caller: OneChannel) -> None:
    msgid = await sent(shared, caller)
    for _ in range(2):
        answer = await shared.post(f"/v1/retract/{msgid}", None, caller, Accept_Language="zh-CN")
    assert answer.body["message"] == "该消息已撤回。"


async def test_a_closed_channel_may_still_stop_what_it_sent(shared: Door) -> None:
    mine = await shared.channel()
    msgid = await sent(shared, mine)
    await channels.set_open(shared.system, mine.key, open=False)
    assert (await shared.post(f"/v1/retract/{msgid}", None, mine)).body == SUCCESS


async def test_what_waits_is_stopped(door: Door) -> None:
    """A sender that rests: nothing of the message has gone out."""
    mine = await door.channel()
    door.smtp.script["GREETING"] = lambda call: b"421 4.3.2 not now\r\n"
    addresses = [f"n{i}@example.org" for i in range(40)]
    msgid = await sent(door, mine, *addresses)
    answer = await door.post(f"/v1/retract/{quote(msgid)}", None, mine)
    assert answer.body == SUCCESS

    async def all_cancelled() -> bool:
        shown = (await door.get(f"/api/messages/{msgid}", mine)).body
        assert sum(shown["counts"].values()) == shown["audience"] == 40
        return shown["counts"] == {"cancelled": 40}

    await until(all_cancelled)
    page = await door.get(f"/api/messages/{msgid}/deliveries?state=cancelled&limit=1", mine)
    assert page.body["items"][0]["reason"] == "retracted"
    assert door.smtp.mails == []
