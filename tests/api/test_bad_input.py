"""Bad input of every shape: always the documented status and code in JSON, never a 500."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.doors import Answer, Basic, Door, OneChannel

POSTS = ("/v1/sent", "/v1/broadcast", "/v1/user/opt", "/v1/user/delete")
GOOD: dict[str, Any] = {
    "aud_email": [{"instance": "email", "data": ["a@example.org"]}],
    "msg_email": [{"subject": "s", "text": "t", "files": []}],
    "rule_id": 0,
    "option": {"sendno": "n", "owner": "o", "black_id": 0, "white_id": 0, "priority": 1},
    "callback": {"url": "", "params": {}},
}
LIMIT = 10 * 1024 * 1024


def wired(path: str, who: OneChannel | None, body: bytes = b"", *headers: bytes) -> bytes:
    """A POST as it goes over the wire."""
    lines = [b"POST " + path.encode("latin-1") + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    if who is not None:
        lines.append(b"Authorization: " + who.header.encode())
    if not any(line.lower().startswith((b"content-length", b"transfer")) for line in headers):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, *headers, b"", b""]) + body


def is_told(answer: Answer) -> bool:
    """Whether the answer is one of ours: JSON with a number, words and a reason."""
    found = answer.body
    kinds = (type(found["code"]), type(found["message"]), type(found["reason"]))
    return kinds == (int, str, str) and bool(found["message"]) and answer.status < 500


# -- bodies -----------------------------------------------------------------------------------

BROKEN: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n\t",
    "cut": b'{"aud_email": [',
    "two": b"{}{}",
    "comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "comment": b"{} // x",
    "NaN": b'{"option": {"priority": NaN}}',
    "infinity": b'[{"userid": Infinity}]',
    "1e400": b'[{"userid": "u", "attributes": {"x": 1e400}}]',
    "5000 digits": b'[{"userid": "u", "attributes": {"x": 1' + b"0" * 5000 + b"}}]",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "GBK": '["张三"]'.encode("gbk"),
    "UTF-16": '["u"]'.encode("utf-16"),
    "UTF-16 without BOM": '["u"]'.encode("utf-16-le"),
    "UTF-32": '["u"]'.encode("utf-32"),
    "BOM": b'\xef\xbb\xbf["u"]',
    "Latin-1": b'["caf\xe9"]',
    "overlong": b'["\xc0\xaf"]',
    "CESU": b'["\xed\xa0\x80"]',
    "lone surrogate": rb'["\ud800"]',
    "swapped surrogates": rb'["\udc00\ud800"]',
    "raw NUL": b'["a\x00b"]',
    "only NUL": b"\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "a form": b"aud_tag=x&msg_email=y",
    "XML": b"<xml/>",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_json(shared: Door, caller: OneChannel, master: Basic, name: str) -> None:
    for path in POSTS:
        who = master if path.endswith("delete") else caller
        answer = await shared.post(path, BROKEN[name], who)
        # The two doors for messages look at the shape while they read.
        reasons = {"bad_json"} if "user" in path else {"bad_json", "misfit"}
        assert is_told(answer), (path, answer)
        assert (answer.status, answer.code) == (400, 4004), (path, answer)
        assert answer.body["reason"] in reasons, (path, answer)


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"true", b"{}", b"[]", b"1.5", b"[[]]"])
async def test_json_of_another_kind(
    shared: Door, caller: OneChannel, master: Basic, body: bytes
) -> None:
    for path in POSTS:
        who = master if path.endswith("delete") else caller
        answer = await shared.post(path, body, who)
        if body == b"[[]]" and "user" in path:
            assert answer.body["data"]["success"] == []
        else:
            assert is_told(answer), (path, answer)
            assert (answer.status, answer.code) == (400, 4004)


WRONG: list[Any] = [True, 5, -1, 1.5, 10**40, "x", "", [], [1], ["x"], {}, {"a": 1}, [[]], [{}]]
FIELDS: list[tuple[str | int, ...]] = [
    ("aud_email",),
    ("aud_email", 0),
    ("aud_email", 0, "data"),
    ("aud_email", 0, "data", 0),
    ("aud_email", 0, "instance"),
    ("msg_email",),
    ("msg_email", 0),
    ("msg_email", 0, "subject"),
    ("msg_email", 0, "text"),
    ("msg_email", 0, "files"),
    ("rule_id",),
    ("option",),
    ("option", "sendno"),
    ("option", "owner"),
    ("option", "black_id"),
    ("option", "white_id"),
    ("option", "priority"),
    ("callback",),
    ("callback", "url"),
    ("callback", "params"),
]


def put(field: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    body: Any = json.loads(json.dumps(GOOD))
    place = body
    for step in field[:-1]:
        place = place[step]
    place[field[-1]] = value
    return body


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(map(str, field)))
async def test_a_wrong_type_in_each_field(
    shared: Door, caller: OneChannel, field: tuple[str | int, ...]
) -> None:
    place: Any = GOOD
    for step in field:
        place = place[step]
    for value in WRONG:
        if type(value) is type(place) or (field[-1] == "sendno" and value == 5):
            continue
        answer = await shared.post("/v1/sent", put(field, value), caller)
        if answer.status == 200:  # what is as good as absent, or a number where an id may be one
            assert field[-1] in {"sendno", "rule_id"}, (field, value)
        else:
            assert is_told(answer), (field, value, answer)
            assert (answer.status, answer.code) == (400, 4004), (field, value, answer)


async def test_null_where_something_is_required(shared: Door, caller: OneChannel) -> None:
    for field in (
        ("aud_email",),
        ("aud_email", 0),
        ("aud_email", 0, "data"),
        ("aud_email", 0, "data", 0),
        ("msg_email",),
        ("msg_email", 0),
        ("msg_email", 0, "subject"),
        ("msg_email", 0, "text"),
    ):
        answer = await shared.post("/v1/sent", put(field, None), caller)
        assert (answer.status, answer.code) == (400, 4004), field


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
@pytest.mark.parametrize(
    "field",
    [field for field in FIELDS if field[-1] in {0, "subject", "text", "sendno", "owner"}][1:],
    ids=lambda field: ".".join(map(str, field)),
)
async def test_a_null_character_in_each_text(
    shared: Door, caller: OneChannel, field: tuple[str | int, ...], text: str
) -> None:
    answer = await shared.post("/v1/sent", put(field, text), caller)
    assert is_told(answer)
    assert (answer.status, answer.code) == (400, 4004)


async def test_null_characters_where_they_do_no_harm(shared: Door, caller: OneChannel) -> None:
    for field, value in (
        (("aud_email", 0, "instance"), "\x00"),
        (("callback", "params"), {"\x00": "\x00"}),
    ):
        assert (await shared.post("/v1/sent", put(field, value), caller)).status == 200
    for name in ("aud_tag", "aud_userid", "aud_segment"):
        body = {"msg_email": GOOD["msg_email"], name: ["a\x00"]}
        assert (await shared.post("/v1/sent", body, caller)).status == 400


async def test_deep_parameters_of_a_callback(shared: Door, caller: OneChannel) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    body = put(("callback", "params"), deep)
    assert (await shared.post("/v1/sent", body, caller)).status == 200
    deep = b'{"a":' * 900 + b"{}" + b"}" * 900
    raw = (
        json.dumps(put(("callback", "params"), 0)).encode().replace(b'"params": 0', b'"params": %b')
    )
    answer = await shared.post("/v1/sent", raw % deep, caller)
    assert is_told(answer) or answer.status == 200


async def test_of_a_key_given_twice_the_last_counts(shared: Door, caller: OneChannel) -> None:
    good = json.dumps(GOOD).encode()
    doubled = b'{"msg_email": 5, "option": {"priority": 9},' + good[1:]
    assert (await shared.post("/v1/sent", doubled, caller)).status in {200, 400}
    swapped = good[:-1] + b', "option": {"priority": 9}}'
    answer = await shared.post("/v1/sent", swapped, caller)
    assert answer.told == (400, 4004, "priority")


# -- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_announced_as_huge(shared: Door, caller: OneChannel, path: str) -> None:
    answer = await shared.wire(wired(path, caller, b"", b"Content-Length: %d" % (LIMIT + 1)))
    wanted = (403, 4005) if path.endswith("delete") else (413, 4004)
    assert (answer.status, answer.code) in {wanted, (413, 4004)}


async def test_a_body_at_the_limit_and_one_over_it(shared: Door, caller: OneChannel) -> None:
    good = json.dumps(GOOD).encode()
    assert (await shared.post("/v1/sent", good.ljust(LIMIT), caller)).status == 200
    answer = await shared.post("/v1/sent", good.ljust(LIMIT + 1), caller)
    assert answer.told == (413, 4004, "too_large")


async def test_a_chunked_body(shared: Door, caller: OneChannel) -> None:
    good = json.dumps(GOOD).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, good[n : n + 1]) for n in range(len(good)))
    sent = wired("/v1/sent", caller, chunks + b"0\r\n\r\n", b"Transfer-Encoding: chunked")
    assert (await shared.wire(sent)).status == 200


async def test_a_chunked_body_that_never_says_how_large_it_is(
    shared: Door, caller: OneChannel
) -> None:
    async def blanks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * (1 << 20)

    given = await shared.http.post("/v1/sent", content=blanks(), auth=caller.basic)
    assert "content-length" not in given.request.headers
    told = Answer(given.status_code, given.headers, given.content).told
    assert told == (413, 4004, "too_large")


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", b"99999999999999999999999", b"1, 2"])
async def test_a_length_that_is_none(shared: Door, caller: OneChannel, length: bytes) -> None:
    answer = await shared.wire(wired("/v1/sent", caller, b"{}", b"Content-Length: " + length))
    assert is_told(answer)
    assert answer.status in {400, 413}


# -- addresses and methods --------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1",
        "/v1/",
        "/v2/sent",
        "/v1/sent/more",
        "/v1/%73ent%00",
        "/v1/sent%2f..",
        "/v1/%ff%fe",
        "/v1/%E4%BD%A0",
        "/v1/" + "x" * 5000,
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/api/messages/v:1t:1p:1n:1/nothing",
        "/v1/template/sold",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_address(shared: Door, caller: OneChannel, path: str, method: str) -> None:
    request = wired(path, caller).replace(b"POST", method.encode(), 1)
    answer = await shared.wire(request)
    assert answer.told == (404, 4004, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/v1/sent", "/v1/user/opt", "/api/messages", "/healthz"])
async def test_a_wrong_method(shared: Door, caller: OneChannel, method: str, path: str) -> None:
    answer = await shared.ask(method, path, caller)
    assert answer.told == (405, 4004, "wrong_method")
    assert method in answer.body["message"]
    assert method not in answer.headers["allow"]


async def test_get_where_only_post_is(shared: Door, caller: OneChannel) -> None:
    for path in POSTS:
        answer = await shared.get(path, caller)
        assert answer.told == (405, 4004, "wrong_method")
        assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x00\x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /v1/se\x00nt HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\x00: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/sent HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\x7f\r\n\r\n",
        b"EHLO mail.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=repr,
)
async def test_bytes_that_are_no_http(shared: Door, request_: bytes) -> None:
    answer = await shared.wire(request_)
    assert answer.told == (400, 4004, "bad_http")


@pytest.mark.parametrize(
    "query", ["%00", "a=%00", "limit=%00", "after=%00", "limit=%ff", "=&=&", "limit=1&limit=2", "%"]
)
async def test_odd_queries(shared: Door, caller: OneChannel, query: str) -> None:
    for path in ("/v1/sent", "/api/messages", "/healthz"):
        answer = await shared.wire(
            wired(f"{path}?{query}", caller).replace(b"POST", b"GET", 1),
        )
        assert answer.status < 500
        assert isinstance(answer.body, dict)


# -- credentials ------------------------------------------------------------------------------


def encoded(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


CREDENTIALS: dict[str, bytes | None] = {
    "none": None,
    "empty": b"",
    "only a scheme": b"Basic",
    "scheme and blank": b"Basic ",
    "another scheme": b"Bearer abc",
    "digest": b'Digest username="x"',
    "not base64": b"Basic !!!!",
    "cut base64": b"Basic YWJj=",
    "two words": b"Basic YTpi YTpi",
    "no colon": encoded(b"abc"),
    "only a colon": encoded(b":"),
    "no secret": encoded(b"%(key)b:"),
    "no key": encoded(b":%(secret)b"),
    "unknown key": encoded(b"nobody:secret"),
    "NUL": encoded(b"\x00:\x00"),
    "NUL in the key": encoded(b"a\x00b:c"),
    "not UTF-8": encoded(b"\xff\xfe:\xff"),
    "Chinese": encoded("渠道:密码".encode()),
    "GBK": encoded("渠道:密码".encode("gbk")),
    "long": encoded(b"k" * 8_000 + b":" + b"s" * 8_000),
    "many colons": encoded(b"a:b:c:d"),
    "surrogate": encoded(b"\xed\xa0\x80:x"),
    "raw bytes": b"Basic \xff\xfe\xe4",
    "%s": encoded(b"%s:%n"),
    "SQL": encoded(b"' OR 1=1 --:x"),
}
GUARDED = [("POST", path) for path in POSTS] + [
    ("GET", "/api/messages"),
    ("GET", "/api/messages/x"),
    ("GET", "/api/messages/x/deliveries"),
    ("GET", "/api/deliveries/1"),
]


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_bad_credentials(shared: Door, name: str) -> None:
    header = CREDENTIALS[name]
    headers = [] if header is None else [b"Authorization: " + header]
    for method, path in GUARDED:
        request = wired(path, None, b"{}", *headers).replace(b"POST", method.encode(), 1)
        answer = await shared.wire(request)
        assert (answer.status, answer.code) == (401, 4005), (path, answer)
        assert is_told(answer)
        assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_the_scheme_s_name_may_be_written_in_any_case(
    shared: Door, caller: OneChannel
) -> None:
    for scheme in ("basic", "BASIC", "Basic  "):
        headers = {"Authorization": caller.header.replace("Basic", scheme)}
        assert (await shared.get("/api/messages", headers=headers)).status == 200
