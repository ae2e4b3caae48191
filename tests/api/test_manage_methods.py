"""What every path of the management API says of its methods, of what is taken, and of times."""

import re
from typing import Any

import pytest

from support.doors import Door
from support.worlds import DOCUMENT, OPERATIONS

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_options_names_every_method(shared: Door, path: str) -> None:
    concrete = re.sub(r"\{\w+\}", "1", path)
    answer = await shared.ask("OPTIONS", concrete, None)
    allowed = set(answer.headers["allow"].split(", "))
    described = {method.upper() for method in DOCUMENT["paths"][path]}
    assert answer.status == 204
    assert described | {"OPTIONS"} <= allowed
    wrong = await shared.ask("TRACE", concrete, None)
    assert wrong.status == 405


async def test_what_is_taken_is_a_conflict(shared: Door) -> None:
    admin = await shared.api_token()
    for _ in range(2):
        made = await shared.post("/api/channels", {"name": "Taken once"}, admin)
    assert made.told == (409, 4004, "name_taken")
    given = {"userid": "x"}
    empty = await shared.send("PATCH", "/api/users/", given, admin)
    assert empty.status == 405
    assert all("405" in told["responses"] for _, _, told in OPERATIONS)


@pytest.mark.parametrize("value", ["null", "NULL", "", " null "])
async def test_null_is_no_value_of_a_query(shared: Door, value: str) -> None:
    admin = await shared.api_token()
    for path, name in (("messages", "until"), ("users", "segment"), ("senders", "open")):
        answer = await shared.ask("GET", f"/api/{path}?{name}={value}", admin)
        assert answer.told == (400, 4004, "bad_filter"), answer.raw


def times(answer: Any, where: str = "") -> list[str]:
    if isinstance(answer, dict):
        return [one for name, inner in answer.items() for one in times(inner, name)]
    if isinstance(answer, list):
        return [one for inner in answer for one in times(inner, where)]
    return [where] if isinstance(answer, str) and ISO.fullmatch(answer) else []


async def test_times_are_told_as_times(shared: Door) -> None:
    """In the documents of clients they are dates, not texts."""
    admin = await shared.api_token()
    marked = {
        name
        for schema in DOCUMENT["components"]["schemas"].values()
        for name, one in schema.get("properties", {}).items()
        if "date-time" in str(one)
    }
    found: set[str] = set()
    for method, path, _ in OPERATIONS:
        if method == "GET" and "{" not in path and "events" not in path:
            answer = await shared.ask("GET", path, admin)
            found |= set(times(answer.body)) if answer.status == 200 else set()
    assert len(found) >= 3
    assert found <= marked
