"""What the documents of the hosted UMS show, as far as it is served (ums-spec 7.5)."""

from typing import Any

import pytest

from support.doors import Answer, Basic, Door, OneChannel
from ums.core.channels import channels

MAIL = [{"subject": "s", "text": "t"}]


async def opt(door: Door, who: OneChannel | Basic, *entries: dict[str, Any]) -> dict[str, Any]:
    return (await door.post("/v1/user/opt", list(entries), who)).body["data"]


async def reached(door: Door, channel: OneChannel, userid: str) -> str:
    """The address that a message of `channel` to `userid` goes to."""
    body = {"aud_userid": [userid], "msg_email": MAIL}
    msgid = (await door.post("/v1/sent", body, channel)).body["msgid"]
    await door.done(msgid, channel)
    page = await door.get(f"/api/messages/{msgid}/deliveries", channel)
    return page.body["items"][0]["address"]


@pytest.mark.parametrize("form", ["top", "set"])
async def test_1_and_2_the_example_of_the_email_guide(shared: Door, form: str) -> None:
    channel, other = await shared.channel(), await shared.channel()
    kinds = {"email": {channel.key: f"{form}@example.com"}}
    entry = {"userid": f"guide_{form}", **(kinds if form == "top" else {"set": kinds})}
    assert (await opt(shared, channel, entry))["success"] == [entry["userid"]]
    assert await reached(shared, channel, entry["userid"]) == f"{form}@example.com"
    assert await reached(shared, other, entry["userid"]) == ""


async def test_3_the_address_of_the_channel_goes_first(shared: Door, master: Basic) -> None:
    a, b = await shared.channel(), await shared.channel()
    addresses = {"all": "all@example.com", a.key: "own@example.com"}
    await opt(shared, master, {"userid": "first", "email": addresses})
    assert await reached(shared, a, "first") == "own@example.com"
    assert await reached(shared, b, "first") == "all@example.com"
    await opt(shared, a, {"userid": "first", "del": {"email": {a.key: "own@example.com"}}})
    assert await reached(shared, a, "first") == "all@example.com"


async def test_4_what_a_channel_may_not_write(shared: Door) -> None:
    a, b = await shared.channel(), await shared.channel()
    data = await opt(
        shared,
        a,
        {"userid": "w1", "email": {b.key: "x@example.com"}},
        {"userid": "w2", "app": {b.sender: ["token"]}},
        {"userid": "w3", "app": {a.sender: ["token"]}},
    )
    assert data["success"] == ["w3"]
    assert [(one["userid"], one["errcode"]) for one in data["fail"]] == [
        ("w1", "4004"),
        ("w2", "4004"),
    ]
    answer = await shared.post("/v1/user/delete", ["w3"], a)
    assert answer.told == (403, 4005, "access_key_only")


def emails(count: int) -> list[dict[str, Any]]:
    return [{"data": [f"a{n}@example.com" for n in range(count)]}]


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "5 mixed targets": ({"aud_email": emails(1), "aud_userid": ["u"], "msg_email": MAIL}, 4004),
    "5 1001 userids": ({"aud_userid": [f"u{n}" for n in range(1001)], "msg_email": MAIL}, 1015004),
    "5 21 tags": ({"aud_tag": [f"t{n}" for n in range(21)], "msg_email": MAIL}, 4004),
    "5 two segments": ({"aud_segment": ["1", "2"], "msg_email": MAIL}, 4004),
    "5 1001 addresses": ({"aud_email": emails(1001), "msg_email": MAIL}, 4004),
    "6 no content": ({"aud_email": emails(1)}, 4004),
    "6 no targets": ({"msg_email": MAIL}, 4004),
    "7 both lists": (
        {"aud_email": emails(1), "msg_email": MAIL, "option": {"black_id": 1, "white_id": 1}},
        1015097,
    ),
    "7 an unknown blocklist": (
        {"aud_email": emails(1), "msg_email": MAIL, "option": {"black_id": 999}},
        1015046,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_5_to_7_what_is_refused(shared: Door, caller: OneChannel, name: str) -> None:
    body, code = REFUSED[name]
    answer = await shared.post("/v1/sent", body, caller)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    "audience",
    [
        {"aud_userid": [f"u{n}" for n in range(1000)]},
        {"aud_tag": [f"t{n}" for n in range(20)]},
        {"aud_email": emails(1000)},
    ],
    ids=["userids", "tags", "addresses"],
)
async def test_5_as_many_as_are_allowed(shared: Door, audience: dict[str, Any]) -> None:
    channel = await shared.channel()
    answer: Answer = await shared.post("/v1/sent", {**audience, "msg_email": MAIL}, channel)
    assert answer.code == 0


async def test_9_closed_or_without_a_sender(shared: Door) -> None:
    body = {"aud_email": emails(1), "msg_email": MAIL}
    closed, bare = await shared.channel(), await shared.channel(sender=False)
    await channels.set_open(shared.system, closed.key, open=False)
    assert (await shared.post("/v1/sent", body, closed)).told == (400, 1015005, "channel_closed")
    assert (await shared.post("/v1/sent", body, bare)).told == (400, 1015010, "no_sender")
