"""Errors of the management API, and what its door refuses before a route is reached."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from support import openapi
from support.doors import Answer, Door, OneChannel, Token
from support.worlds import OPERATIONS

KNOWN = {"type", "title", "status", "detail", "code", "reason", "message", "field", "errors"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


def problem(answer: Answer, status: int, reason: str, field: str | None = None) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.body
    assert set(body) <= KNOWN
    assert (answer.status, body["status"], body["reason"]) == (status, status, reason)
    assert body["type"] == f"urn:ums:problem:{reason}"
    assert body["message"] == body["detail"]
    assert body.get("field") == field
    return body


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/api", 404, "not_found"),
        ("GET", "/api/", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("POST", "/api/channels/a/b/c", 404, "not_found"),
        ("DELETE", "/api/channels", 405, "wrong_method"),
        ("HEAD", "/api/channels", 405, "wrong_method"),
        ("PATCH", "/api/schema", 405, "wrong_method"),
        ("GET", "/api/schema/other", 404, "not_found"),
        ("GET", "/api/tokens/x", 404, "not_found"),
        ("GET", "/api/tokens/-1", 404, "not_found"),
        ("GET", "/api/tokens/99999999999999999999999", 404, "not_found"),
        ("GET", "/api/operators/%00", 404, "not_found"),
        ("GET", "/api/operators/nobody", 404, "operator_unknown"),
        ("GET", "/api/users/%F0%9F%98%80", 404, "user_unknown"),
        ("GET", "/api/imports/1/rejects", 404, "import_unknown"),
        ("GET", "/api/messages/x/events", 404, "message_unknown"),
    ],
)
async def test_no_such_thing(
    shared: Door, admin: Token, method: str, path: str, status: int, reason: str
) -> None:
    answer = await shared.ask(method, path, admin)
    assert answer.status == status
    if method != "HEAD":
        problem(answer, status, reason)
    if status == 405:
        assert "GET" in answer.headers["allow"]


async def test_other_doors_keep_their_format(shared: Door) -> None:
    for path in ("/v1/nothing", "/nothing", "/apis"):
        answer = await shared.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.body) <= {"code", "message", "reason", "data"}


BAD: list[tuple[object, str, str]] = [
    (b"", "bad_json", ""),
    (b"{", "bad_json", ""),
    (b"\xff", "bad_json", ""),
    (b"[" * 100_000, "bad_json", ""),
    ([], "misfit", "body"),
    ({}, "missing", "name"),
    ({"name": 1}, "misfit", "name"),
    ({"name": ""}, "misfit", "name"),
    ({"name": "x" * 31}, "misfit", "name"),
    ({"name": "x", "colour": "red"}, "unknown_field", "colour"),
    ({"name": "x\x00"}, "control_characters", "name"),
    (b'{"name": "\\ud800"}', "bad_json", ""),
    ({"name": "x", "key": "not a key"}, "key_shape", ""),
]


@pytest.mark.parametrize(("body", "reason", "field"), BAD)
async def test_a_body_that_does_not_fit(
    shared: Door, admin: Token, body: object, reason: str, field: str
) -> None:
    answer = await shared.post("/api/channels", body, admin)
    told = answer.body["reason"]
    # An empty body and half a character are told by whoever meets them first.
    assert told == reason or {told, reason} <= {"bad_json", "missing", "control_characters"}
    if told == reason:
        problem(answer, 400, reason, field or None)


async def test_several_things_are_listed(shared: Door, admin: Token) -> None:
    answer = await shared.get("/api/audit?sort=yesterday", admin)
    body = problem(answer, 400, "bad_filter", "sort")
    assert [flaw["field"] for flaw in body["errors"]] == ["sort"]


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        ("colour=red", "unknown_field", "colour"),
        ("limit=0", "bad_filter", "limit"),
        ("limit=1e1", "bad_filter", "limit"),
        ("limit=", "bad_filter", "limit"),
        ("after=x", "bad_filter", "after"),
        ("since=2026-01-01T00:00:00", "bad_filter", "since"),
        ("actor=a%00", "bad_filter", "actor"),
        ("actor=a&actor=b", "bad_filter", "actor"),
    ],
)
async def test_a_query_that_does_not_fit(
    shared: Door, admin: Token, query: str, reason: str, field: str
) -> None:
    problem(await shared.get(f"/api/audit?{query}", admin), 400, reason, field)


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_another_media_type(shared: Door, admin: Token, media: str) -> None:
    headers = {"Content-Type": media} if media else {}
    answer = await shared.ask(
        "POST", "/api/channels", admin, content=b'{"name": "x"}', headers=headers
    )
    problem(answer, 415, "wrong_media")
    answer = await shared.post("/api/imports", {"file": "x"}, admin)
    problem(answer, 415, "wrong_media")


async def test_json_by_another_name(shared: Door, admin: Token) -> None:
    for number, media in enumerate(("application/json; charset=utf-8", "Application/vnd.x+json")):
        answer = await shared.ask(
            "POST",
            "/api/channels",
            admin,
            content=b'{"name": "by another name %d"}' % number,
            headers={"Content-Type": media},
        )
        assert answer.status == 201


async def test_a_body_that_is_too_large(shared: Door, admin: Token) -> None:
    body = b'{"name": "' + b"x" * shared.system.settings.body_limit_bytes + b'"}'
    problem(await shared.post("/api/channels", body, admin), 413, "too_large")


async def test_a_head_that_is_too_large_is_described(shared: Door) -> None:
    """The server refuses it before anybody knows which operation is asked for."""
    for method, path, described in OPERATIONS:
        assert described["responses"]["431"] == {"$ref": "#/components/responses/431"}, path
        assert described["responses"]["408"] == {"$ref": "#/components/responses/408"}, path
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n" + "X-More: 1\r\n" * 101
        problem(await shared.wire(f"{head}\r\n".encode()), 431, "head_too_large")


async def test_a_body_that_does_not_come(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await door.api_token()
    monkeypatch.setattr("ums.web.bodies.UPLOAD_SLOWER", 0.001)
    head = (
        f"POST /api/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 10\r\n"
        "Connection: close\r\n\r\n"
    )
    async with asyncio.timeout(30):
        problem(await door.wire(head.encode() + b"--b"), 408, "too_slow")


async def test_the_callers_language(shared: Door, admin: Token) -> None:
    answer = await shared.get(
        "/api/channels/nobody", admin, headers={"Accept-Language": "zh-CN,zh;q=0.9"}
    )
    assert problem(answer, 404, "channel_unknown")["detail"] == "渠道 nobody 不存在。"


async def test_a_defect_tells_nothing_of_itself(
    shared: Door, admin: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("ums.core.channels.channels.page_channels", broken)
    answer = await shared.get("/api/channels", admin)
    problem(answer, 500, "broken")
    assert b"secret" not in answer.raw


async def test_options_need_no_credentials(shared: Door) -> None:
    answer = await shared.ask("OPTIONS", "/api/channels")
    assert (answer.status, answer.raw) == (204, b"")


# -- the document -----------------------------------------------------------------------------


async def test_the_document_is_served_to_anybody(shared: Door, caller: OneChannel) -> None:
    served = (await shared.get("/api/schema")).body
    assert served == openapi.the_document()
    assert served["openapi"].startswith("3.1")
    assert {path.split("/")[1] for path in served["paths"]} == {"api"}
    yaml = await shared.get("/api/schema/openapi.yaml")
    assert yaml.raw.startswith(b"components:")


@pytest.mark.slow
async def test_every_operation_is_told_wholly(shared: Door) -> None:
    ids = set()
    for method, path, operation in openapi.operations(openapi.the_document()):
        ids.add(operation["operationId"])
        assert operation["summary"].endswith((".", ":")), path
        assert {"401", "403", "500"} <= set(operation["responses"])
        names = {one["name"] for one in operation.get("parameters", [])}
        assert ("Idempotency-Key" in names) == (method == "POST")
        assert ("If-Match" in names) == (method in {"PUT", "PATCH", "DELETE"})
    assert len(ids) == len(list(openapi.operations(openapi.the_document())))
    # msgspec tells two shapes of one name apart by their modules, which are nobody's business.
    assert not [name for name in openapi.the_document()["components"]["schemas"] if "." in name]


@pytest.mark.parametrize("body", [b'{"x":', b'{"name": 5}', b'{"zone": 5, "name": "n"}', b"[]"])
async def test_chinese_answers_hold_no_english_of_the_parser(
    shared: Door, admin: Token, body: bytes
) -> None:
    channel = await shared.channel()
    for path, who in (("/v1/sent", channel), ("/api/channels", admin)):
        answer = await shared.post(path, body, who, Accept_Language="zh")
        assert answer.status == 400
        message = answer.body["message"]
        assert not any(word in message for word in ("Expected", "truncated", "malformed")), message
    chinese = {"Accept-Language": "zh"}
    answer = await shared.get("/api/channels?limit=x", admin, headers=chinese)
    assert "Expected" not in answer.body["message"]
