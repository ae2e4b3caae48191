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

from support.doors import Door
from support.worlds import DOCUMENT, World, make
from ums.core.senders import connection_test
from ums.mail.outcomes import Stage
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind

schema = schemathesis.openapi.from_dict(DOCUMENT)
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
SHAPES = {"missing", "misfit", "unknown_field", "bad_json", "batch_size", "code_shape"}
"""Reasons that the schema has words for: what fits it is not refused for one of these."""
BOUND_ALREADY = {("POST /api/messages", "missing")}
"""A channel's key need not name the channel, a token must: no schema tells these apart."""


@dataclass
class Asking:
    """Those who may call, and what is there."""

    base_url: str
    session: requests.Session
    headers: dict[str, dict[str, str]]
    world: World
    reason: str = ""  # of the last refusal

    def ask(self, case: Any, who: str) -> int:
        """Send `case` and look at the answer; its status."""
        response = case.call(
            base_url=self.base_url, session=self.session, headers=self.headers[who], timeout=60
        )
        case.validate_response(response, checks=HELD_TO)
        if response.headers.get("Content-Type", "").endswith("problem+json"):
            self.reason = response.json()["reason"]
        return int(response.status_code)

    def real(self, case: Any) -> None:
        """Let the case be about what is there."""
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self.world.values[name]


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
        raise SmtpError(SmtpErrorKind.DNS_FAILED, Stage.CONNECT, "no such name")

    monkeypatch.setattr(connection_test, "try_sender", refuse)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", OPERATIONS)
async def test_it_answers_as_described(
    asking: Asking, label: str, mode: str, request: pytest.FixtureRequest
) -> None:
    operation = OPERATIONS[label]
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
        real=st.booleans(),
    )
    def ask(case: Any, other: str, real: bool) -> None:
        if real:
            asking.real(case)
        status = asking.ask(case, "admin")
        if mode == "fitting" and status == 400:  # what the schema allows the server takes
            told = (label, asking.reason)
            assert asking.reason not in SHAPES or told in BOUND_ALREADY, (told, case.body)
        if mode == "unfitting" and not real:  # and the reverse
            assert status >= 300, (case.path_parameters, case.query, case.body)
        asking.ask(case, other)

    # Schemathesis waits for each answer, so it gets a thread and leaves the server its loop.
    await asyncio.to_thread(ask)


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
