"""What cavlabs/jiguang-sdk-go sends and how it reads the answers (ums-spec 7.1)."""

from typing import Any

import pytest

from support.doors import Answer, Basic, Door, OneChannel, open_door
from support.raw import go_json, raw
from ums.config import Settings
from ums.core.content import materials
from ums.core.templates import store
from ums.core.templates.compiler import Sources

AGENT = "User-Agent: cavlabs/jiguang-sdk-go/1.0.8"
JSON = "Content-Type: application/json;charset=UTF-8"
BOUNDARY = "f" * 60  # Go's are of 60 hex digits
MESSAGE: dict[str, Any] = {
    "aud_email": [{"instance": "email", "data": ["a@example.com"]}],
    "msg_email": [{"subject": "s", "text": "<b>t</b> & more"}],
    "option": {"sendno": "n", "owner": "o", "priority": 2},
    "callback": {"params": {"k": 1}},
}


def header(who: OneChannel | Basic) -> str:
    basic = who if isinstance(who, OneChannel) else OneChannel(*who)
    return f"Authorization: {basic.header}"


async def call(
    door: Door, method: str, path: str, who: OneChannel | Basic, body: bytes | None = None
) -> Answer:
    lines = [f"Host: 127.0.0.1:{door.port}", AGENT, header(who), JSON, "Accept-Encoding: gzip"]
    return await door.wire(raw(method, path, *lines, body=body))


def is_success(answer: Answer) -> bool:
    """As its CodeError reads it: 2xx and code 0, an absent code being 0 (item 13)."""
    found = answer.body
    assert type(found.get("code", 0)) is int
    assert type(found.get("message", "")) is str
    assert type(found.get("msgid", "")) is str
    assert type(found.get("sendno", "")) is str
    return answer.status // 100 == 2 and found.get("code", 0) == 0


async def test_1_it_looks_at_the_bare_address_first(shared: Door) -> None:
    answer = await shared.wire(raw("HEAD", "/", f"Host: 127.0.0.1:{shared.port}", AGENT))
    assert (answer.status, answer.raw) == (200, b"")


async def test_2_and_3_it_sends(shared: Door) -> None:
    channel = await shared.channel()
    answer = await call(shared, "POST", "/v1/sent", channel, go_json(MESSAGE))
    assert is_success(answer)
    assert answer.body["sendno"] == "n"
    assert (await shared.done(answer.body["msgid"], channel))["counts"] == {"sent": 1}


async def test_3_zero_values_are_left_out_and_instance_may_be_absent(shared: Door) -> None:
    channel = await shared.channel()
    body = {"aud_email": [{"data": ["a@example.com"]}], "msg_email": MESSAGE["msg_email"]}
    answer = await call(shared, "POST", "/v1/sent", channel, go_json(body))
    assert is_success(answer)
    assert "sendno" not in answer.body


async def test_3_a_list_that_is_not_there(shared: Door, caller: OneChannel) -> None:
    body = {**MESSAGE, "option": {**MESSAGE["option"], "black_id": 1}}
    answer = await call(shared, "POST", "/v1/sent", caller, go_json(body))
    assert (answer.status, answer.code) == (400, 1015046)
    assert not {"sendno", "msgid"} & set(answer.body)


async def test_4_it_broadcasts(shared: Door) -> None:
    body = {key: value for key, value in MESSAGE.items() if key != "aud_email"}
    channel = await shared.channel()
    assert is_success(await call(shared, "POST", "/v1/broadcast", channel, go_json(body)))


async def test_4_it_sends_templates(shared: Door) -> None:
    made = await shared.channel()
    channel = (await shared.system.directory.now()).channels[made.key]
    template = await store.create(shared.system, channel, "t", Sources(subject="{{ a }}", text="t"))
    more = {"template_id": template.id, "template_para": {"a": 1}, "app_para": {"platform": "all"}}
    for path, body in (
        ("/v1/template/sent", {"aud_email": MESSAGE["aud_email"], **more}),
        ("/v1/template/broadcast", more),
    ):
        assert is_success(await call(shared, "POST", path, made, go_json(body)))


@pytest.mark.parametrize("body", [None, b"null"], ids=["none", "up to v1.0.7"])
async def test_7_it_retracts(shared: Door, body: bytes | None) -> None:
    channel = await shared.channel()
    sent = await call(shared, "POST", "/v1/sent", channel, go_json(MESSAGE))
    path = f"/v1/retract/{sent.body['msgid']}"
    assert ":" in path
    assert is_success(await call(shared, "POST", path, channel, body))
    again = await call(shared, "POST", path.replace(":", "%3A"), channel, body)
    assert (again.status, again.code) == (400, 1015055)


async def test_5_and_14_it_changes_users(shared: Door, caller: OneChannel) -> None:
    entries = [
        {"userid": "sdk1", "set": {"email": {caller.key: "x@example.com"}, "tag": {"all": ["a"]}}},
        {"userid": "sdk2", "add": {"tag": {"all": ["b"]}}, "del": {"email": {"all": "y@z.cn"}}},
        {"userid": "sdk3", "set": {"email": {"nobody": "x@example.com"}}},
    ]
    answer = await call(shared, "POST", "/v1/user/opt", caller, go_json(entries))
    assert is_success(answer)
    data = answer.body["data"]
    assert data["success"] == ["sdk1", "sdk2"]
    [failure] = data["fail"]
    assert (failure["userid"], failure["errcode"]) == ("sdk3", "4004")
    assert type(failure["errmsg"]) is str


async def test_6_and_14_it_deletes_users(shared: Door, caller: OneChannel, master: Basic) -> None:
    await call(shared, "POST", "/v1/user/opt", caller, go_json([{"userid": "sdk9"}]))
    answer = await call(shared, "POST", "/v1/user/delete", master, go_json(["sdk9", "sdk0"]))
    assert is_success(answer)
    assert answer.body["data"]["success"] == ["sdk9"]
    assert answer.body["data"]["fail"][0]["userid"] == "sdk0"
    failed = await call(shared, "POST", "/v1/user/delete", caller, go_json(["sdk9"]))
    assert not is_success(failed)
    assert (failed.status, failed.body["data"]) == (403, "")


@pytest.mark.parametrize("body", [None, b"null"])
@pytest.mark.parametrize("kind", ["wechatoa", "wechatmp", "dingtalkcc", "wechatwk", "email"])
async def test_8_and_15_it_asks_for_a_token(
    shared: Door, caller: OneChannel, kind: str, body: bytes | None
) -> None:
    answer = await call(shared, "GET", f"/v1/token?type={kind}", caller, body)
    assert not is_success(answer)
    assert answer.told == (400, 4004, "token_type")


def form(*parts: tuple[str, bytes]) -> bytes:
    """What Go's multipart.Writer has written before it is closed."""
    pieces = [
        b"\r\n--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b"
        % (BOUNDARY.encode(), head.encode(), value)
        for head, value in parts
    ]
    return b"".join(pieces).removeprefix(b"\r\n")


KIND = ('name="type"', b"attachment")
FILE = (
    'name="file"; filename="报价 \\"一\\".csv"\r\nContent-Type: application/octet-stream',
    b"1,2\r\n3,4\r\n",
)
HOURS = ('name="time_to_live"', b"168")
CUT = {
    "in the file": form(KIND, FILE),
    "in the hours": form(KIND, FILE, HOURS),
    "with the file last": form(KIND, HOURS, FILE),
    "in an empty file": form(KIND, (FILE[0], b"")),
}
END = f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize("ending", [b"", END], ids=["cut", "whole"])
@pytest.mark.parametrize("name", CUT)
async def test_10_it_uploads_without_the_closing_boundary(
    shared: Door, caller: OneChannel, name: str, ending: bytes
) -> None:
    lines = [f"Host: 127.0.0.1:{shared.port}", AGENT, header(caller)]
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    body = CUT[name] + ending
    answer = await shared.wire(raw("POST", "/v1/material", *lines, kind, body=body))
    assert is_success(answer)
    stored = (await materials.list_materials(shared.system, limit=1)).items[0]
    assert stored.url == answer.body["url"]
    size = 0 if name == "in an empty file" else len(FILE[1])
    assert (stored.name, stored.content_type) == ('报价 "一".csv', "text/csv")
    assert stored.size == size


async def test_11_every_answer_is_a_json_object(settings: Settings) -> None:
    async with open_door(settings) as door:
        channel = await door.channel(limit=1)
        closed = await door.channel(sender=False)
        answers = [
            await call(door, "POST", "/v1/sent", ("nobody", "x"), go_json(MESSAGE)),
            await call(door, "POST", "/v1/sent", closed, go_json(MESSAGE)),
            await call(door, "POST", "/v1/user/delete", closed, b"[]"),
            await call(door, "POST", "/v1/nothing", closed, b"null"),
            await call(door, "GET", "/v1/sent", closed),
            await door.wire(
                raw("POST", "/v1/sent", "Host: ums", header(closed), "Content-Length: 20000000")
            ),
            await call(door, "POST", "/v1/sent", channel, go_json(MESSAGE)),
            await call(door, "POST", "/v1/sent", channel, go_json(MESSAGE)),
            await door.wire(b"\x16\x03\x01\r\n\r\n"),
        ]
        expected = [401, 400, 403, 404, 405, 413, 200, 429, 400]
        assert [answer.status for answer in answers] == expected
        for answer in answers:
            assert answer.headers["content-type"] == "application/json"
            assert is_success(answer) is (answer.status == 200)


async def test_16_the_rate_is_told_as_whole_numbers(shared: Door) -> None:
    channel = await shared.channel(limit=50)
    answer = await call(shared, "POST", "/v1/sent", channel, go_json(MESSAGE))
    told = [answer.headers[f"X-Rate-Limit-{name}"] for name in ("Limit", "Remaining", "Reset")]
    assert told == ["50", "49", "1"]
