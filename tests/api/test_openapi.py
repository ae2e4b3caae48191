"""The server is held to docs/reference/v1-openapi.yaml: requests that fit it and requests that do
not, over a socket. No 5xx, and no answer that is not described. `--requests N` for more of them."""

import asyncio
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

from support.doors import Answer, Basic, Door, OneChannel, open_door
from ums.config import Settings
from ums.core.content import attachment_fetcher
from ums.errors import Invalid

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "v1-openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(SCHEMA.read_text("utf-8"))


ANSWERS = {"responses", "UserReport"}  # they are as long as they are


def lean(part: Any) -> Any:
    """The same with short arrays: of long ones most of the time goes into making them up."""
    if isinstance(part, list):
        return [lean(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: value if key in ANSWERS else lean(value) for key, value in part.items()}
    if "maxItems" in found or "array" in found.get("type", ()):
        found["maxItems"] = min(found.get("maxItems", 3), 3)
    return found


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


@dataclass
class Callers:
    """Those who may call."""

    base_url: str
    session: requests.Session
    basic: dict[str, Basic | None]

    def ask(self, case: Any, who: str) -> int:
        """Send `case` and look at the answer; its status."""
        auth = self.basic[who]
        response = case.call(base_url=self.base_url, session=self.session, auth=auth, timeout=60)
        case.validate_response(response, checks=HELD_TO)
        return int(response.status_code)


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
        yield Callers(f"http://127.0.0.1:{shared.port}", session, basic)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whose the made-up URLs in `files` are."""

    async def refuse(_url: object, field: str, *_more: object) -> None:
        raise Invalid("file_refused", field=field, detail="cannot be reached")

    monkeypatch.setattr(attachment_fetcher, "_fetch_in_time", refuse)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", OPERATIONS)
async def test_it_answers_as_described(
    callers: Callers, label: str, mode: str, request: pytest.FixtureRequest
) -> None:
    operation = OPERATIONS[label]
    if mode == "unfitting" and not takes_anything(operation):
        return  # a request without parameters cannot be wrong
    total = request.config.getoption("--requests")

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
        for who in ("channel", "access key", other):
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
    case = OPERATIONS[label].Case(body=body, media_type="application/json")
    who = "access key" if label.endswith("delete") else "channel"
    assert await asyncio.to_thread(callers.ask, case, who) == 200


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
    impatient = structs.replace(settings, body_seconds=0.2, head_seconds=0.2)
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
