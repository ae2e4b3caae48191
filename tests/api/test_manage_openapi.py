"""The management API is held to its own document: requests that fit it and requests that do not,
over a socket. No 5xx, and no answer that is not described. `--requests N` for more of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from support.contract import lean, refused, validator
from support.doors import Door
from support.refusals import STATE, UNSAID
from support.worlds import DOCUMENT, World, make
from ums.core.content import attachment_fetcher
from ums.core.senders import connection_test
from ums.core.transports.protocol import TransportError
from ums.errors import UmsError
from ums.mail.mime.builder import File
from ums.mail.outcomes import Stage
from ums.mail.reply_classifier import classify_error
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind

schema = schemathesis.openapi.from_dict(lean(DOCUMENT, most=10_000))
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
CALLERS = ("admin", "channel", "bound", "access key", "nobody")
PER_CASE = 2  # requests


@dataclass
class Asking:
    """Those who may call, and what is there."""

    base_url: str
    session: requests.Session
    headers: dict[str, dict[str, str]]
    world: World
    reasons: frozenset[str] = frozenset()  # of the last refusal

    def ask(self, case: Any, who: str) -> int:
        """Send `case` and look at the answer; its status."""
        response = case.call(
            base_url=self.base_url, session=self.session, headers=self.headers[who], timeout=60
        )
        case.validate_response(response, checks=HELD_TO)
        self.reasons = frozenset()
        if response.status_code >= 400:
            self.reasons = frozenset([response.json()["reason"]])
        elif case.method == "POST" and case.path == "/api/users":
            failed = response.json().get("fail", [])
            self.reasons = frozenset(one["errmsg"] for one in failed)
        return int(response.status_code)

    def real(self, case: Any) -> None:
        """Let the case be about what is there, as it is."""
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self.world.values[name]
        for name in ("If-Match", "Idempotency-Key"):
            (case.headers or {}).pop(name, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(shared: Door) -> AsyncIterator[Asking]:
    world = await make(shared)
    bound = await shared.api_token("admin", channels=[world.owner.key])
    key, secret = await shared.access_key()
    given = {
        "admin": f"Bearer {await shared.api_token()}",
        "channel": world.owner.header,
        "bound": f"Bearer {bound}",
        "access key": requests.auth._basic_auth_str(key, secret),
        "nobody": "",
    }
    headers = {who: {"Authorization": value} if value else {} for who, value in given.items()}
    with requests.Session() as session:
        session.trust_env = False
        yield Asking(f"http://127.0.0.1:{shared.port}", session, headers, world)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whose the made-up servers of senders are."""

    async def refuse(*_: object) -> None:
        cause = SmtpError(SmtpErrorKind.DNS_FAILED, Stage.CONNECT, "no such name")
        raise TransportError(classify_error(cause))

    async def fetch(*_: object) -> File:
        return File("a.txt", "text/plain", b"a")

    monkeypatch.setattr(connection_test, "try_sender", refuse)
    monkeypatch.setattr(attachment_fetcher, "_fetch_in_time", fetch)


@pytest.fixture(autouse=True)
def _told_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failures of single users, which have no reason beside their words, tell it by these."""
    monkeypatch.setattr(UmsError, "words", lambda self, *_: self.reason)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", OPERATIONS)
async def test_it_answers_as_described(
    asking: Asking, label: str, mode: str, request: pytest.FixtureRequest
) -> None:
    operation, fits = OPERATIONS[label], fits_body(label)
    if mode == "unfitting" and not can_be_wrong(label):
        return
    total = request.config.getoption("--requests")

    @hypothesis_settings(
        max_examples=max(2, total // (PER_CASE * 4 * len(MODES) * len(OPERATIONS))),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=MODES[mode]),
        other=st.sampled_from(CALLERS),
    )
    def ask(case: Any, other: str) -> None:
        asking.real(case)
        status = asking.ask(case, "admin")
        if fits is not None and mode == "fitting" and status not in (404, 409):
            told = refused(asking.reasons, case.body, STATE, UNSAID)
            assert not told, (told, case.body)
        if fits is not None and mode == "unfitting" and not fits(case.body):
            assert asking.reasons, case.body
        asking.ask(case, other)

    # Schemathesis waits for each answer, so it gets a thread and leaves the server its loop.
    await asyncio.to_thread(ask)


def fits_body(label: str) -> Any:
    """Tells whether a JSON body fits; None where an operation has none."""
    method, _, path = label.partition(" ")
    content = DOCUMENT["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return schema and validator(schema, DOCUMENT)


def can_be_wrong(label: str) -> bool:
    """Whether a request can break the document: any text may stand in a path or a header."""
    method, _, path = label.partition(" ")
    told = DOCUMENT["paths"][path][method.lower()]
    kinds = {(one["in"], str(one["schema"].get("type"))) for one in told.get("parameters", [])}
    return "requestBody" in told or bool(kinds - {("path", "string"), ("header", "string")})


async def test_what_does_not_fit_is_noticed() -> None:
    """Else the tests above could not fail."""
    case = OPERATIONS["GET /api/channels"].Case()
    response = requests.Response()
    response.request = requests.Request("GET", "http://127.0.0.1/api/channels").prepare()
    response.status_code = 200
    response.headers["Content-Type"] = "application/json"
    for content in (b"{}", b'{"items": [{}], "next": null}', b"[]"):
        response._content = content
        with pytest.raises(FailureGroup):
            case.validate_response(response, checks=HELD_TO)
