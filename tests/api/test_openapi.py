"""The server is held to docs/reference/v1-openapi.yaml: requests that fit it and requests that do
not, over a socket. What fits is not refused for its shape, what does not fit is not taken; no 5xx,
and no answer that is not described. `--requests N` for more of them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import structs
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from support import probes
from support.contract import (
    Unsaid,
    bytes_over,
    hidden_break,
    lean,
    odd_host,
    refused,
    set_twice,
    unprintable,
    unstorable,
    validator,
)
from support.doors import Answer, Basic, Door, OneChannel, open_door
from ums.config import Settings
from ums.core.content import attachment_fetcher
from ums.core.users.fields import KINDS
from ums.errors import WORDS, UmsError
from ums.mail.mime.builder import File

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "v1-openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(SCHEMA.read_text("utf-8"))


schema = schemathesis.openapi.from_dict(lean(DOCUMENT))
schema.config.generation.update(with_security_parameters=False)
OPERATIONS = {one.label: one for one in (found.ok() for found in schema.get_all_operations())}
HELD_TO = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
MODES = {"fitting": GenerationMode.POSITIVE, "unfitting": GenerationMode.NEGATIVE}
OTHERS = st.sampled_from(["limited", "no sender", "wrong", "nobody"])
PER_CASE = 3  # requests


STATE = {
    "allowlist_unknown",
    "bad_bind_id",
    "blocklist_unknown",
    "callback_unknown",
    "idempotency_reused",
    "material_unknown",
    "segment_unknown",
    "shared_address",
    "strategy_unknown",
    "template_unknown",
    "user_unknown",
}
"""Reasons that what is stored decides, and not the shape of the request."""


UNSAID = {
    "bad_tag": Unsaid("counts bytes", bytes_over(40)),
    "bad_subject": Unsaid(
        "counts bytes, and decodes encoded words",
        lambda body: bytes_over(998)(body) or hidden_break(body),
    ),
    "bad_file_url": Unsaid("knows which hosts and ports there can be", odd_host),
    "params_too_large": Unsaid("counts bytes of JSON", bytes_over(1000)),
    "too_many_userids": Unsaid(
        "counts one that is there twice as two", lambda body: len(set(body["aud_userid"])) > 1000
    ),
    "bad_value": Unsaid(
        "knows what is printable, and what a database keeps in free JSON",
        lambda body: unprintable(body) or unstorable(body),
    ),
    "control_characters": Unsaid("has free JSON", unstorable),
    "twice": Unsaid("speaks of two places at once", set_twice),
}


@dataclass
class Callers:
    """Those who may call."""

    base_url: str
    session: requests.Session
    basic: dict[str, Basic | None]
    channel: OneChannel

    def ask(self, case: Any, who: str) -> tuple[int, set[str]]:
        """Send `case` and look at the answer; its status, and the reasons of what failed."""
        auth = self.basic[who]
        response = case.call(base_url=self.base_url, session=self.session, auth=auth, timeout=60)
        case.validate_response(response, checks=HELD_TO)
        told = response.json()
        if response.status_code != 200:
            return response.status_code, {told["reason"]}
        failed = told.get("data", {}).get("fail", [])
        return response.status_code, {one["errmsg"] for one in failed}

    def bind(self, body: Any) -> None:
        """Let the entries of users be about bind ids that there are: only these are read on."""
        for entry in body if isinstance(body, list) else ():
            if isinstance(entry, dict):
                for part in (entry, *(entry.get(op) for op in ("set", "add", "del"))):
                    if isinstance(part, dict):
                        self._bind(part)

    def _bind(self, part: dict[str, Any]) -> None:
        for name, kind in KINDS.items():
            held = part.get(name)
            if isinstance(held, dict) and held:
                there = [self.channel.sender] if kind.scope == "sender" else ["all"]
                there += [self.channel.key] if kind.scope == "channel" else []
                part[name] = dict(zip(there, held.values(), strict=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(shared: Door) -> AsyncIterator[Callers]:
    channel = await shared.channel()
    basic = {
        "channel": channel.basic,
        "access key": await shared.access_key(),
        "limited": (await shared.channel(limit=1)).basic,
        "no sender": (await shared.channel(sender=False)).basic,
        "wrong": (channel.key, "wrong"),
        "nobody": None,
    }
    with requests.Session() as session:
        session.trust_env = False
        yield Callers(f"http://127.0.0.1:{shared.port}", session, basic, channel)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whose the made-up URLs in `files` are."""

    async def fetch(*_: object) -> File:
        return File("a.txt", "text/plain", b"a")

    monkeypatch.setattr(attachment_fetcher, "_fetch_in_time", fetch)


@pytest.fixture
def _told_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failures of single users, which have no reason beside their words, tell it by these."""
    monkeypatch.setattr(UmsError, "words", lambda self, *_: self.reason)


def schema_of(path: str) -> Any:
    """Of the JSON body of a POST; None where it has none."""
    operation = DOCUMENT["paths"][path].get("post", {})
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema")


def bodies_of(label: str) -> Any:
    """Tells whether a JSON body fits; None where an operation has none."""
    found = schema_of(label.partition(" ")[2])
    return found and validator(found, DOCUMENT)


def entitled_to(label: str) -> str:
    return "access key" if label.startswith("POST /v1/user/") else "channel"


@pytest.mark.usefixtures("_told_by_reason")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", OPERATIONS)
async def test_it_answers_as_described(
    callers: Callers, label: str, mode: str, request: pytest.FixtureRequest
) -> None:
    operation, fits_body = OPERATIONS[label], bodies_of(label)
    if mode == "unfitting" and not takes_anything(operation):
        return  # a request without parameters cannot be wrong
    total = request.config.getoption("--requests")
    entitled = entitled_to(label)

    @hypothesis_settings(
        max_examples=max(1, total // (PER_CASE * 2 * len(MODES) * len(OPERATIONS))),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=MODES[mode]), other=OTHERS)
    def ask(case: Any, other: str) -> None:
        callers.bind(case.body)
        status, reasons = callers.ask(case, entitled)
        if fits_body and mode == "fitting":
            assert fits_body(case.body), case.body
            assert not refused(reasons, case.body, STATE, UNSAID), (reasons, case.body)
        if fits_body and mode == "unfitting" and not fits_body(case.body):
            assert status != 200 or reasons, case.body
        for who in sorted({"channel", "access key", other} - {entitled}):
            callers.ask(case, who)

    # Schemathesis waits for each answer, so it gets a thread and leaves the server its loop.
    await asyncio.to_thread(ask)


def takes_anything(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.headers or operation.path_parameters)


EXAMPLES = [
    (f"POST {path}", example["value"])
    for path, methods in DOCUMENT["paths"].items()
    for body in methods.get("post", {}).get("requestBody", {}).get("content", {}).values()
    for example in body.get("examples", {}).values()
]


@pytest.mark.parametrize(("label", "body"), EXAMPLES, ids=lambda value: str(value)[:20])
async def test_its_examples_are_accepted(callers: Callers, label: str, body: Any) -> None:
    assert bodies_of(label)(body)
    case = OPERATIONS[label].Case(body=body, media_type="application/json")
    who = "access key" if label.endswith("delete") else "channel"
    assert (await asyncio.to_thread(callers.ask, case, who))[0] == 200


MORE = [
    ("POST /v1/sent", {"aud_tag": ["vip"], "msg_email": [{"subject": "s", "text": "t"}]}),
    ("POST /v1/sent", {"aud_segment": [1], "msg_email": [{"subject": "s", "text": "t"}]}),
    ("POST /v1/template/sent", {"aud_email": [{"data": ["a@example.org"]}], "template_id": 0}),
    ("POST /v1/template/sent", {"aud_userid": ["u"], "template_id": "0"}),
    ("POST /v1/template/broadcast", {"template_id": 0}),
    (
        "POST /v1/user/opt",
        [
            {
                "userid": "u",
                "set": {"tag": {"all": ["vip"]}, "phone": {"all": "1"}},
                "del": {"email": {"all": ""}, "app": {"all": ["a"]}, "wechatwk_linkedcorp": ["a"]},
                "app": {"all": ["a"]},
                "wechatoa": {"all": "a"},
            }
        ],
    ),
]


@pytest.mark.usefixtures("_told_by_reason")
@pytest.mark.parametrize(("label", "base"), EXAMPLES + MORE, ids=lambda value: str(value)[:30])
async def test_each_member_is_taken_as_described(
    callers: Callers, shared: Door, label: str, base: Any, deep: bool
) -> None:
    """Whatever stands in its place: taken where it fits, and refused where it does not."""
    path = label.partition(" ")[2]
    fits_body, who = bodies_of(label), callers.basic[entitled_to(label)]
    if "template_id" in base:
        base = {**base, "template_id": await template_of(shared, callers.channel)}
    if "postgresql" in shared.system.settings.database_url:
        return  # takes the same
    wrong: list[Any] = []
    for place, body in probes.bodies(schema_of(path), DOCUMENT, base, deep=deep):
        callers.bind(body)
        answer = await shared.post(path, body, who)
        failed = answer.body.get("data") or {"fail": []}
        reasons = {one["errmsg"] for one in failed["fail"]}
        reasons |= {answer.body["reason"]} if answer.status != 200 else set()
        found = refused(reasons, body, STATE, UNSAID) if fits_body(body) else not reasons
        wrong += [(place, reasons, str(body)[:300])] if found else []
    assert not wrong


async def template_of(door: Door, channel: OneChannel) -> int:
    body = {"name": secrets.token_hex(4), "subject": "s", "text": "t"}
    path = f"/api/channels/{channel.key}/templates"
    return (await door.post(path, body, await door.api_token())).body["id"]


async def test_the_reasons_are_ours() -> None:
    assert set(WORDS) >= STATE | set(UNSAID)


async def test_what_does_not_fit_is_noticed() -> None:
    """Else the tests above could not fail."""
    case = OPERATIONS["POST /v1/sent"].Case(body={}, media_type="application/json")
    response = requests.Response()
    response.request = requests.Request("POST", "http://127.0.0.1/v1/sent").prepare()
    response.status_code = 200
    response.headers["Content-Type"] = "application/json"
    for content in (b"{}", b'{"code": 0, "message": "success", "msgid": 7}', b"[]"):
        response._content = content
        with pytest.raises(FailureGroup):
            case.validate_response(response, checks=HELD_TO)


SAMPLES = {"msgid": "v:1t:1p:1n:1", "token": "x"}


def fits(label: str, answer: Answer) -> None:
    """Raises where the answer is none of those described."""
    case = OPERATIONS[label].Case(path_parameters=SAMPLES)
    asked = httpx.Request("POST", "http://127.0.0.1/")
    told = httpx.Response(answer.status, headers=answer.headers, content=answer.raw, request=asked)
    told.elapsed = timedelta()
    case.validate_response(told, checks=HELD_TO)


def start_of(label: str, channel: OneChannel) -> str:
    head = f"{label.format(**SAMPLES)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return f"{head}Authorization: {channel.header}\r\n"


@pytest.mark.parametrize("label", OPERATIONS)
async def test_a_head_that_is_too_large_is_described(shared: Door, label: str) -> None:
    head = start_of(label, await shared.channel()) + "X-More: 1\r\n" * 101
    answer = await shared.wire(f"{head}\r\n".encode())
    assert answer.told == (431, 4004, "head_too_large")
    fits(label, answer)


async def test_what_takes_too_long_is_described(settings: Settings) -> None:
    impatient = structs.replace(settings, body_seconds=0.2, http_head_seconds=0.2)
    async with open_door(impatient) as door:
        channel = await door.channel()
        for label in OPERATIONS:
            late = await door.wire(start_of(label, channel).encode())
            assert late.told == (408, 4004, "head_too_slow"), label
            fits(label, late)
            if not label.startswith(("POST /v1/user", "POST /v1/sent", "POST /v1/template/sent")):
                continue  # takes no body, or files, which may take longer
            head = f"{start_of(label, channel)}Content-Length: 10\r\n\r\n"
            late = await door.wire(head.encode())
            assert late.told == (408, 4004, "too_slow"), label
            fits(label, late)


async def test_every_address_of_v1_is_described(shared: Door) -> None:
    served = {route.path.replace(":str", "") for route in shared.app.routes}
    described = {label.partition(" ")[2] for label in OPERATIONS}
    assert {path for path in served if path == "/" or path.startswith("/v1/")} == described
