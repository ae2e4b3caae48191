"""The management API reads values by the letter, in bodies and in queries."""

import pytest
import pytest_asyncio

from support.doors import Door, OneChannel, Token


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Door) -> Token:
    return await shared.api_token()


@pytest.mark.parametrize("value", ["true", 1, 1.0, "1"])
async def test_what_is_only_like_a_truth_value(
    shared: Door, caller: OneChannel, admin: Token, value: object
) -> None:
    path = f"/api/channels/{caller.key}"
    answer = await shared.send("PATCH", path, {"open": value}, admin)
    assert answer.told == (400, 4004, "misfit")
    assert answer.body["errors"][0]["field"] == "open"


@pytest.mark.parametrize(
    "value",
    [
        1893456000,
        1893456000.5,
        "2030-01-01 00:00:00Z",
        "2030-01-01T00:00:00+0800",
        "2030-01-01T00:00:00",
        "1969-12-31T00:00:00Z",
        "9000-01-01T00:00:00Z",
    ],
)
async def test_what_is_only_like_a_time(shared: Door, admin: Token, value: object) -> None:
    body = {"name": "x", "scopes": ["users:read"], "expires_at": value}
    answer = await shared.post("/api/tokens", body, admin)
    assert answer.told == (400, 4004, "misfit")
    assert answer.body["errors"][0]["field"] == "expires_at"
    if not isinstance(value, str) or "+" not in value:
        assert (await shared.get(f"/api/messages?since={value}", admin)).status == 400


@pytest.mark.parametrize("value", ["2030-01-01T00:00:00+08:00", "2030-01-01t00:00:00.5z"])
async def test_a_time(shared: Door, admin: Token, value: str) -> None:
    body = {"name": "x", "scopes": ["users:read"], "expires_at": value}
    assert (await shared.post("/api/tokens", body, admin)).status == 201
    path = "/api/messages?since=" + value.replace("+", "%2B")
    assert (await shared.get(path, admin)).status == 200


async def test_a_whole_number_with_a_fraction_of_nothing(
    shared: Door, caller: OneChannel, admin: Token
) -> None:
    body = {
        "channel": caller.key,
        "recipients": [{"address": "a@example.org"}],
        "subject": "s",
        "text": "t",
        "priority": 1.0,
    }
    answer = await shared.post("/api/messages", body, admin)
    assert answer.status == 201
    shown = await shared.get(f"/api/messages/{answer.body['msgid']}", admin)
    assert shown.body["priority"] == 1
    wrong = await shared.post("/api/messages", {**body, "priority": 1.5}, admin)
    assert wrong.told == (400, 4004, "misfit")


@pytest.mark.parametrize("query", ["open=TRUE", "open=1", "limit=+1", "limit=1.0", "limit=1e1"])
async def test_the_form_of_a_query(shared: Door, admin: Token, query: str) -> None:
    answer = await shared.get(f"/api/channels?{query}", admin)
    assert answer.told == (400, 4004, "bad_filter")
    assert (await shared.get("/api/channels?open=true&limit=10", admin)).status == 200
