"""/v1/sent and /v1/broadcast: targets, limits, pairing, options, and every documented refusal."""

from typing import Any

import msgspec
import pytest
import pytest_asyncio

from support.doors import Door, OneChannel
from ums.core.channels import channels
from ums.core.users import segments

MAIL = [{"subject": "s", "text": "t"}]
DIRECT = [{"data": ["a@example.org"]}]
OTHER_TYPES = (
    "app",
    "wechatoa",
    "wechatmp",
    "sms",
    "alipay_life",
    "dingtalk_cc",
    "wechatwk",
    "wechatwk_linkedcorp",
)


def direct(**more: Any) -> dict[str, Any]:
    return {"aud_email": DIRECT, "msg_email": MAIL, **more}


def to(**audience: Any) -> dict[str, Any]:
    return {"msg_email": MAIL, **audience}


def with_mail(**content: Any) -> dict[str, Any]:
    return {"aud_email": DIRECT, "msg_email": [{"subject": "s", "text": "t", **content}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def taking(shared: Door) -> OneChannel:
    """A channel for all that is taken."""
    return await shared.channel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusing(shared: Door) -> OneChannel:
    """A channel that shall never store anything."""
    return await shared.channel()


async def messages_of(door: Door, who: OneChannel) -> int:
    return len((await door.get("/api/messages?limit=500", who)).body["items"])


# -- targets ----------------------------------------------------------------------------------


async def people(door: Door, key: str) -> None:
    """Four users: two tagged and addressed in different scopes, one with nothing, one plain."""
    entries = [
        {"userid": "ann", "tag": {key: ["own"]}, "email": {"all": "ann@all.example"}},
        {
            "userid": "bob",
            "tag": {"all": ["own", "shared"]},
            "email": {"all": "bob@all.example", key: "bob@own.example"},
        },
        {"userid": "cyd", "attributes": {}},
        {"userid": "dee", "email": {"all": "dee@all.example"}},
    ]
    answer = await door.post("/v1/user/opt", entries, await door.access_key())
    assert answer.body["data"]["fail"] == []


async def test_each_kind_of_target_reaches_whom_it_should(door: Door) -> None:
    channel = await door.channel()
    await people(door, channel.key)
    segment = await segments.create(door.system, "everyone")
    everyone = ["ann@all.example", "bob@own.example", "dee@all.example"]
    cases: list[tuple[str, dict[str, Any], list[str], dict[str, int]]] = [
        ("sent", {"aud_tag": ["own"]}, ["ann@all.example"], {"sent": 1}),
        ("sent", {"aud_tag": ["shared"]}, ["bob@own.example"], {"sent": 1}),
        ("sent", {"aud_tag": ["own", "shared"]}, everyone[:2], {"sent": 2}),
        ("sent", {"aud_tag": ["nobody"]}, [], {}),
        ("sent", {"aud_userid": ["dee", "cyd", "who"]}, everyone[2:], {"sent": 1, "invalid": 2}),
        ("sent", {"aud_segment": [str(segment.id)]}, everyone, {"sent": 3, "invalid": 1}),
        ("sent", {"aud_tag": ["own"], "aud_userid": ["ann"]}, everyone[:1], {"sent": 1}),
        (
            "sent",
            {"aud_email": [{"data": ["x@d.example", "Y@D.EXAMPLE", "x@d.example"]}]},
            ["Y@d.example", "x@d.example"],
            {"sent": 2, "invalid": 1},
        ),
        ("broadcast", {}, everyone, {"sent": 3, "invalid": 1}),
    ]
    for path, audience, expected, counts in cases:
        door.smtp.mails.clear()
        answer = await door.post(f"/v1/{path}", to(**audience), channel)
        assert answer.status == 200, (audience, answer)
        shown = await door.done(answer.body["msgid"], channel)
        assert sorted(mail.rcpt_to for mail in door.smtp.mails) == sorted(expected), audience
        assert shown["counts"] == counts, audience
        assert shown["audience"] == sum(counts.values())


async def test_an_address_of_the_channel_goes_before_that_of_all(shared: Door) -> None:
    one, other = await shared.channel(), await shared.channel()
    user = f"prec{one.key}"
    entry = {"userid": user, "email": {one.key: "own@p.example", "all": "all@p.example"}}
    assert (await shared.post("/v1/user/opt", [entry], await shared.access_key())).code == 0

    async def reached(channel: OneChannel) -> str:
        shared.smtp.mails.clear()
        answer = await shared.post("/v1/sent", to(aud_userid=[user]), channel)
        await shared.done(answer.body["msgid"], channel)
        return shared.smtp.mails[0].rcpt_to

    assert await reached(one) == "own@p.example"
    assert await reached(other) == "all@p.example"
    undo = [{"userid": user, "del": {"email": {one.key: ""}}}]
    assert (await shared.post("/v1/user/opt", undo, one)).body["data"]["success"] == [user]
    assert await reached(one) == "all@p.example"


# -- what is taken ----------------------------------------------------------------------------

TAKEN: dict[str, dict[str, Any]] = {
    "1000 userids": to(aud_userid=[f"u{n}" for n in range(1000)]),
    "numbers as userids": to(aud_userid=[1, 2]),
    "20 tags": to(aud_tag=[f"t{n}" for n in range(20)]),
    "tag of 40 bytes": to(aud_tag=["微信" * 6 + "abcd"]),
    "tag of all signs": to(aud_tag=["@!#$&*+=.|￥_"]),
    "userid of 64": to(aud_userid=["x" * 64]),
    "1000 addresses": to(aud_email=[{"data": [f"u{n}@example.org" for n in range(1000)]}]),
    "1000 in two elements": to(
        aud_email=[{"data": [f"{half}{n}@example.org" for n in range(500)]} for half in "ab"]
    ),
    "null audiences beside": direct(aud_tag=None, aud_userid=None, aud_segment=None),
    "null other types": direct(aud_sms=None, msg_sms=None),
    "empty and given": to(aud_tag=[], aud_userid=["u"]),
    "IDN": to(aud_email=[{"data": ["a@例子.公司"]}]),
    "files null": with_mail(files=None),
    "files empty": with_mail(files=[]),
    "subject of 998 bytes": with_mail(subject="x" * 998),
    "HTML": with_mail(text="<p>你好</p>"),
    "option null": direct(option=None, callback=None, rule_id=None),
    "zero ids": direct(option={"black_id": 0, "white_id": 0}, rule_id=0),
    "zero and a list": direct(option={"black_id": 0, "white_id": 0, "owner": "o"}),
    "strategy with direct": direct(rule_id=99),
    "zero strategy": to(aud_tag=["t"], rule_id=0),
    "high": direct(option={"priority": 1}),
    "middle": direct(option={"priority": 2}),
    "low": direct(option={"priority": 3}),
    "callback params": direct(callback={"params": {"k": [1, {"x": None}]}}),
    "empty callback": direct(callback={"url": "", "params": None}),
    "params of 4 KiB": direct(callback={"params": {"k": "x" * (4096 - 8)}}),
    "keys nobody knows": direct(time_to_live=5, option={"send_time": "x"}),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_taken(shared: Door, taking: OneChannel, name: str) -> None:
    answer = await shared.post("/v1/sent", TAKEN[name], taking)
    assert answer.status == 200, answer
    msgid = answer.body["msgid"]
    assert answer.body == {"code": 0, "message": "success", "msgid": msgid}
    assert (await shared.get(f"/api/messages/{msgid}", taking)).body["msgid"] == msgid


@pytest.mark.parametrize(
    ("given", "echoed"), [("abc", "abc"), (7, "7"), ("", ""), ("号" * 255, "号" * 255)]
)
async def test_sendno_is_echoed_as_a_string(
    shared: Door, taking: OneChannel, given: object, echoed: str
) -> None:
    body = direct(option={"sendno": given})
    assert (await shared.post("/v1/sent", body, taking)).body["sendno"] == echoed


# -- what is refused --------------------------------------------------------------------------

LONG = {"params": {"k": "x" * (4096 - 7)}}
REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "1001 userids": (to(aud_userid=[f"u{n}" for n in range(1001)]), 1015004, "too_many_userids"),
    "21 tags": (to(aud_tag=[f"t{n}" for n in range(21)]), 4004, "too_many"),
    "2 segments": (to(aud_segment=["1", "2"]), 4004, "one_value"),
    "unknown segment": (to(aud_segment=["999999"]), 4004, "segment_unknown"),
    "segment by name": (to(aud_segment=["everyone"]), 4004, "segment_unknown"),
    "negative segment": (to(aud_segment=[-1]), 4004, "segment_unknown"),
    "1001 addresses": (
        to(aud_email=[{"data": [f"u{n}@example.org" for n in range(1001)]}]),
        4004,
        "too_many",
    ),
    "1001 in two": (
        to(aud_email=[{"data": ["a@example.org"] * 1000}, {"data": ["b@example.org"]}]),
        4004,
        "too_many",
    ),
    "no addresses": (to(aud_email=[{"data": []}]), 4004, "too_many"),
    "an empty element": (to(aud_email=[*DIRECT, {"data": []}]), 4004, "too_many"),
    "no elements": (to(aud_email=[]), 4004, "too_many"),
    "no data": (to(aud_email=[{"instance": "email"}]), 4004, "missing"),
    "no audience": (to(), 4004, "audience_missing"),
    "empty lists": (to(aud_tag=[], aud_userid=[], aud_segment=[]), 4004, "audience_missing"),
    "all null": (to(aud_tag=None, aud_email=None), 4004, "audience_missing"),
    "direct and tags": (direct(aud_tag=["t"]), 4004, "audience_mixed"),
    "direct and userids": (direct(aud_userid=["u"]), 4004, "audience_mixed"),
    "direct and segment": (direct(aud_segment=["1"]), 4004, "audience_mixed"),
    "direct and no tags": (direct(aud_tag=[]), 4004, "audience_mixed"),
    "aud without msg": ({"aud_email": DIRECT}, 4004, "unpaired"),
    "users without msg": ({"aud_userid": ["u"]}, 4004, "content_missing"),
    "msg without aud": ({"msg_email": MAIL}, 4004, "audience_missing"),
    "two contents": ({"aud_email": DIRECT, "msg_email": MAIL * 2}, 4004, "one_content"),
    "no content": ({"aud_email": DIRECT, "msg_email": []}, 4004, "one_content"),
    "bad userid": (to(aud_userid=["ok", "not ok"]), 4004, "bad_userid"),
    "userid of 65": (to(aud_userid=["x" * 65]), 4004, "bad_userid"),
    "empty userid": (to(aud_userid=[""]), 4004, "bad_userid"),
    "bad tag": (to(aud_tag=["a b"]), 4004, "bad_tag"),
    "tag of 41 bytes": (to(aud_tag=["x" * 41]), 4004, "bad_tag"),
    "bad address": (to(aud_email=[{"data": ["a@example.org", "nobody"]}]), 4004, "bad_address"),
    "two addresses in one": (
        to(aud_email=[{"data": ["a@example.org,b@example.org"]}]),
        4004,
        "bad_address",
    ),
    "address with a line": (
        to(aud_email=[{"data": ["a@example.org\r\nRCPT TO:<b@example.org>"]}]),
        4004,
        "bad_address",
    ),
    "no subject": ({"aud_email": DIRECT, "msg_email": [{"text": "t"}]}, 4004, "missing"),
    "no text": ({"aud_email": DIRECT, "msg_email": [{"subject": "s"}]}, 4004, "missing"),
    "empty subject": (with_mail(subject=""), 4004, "bad_subject"),
    "subject of 999": (with_mail(subject="x" * 999), 4004, "bad_subject"),
    "subject of two lines": (with_mail(subject="a\r\nBcc: b@example.org"), 4004, "bad_subject"),
    "empty text": (with_mail(text=" \n"), 4004, "bad_text"),
    "11 files": (with_mail(files=["https://example.org/"] * 11), 4004, "too_many"),
    "file of a disk": (with_mail(files=["file:///etc/passwd"]), 4004, "bad_file_url"),
    "file of this machine": (with_mail(files=["http://127.0.0.1:1/x"]), 4004, "file_refused"),
    "black and white": (
        direct(option={"black_id": 1, "white_id": 2}),
        1015097,
        "lists_conflict",
    ),
    "black": (direct(option={"black_id": 1}), 1015046, "blocklist_unknown"),
    "white": (direct(option={"white_id": 1}), 4004, "allowlist_unknown"),
    "strategy": (to(aud_tag=["t"], rule_id=99), 1015026, "strategy_unknown"),
    "priority 0": (direct(option={"priority": 0}), 4004, "priority"),
    "priority 4": (direct(option={"priority": 4}), 4004, "priority"),
    "callback": (direct(callback={"url": "https://example.org/cb"}), 4004, "callback_unknown"),
    "large params": (direct(callback=LONG), 4004, "params_too_large"),
    "long sendno": (direct(option={"sendno": "x" * 256}), 4004, "bad_value"),
    "long numeric sendno": (direct(option={"sendno": 10**300}), 4004, "bad_value"),
    "long owner": (direct(option={"owner": "x" * 256}), 4004, "bad_value"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(shared: Door, refusing: OneChannel, name: str) -> None:
    body, code, reason = REFUSED[name]
    answer = await shared.post("/v1/sent", body, refusing)
    assert answer.told == (400, code, reason)
    assert "msgid" not in answer.body
    assert answer.body["message"]
    assert await messages_of(shared, refusing) == 0


OTHER_CODES = {
    "app": (1015006, "no_sender_app"),
    "sms": (1015007, "no_sender_sms"),
    "wechatoa": (1015008, "no_sender_wechatoa"),
    "wechatmp": (1015009, "no_sender_wechatmp"),
    "alipay_life": (1015011, "no_sender_alipay_life"),
    "dingtalk_cc": (1015012, "no_sender_dingtalk_cc"),
}


@pytest.mark.parametrize("kind", OTHER_TYPES)
async def test_other_sender_types_are_refused(
    shared: Door, refusing: OneChannel, kind: str
) -> None:
    for path, good in (("sent", direct()), ("broadcast", to())):
        for name in (f"aud_{kind}", f"msg_{kind}"):
            body = {**good, name: [{"data": ["x"]}]}
            answer = await shared.post(f"/v1/{path}", body, refusing)
            assert answer.told == (400, *OTHER_CODES.get(kind, (4004, "sender_type")))
            assert name in answer.body["message"]


@pytest.mark.parametrize(
    "audience",
    [{"aud_tag": ["t"]}, {"aud_userid": ["u"]}, {"aud_segment": ["1"]}, {"aud_email": DIRECT}],
)
async def test_a_broadcast_takes_no_audience(
    shared: Door, refusing: OneChannel, audience: dict[str, Any]
) -> None:
    answer = await shared.post("/v1/broadcast", to(**audience), refusing)
    assert answer.told == (400, 4004, "audience_on_broadcast")


async def test_a_strategy_of_a_broadcast_must_exist(shared: Door, refusing: OneChannel) -> None:
    answer = await shared.post("/v1/broadcast", to(rule_id=99), refusing)
    assert answer.told == (400, 1015026, "strategy_unknown")


# -- channels and senders ---------------------------------------------------------------------


async def test_a_closed_channel_takes_nothing_until_it_is_opened(shared: Door) -> None:
    channel = await shared.channel()
    await channels.set_open(shared.system, channel.key, open=False)
    for path, body in (("sent", direct()), ("broadcast", to())):
        answer = await shared.post(f"/v1/{path}", body, channel)
        assert answer.told == (400, 1015005, "channel_closed")
    await channels.set_open(shared.system, channel.key, open=True)
    assert (await shared.post("/v1/sent", direct(), channel)).status == 200


async def test_a_channel_without_a_sender(shared: Door) -> None:
    channel = await shared.channel(sender=False)
    answer = await shared.post("/v1/sent", direct(), channel)
    assert answer.told == (400, 1015010, "no_sender")


async def test_instance_picks_an_authorised_sender_and_nothing_else(shared: Door) -> None:
    channel, stranger = await shared.channel(), await shared.channel()
    second = await shared.sender(channel.key)

    async def sender_for(instance: object) -> str:
        body = to(aud_email=[{"instance": instance, "data": ["a@example.org"]}])
        answer = await shared.post("/v1/sent", body, channel)
        shown = await shared.get(f"/api/messages/{answer.body['msgid']}", channel)
        return shown.body["sender"]

    assert await sender_for(second) == second
    assert await sender_for(channel.sender) == channel.sender
    for ignored in ("email", "", None, stranger.sender, "nosuch", second.upper()):
        assert await sender_for(ignored) == channel.sender


# -- HTTP -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json;charset=UTF-8",
        "text/html; charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "nonsense",
        None,
    ],
)
async def test_the_body_is_json_whatever_its_type_says(
    shared: Door, taking: OneChannel, kind: str | None
) -> None:
    body = msgspec.json.encode(direct())
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await shared.ask("POST", "/v1/sent", taking, content=body, headers=headers)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")


async def test_the_bare_address_answers(shared: Door) -> None:
    head = await shared.ask("HEAD", "/")
    assert (head.status, head.raw) == (200, b"")
    assert (await shared.get("/")).code == 0


@pytest.mark.parametrize(
    ("asked", "chinese"),
    [
        ("zh", True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("ZH-hant", True),
        ("en-GB,en;q=0.9", False),
        ("", False),
        ("fr", False),
        (";;,,=", False),
    ],
)
async def test_messages_speak_the_caller_s_language(
    shared: Door, refusing: OneChannel, asked: str, chinese: bool
) -> None:
    headers = {"Accept_Language": asked}
    answer = await shared.post("/v1/sent", to(), refusing, **headers)
    assert ("缺少" in answer.body["message"]) == chinese
    assert answer.body["reason"] == "audience_missing"
