"""Where the API takes what others might not (ums-spec 7)."""

import pytest

from support.doors import Door, OneChannel
from support.raw import raw


@pytest.mark.parametrize(
    "spelling",
    [
        "Authorization: Basic {}",
        "Authorization:Basic {}",
        "Authorization:   Basic {}  ",
        "Authorization: Basic  {}",
        "Authorization: Basic\t{}",
        "Authorization:\tBasic {}\t",
        "authorization: basic {}",
        "AUTHORIZATION: BASIC {}",
    ],
)
async def test_spellings_of_the_credentials(
    shared: Door, caller: OneChannel, spelling: str
) -> None:
    line = spelling.format(caller.header.removeprefix("Basic "))
    answer = await shared.wire(raw("GET", "/api/messages", "Host: x", line))
    assert answer.status == 200


@pytest.mark.parametrize("line", ["Authorization:", "Authorization: \t ", "Authorization: Basic"])
async def test_credentials_that_are_none(shared: Door, line: str) -> None:
    answer = await shared.wire(raw("GET", "/api/messages", "Host: x", line))
    assert (answer.status, answer.code) == (401, 4005)


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
async def test_colons_in_a_msgid(shared: Door, colon: str) -> None:
    channel = await shared.channel()
    body = {
        "aud_email": [{"data": ["a@example.org"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
    }
    msgid = (await shared.post("/v1/sent", body, channel)).body["msgid"]
    assert msgid.count(":") == 4
    path = f"/api/messages/{msgid.replace(':', colon)}"
    line = f"Authorization: {channel.header}"
    answer = await shared.wire(raw("GET", path, "Host: x", line))
    assert answer.body["msgid"] == msgid


@pytest.mark.parametrize("body", [b"null", b"", b"{}", b"not JSON", b"\xff" * 100])
@pytest.mark.parametrize("path", ["/", "/v1/token?type=wechatoa", "/api/messages"])
async def test_a_body_where_none_belongs(
    shared: Door, caller: OneChannel, path: str, body: bytes
) -> None:
    lines = ("Host: x", f"Authorization: {caller.header}", "Content-Type: application/json")
    bare = await shared.wire(raw("GET", path, *lines))
    assert (await shared.wire(raw("GET", path, *lines, body=body))).raw == bare.raw


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_bare_address_needs_nothing(shared: Door, method: str) -> None:
    for path in ("/", "/?", "/?x=y"):
        answer = await shared.wire(raw(method, path, "Host: x"))
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"


async def test_the_token_for_whoever_asks_without_a_type(shared: Door, caller: OneChannel) -> None:
    assert (await shared.get("/v1/token", caller)).told == (400, 4004, "missing")
    assert (await shared.get("/v1/token?type=", caller)).told == (400, 4004, "token_type")
    assert (await shared.get("/v1/token?type=email")).told == (401, 4005, "no_credentials")


async def test_whole_numbers_with_a_fraction_of_nothing(shared: Door, caller: OneChannel) -> None:
    """JSON has one kind of number, and some clients write 1.0 for 1."""
    body = {
        "aud_userid": [7.0],
        "aud_segment": None,
        "msg_email": [{"subject": "s", "text": "t"}],
        "msg_sms": None,
        "rule_id": 0.0,
        "option": {"sendno": 17.0, "priority": 1.0},
        "callback": {"params": {"half": 0.5}},
    }
    answer = await shared.post("/v1/sent", body, caller)
    assert (answer.status, answer.body["sendno"]) == (200, "17")
    shown = (await shared.get(f"/api/messages/{answer.body['msgid']}", caller)).body
    assert shown["priority"] == 1
    refused = await shared.post("/v1/sent", {**body, "rule_id": 0.5}, caller)
    assert refused.told == (400, 4004, "misfit")
