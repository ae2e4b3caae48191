"""What the document of the management API allows the server takes, and nothing else.

Every member of every body, and every parameter of a query, is in turn something else: see
`support.probes`. A refusal of what fits has to come from what is stored, or from a rule that JSON
Schema has no words for: both are listed here.
"""

import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from support import openapi, probes
from support.contract import refused, validator
from support.doors import Answer, Door, Token
from support.refusals import STATE, UNSAID
from support.worlds import DOCUMENT, OPERATIONS, World, make
from ums import clock
from ums.core.content import attachment_fetcher
from ums.core.senders import connection_test
from ums.core.templates import compile_process, compile_worker
from ums.core.transports.protocol import TransportError
from ums.errors import WORDS, UmsError
from ums.mail.mime.builder import File
from ums.mail.outcomes import Stage
from ums.mail.reply_classifier import classify_error
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind

ELSEWHERE = {"after", "before", "zone"}
"""Parameters whose texts the server alone can read: places in lists, and names of zones."""
PEOPLE: dict[str, Any] = {"recipients": [{"address": "a@example.org"}], "channel": "KEY"}
TEXT = {"subject": "s", "text": "t", "starts_at": "SOON"}  # so that nothing has to go out
SENDER = {"code": "NEW", "name": "n", "host": "h", "port": 25, "encryption": "none"}
HOOK = {"code": "hook", "name": "n", "url": "https://example.org/x"}
BASES: dict[str, list[Any]] = {
    "POST /api/messages": [
        {**PEOPLE, **TEXT, "html": "<p>t</p>"},
        {**PEOPLE, **TEXT, "attachments": [{"content": "YQ==", "name": "a"}]},
        {**PEOPLE, **TEXT, "attachments": [{"url": "https://example.org/a"}]},
        {"channel": "KEY", **TEXT, "audience": {"tags": ["vip"]}},
        {"channel": "KEY", **TEXT, "recipients": [{"userid": "a"}], "cc": ["a@example.org"]},
    ],
    "POST /api/senders": [
        {**SENDER, "from_address": "a@example.org"},
        {**SENDER, "from_address": "a@example.org", "caps": [{"count": 1, "seconds": 60}]},
    ],
    "POST /api/users": [
        [{"userid": "a", "set": {"email": {"all": "a@example.org"}}, "phone": {"all": "123"}}],
        [{"userid": "a", "add": {"tag": {"all": ["a"]}}, "del": {"wechatwk": "a"}}],
    ],
    "PATCH /api/channels/{key}/rules": [
        {"quiet_hours": {"start": "22:00", "end": "08:00", "action": "delay"}},
        {"frequency_cap": {"count": 1, "hours": 0.5}, "statuses": [1]},
    ],
    "POST /api/operators": [{"name": "n", "password": "seven grey herons", "role": "viewer"}],
    "POST /api/webhook-senders": [
        {"code": "hook", "name": "n", "url": "https://example.org/x", "password": "t"},
        {
            "code": "hook",
            "name": "n",
            "url": "https://example.org/x",
            "account": "u",
            "password": "p",
        },
    ],
    "PUT /api/senders/{code}/warm-up": [{"target": 1000, "zone": "UTC"}],
    "PUT /api/senders/{code}/mailbox": [{"host": "h", "password": "p"}],
    "POST /api/segments/count": [
        {"conditions": {"tag": {"any": ["vip"]}}},
        {"conditions": {"attribute": {"name": "age", "op": "ge", "value": 18}}},
        {"conditions": {"attribute": {"name": "age", "op": "in", "value": [18]}}},
        {"conditions": {"attribute": {"name": "age", "op": "exists"}}},
        {"conditions": {"not": {"address": {"kind": "email"}}}},
        {"conditions": {"and": [{"engagement": {"event": "sent", "within_days": 30}}]}},
    ],
    "PATCH /api/users/{userid}": [
        {"set": {"tag": {"all": ["a"]}, "phone": {"all": "123"}}, "wechatwk": "a"},
        {"add": {"tag": {"all": ["a"]}, "wechatwk_linkedcorp": ["a/b"]}, "attributes": {"a": 1}},
        {"del": {"email": {"all": ""}, "dingtalkcc": "a"}, "email": {"all": "a@example.org"}},
    ],
    "POST /api/channels/{key}/templates": [
        {"name": "n", "subject": "s", "text": "t"},
        {"name": "n", "subject": "s", "html": "t"},
    ],
    "PUT /api/users/{userid}": [
        {"addresses": {"email": {"all": ["a@example.org"]}, "wechatwk": {"all": ["a"]}}},
        {"tags": {"all": ["a"]}, "attributes": {"a": 1}},
    ],
}


def schema_of(told: dict[str, Any]) -> dict[str, Any] | None:
    content = told.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema")


LABELS = {f"{method} {path}": (method, path, told) for method, path, told in OPERATIONS}
WITH_BODY = {label: one for label, one in LABELS.items() if schema_of(one[2])}
WITH_QUERY = {
    label: one
    for label, one in LABELS.items()
    if any(given["in"] == "query" for given in one[2].get("parameters", []))
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared: Door) -> AsyncIterator[World]:
    yield await make(shared)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


@pytest.fixture(autouse=True)
def _told_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failures of single users, which have no reason beside their words, tell it by these."""
    monkeypatch.setattr(UmsError, "words", lambda self, *_: self.reason)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whose the made-up URLs and servers are."""

    async def fetch(*_: object) -> File:
        return File("a.txt", "text/plain", b"a")

    async def refuse(*_: object) -> None:
        cause = SmtpError(SmtpErrorKind.DNS_FAILED, Stage.CONNECT, "no such name")
        raise TransportError(classify_error(cause))

    monkeypatch.setattr(attachment_fetcher, "_fetch_in_time", fetch)
    monkeypatch.setattr(connection_test, "try_sender", refuse)


@pytest.fixture(autouse=True)
def _no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each template takes longer than all else."""

    async def answer(_: str, task: bytes, *_more: object) -> tuple[bytes, int]:
        sources = msgspec.json.decode(task, type=compile_worker.Task).sources
        return msgspec.json.encode(compile_worker._result(sources)), 0

    monkeypatch.setattr(compile_process.child_process, "answer", answer)


def reasons_of(answer: Answer) -> set[str]:
    if answer.status >= 400:
        return {answer.body["reason"]}
    if not answer.raw:
        return set()
    fail = answer.body.get("fail")
    return {one["errmsg"] for one in fail} if isinstance(fail, list) else set()


@pytest.mark.parametrize("label", WITH_BODY)
async def test_each_member_is_taken_as_described(
    shared: Door, world: World, admin: Token, label: str, deep: bool
) -> None:
    if "postgresql" in shared.system.settings.database_url:
        return  # takes the same
    method, template, told = WITH_BODY[label]
    schema = schema_of(told)
    assert schema is not None
    fits = validator(schema, DOCUMENT)
    if method != "POST":
        world = await make(shared)
    if "/imports/{id}" in label:
        file = {"file": ("users.csv", b"userid,email\nu1,a@example.org\n")}
        draft = await shared.ask("POST", "/api/imports", admin, files=file)
        world.values["id"] = str(draft.body["id"])
    wrong: list[Any] = []
    bases = [filled(one, world) for one in BASES.get(label, [openapi.example(schema, DOCUMENT)])]
    for base in bases:
        for place, body in probes.bodies(schema, DOCUMENT, base, deep=deep):
            if base is not bases[0] and is_same(place, base, bases[0]):
                continue
            answer = await shared.send(method, world.path(template), body, admin)
            reasons = reasons_of(answer)
            found = refused(reasons, body, STATE, UNSAID) if fits(body) else not reasons
            wrong += [(place, reasons, str(body)[:200])] if found else []
    assert not wrong


def is_same(place: probes.Place, base: Any, first: Any) -> bool:
    """Whether what is changed there was changed in the first base already."""
    return isinstance(base, dict) and (not place or base.get(place[0]) == first.get(place[0]))


def filled(base: Any, world: World) -> Any:
    if isinstance(base, dict):
        return {name: filled(value, world) for name, value in base.items()}
    if base == "SOON":
        return clock.iso(clock.now() + clock.DAY)
    if base == "NEW":
        return secrets.token_hex(8)
    return world.owner.key if base == "KEY" else base


@pytest.mark.parametrize("label", WITH_QUERY)
async def test_each_parameter_is_taken_as_described(
    shared: Door, world: World, admin: Token, label: str
) -> None:
    if "postgresql" in shared.system.settings.database_url:
        return
    method, template, told = WITH_QUERY[label]
    if method != "GET" or label.endswith("/events"):
        return
    wrong: list[Any] = []
    for one in told["parameters"]:
        if one["in"] != "query":
            continue
        opaque = {"bad_filter"} if one["name"] in ELSEWHERE else set()
        for text in {str(probe) for probe in probes.PROBES}:
            path = f"{world.path(template)}?{one['name']}={quote(text, safe='')}"
            answer = await shared.get(path, admin)
            reasons = reasons_of(answer)
            if could_be(one["schema"], text):
                found = refused(reasons, text, STATE | opaque, UNSAID)
            else:
                found = not reasons
            wrong += [(one["name"], text, reasons)] if found else []
    assert not wrong


def could_be(schema: dict[str, Any], text: str) -> bool:
    """Whether the text of a query fits the schema of its parameter."""
    kind, value = schema.get("type"), text
    if kind == "integer":
        value = int(text) if text.lstrip("-").isdecimal() and text.isascii() else None
    elif kind == "boolean":
        value = {"true": True, "false": False}.get(text)
    return validator(schema, DOCUMENT)(value)


async def test_the_reasons_are_ours() -> None:
    assert set(WORDS) >= STATE | set(UNSAID)
