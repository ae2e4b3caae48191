"""No number beyond the bounds of the documents, nor a fraction, breaks a route."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from support.doors import Door
from support.openapi import resolved
from support.worlds import DOCUMENT, OPERATIONS, World, make
from ums.bounds import MOST_ID

EDGES = (MOST_ID + 1, -MOST_ID - 2, -1, 10**30, 1.5, 1e300)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared: Door) -> World:
    return await make(shared)


def spoiled(schema: dict[str, Any], made: Any, around: tuple[str, ...] = ()) -> Iterator[Any]:
    """`made` with an edge in the place of each of its numbers, whatever they are within."""
    name = schema.get("$ref", "")
    if name in around:
        return  # a schema within itself
    around = (*around, name) if name else around
    schema = resolved(schema, DOCUMENT)
    for choice in schema.get("anyOf", ()):
        yield from spoiled(choice, made, around)
    if schema.get("type") in ("integer", "number"):
        yield from EDGES
    for name, inner in schema.get("properties", {}).items():
        for edge in spoiled(inner, {}, around):
            yield {**(made if isinstance(made, dict) else {}), name: edge}
    if "items" in schema:
        for edge in spoiled(schema["items"], {}, around):
            yield [edge]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one[0]} {one[1]}")
async def test_no_number_breaks_a_route(shared: Door, world: World, operation: Any) -> None:
    method, template, told = operation
    admin = await shared.api_token()
    for one in told.get("parameters", []):
        if one["schema"].get("type") == "integer":
            for edge in (*EDGES, MOST_ID):
                if one["in"] == "path":
                    path = template.replace(f"{{{one['name']}}}", str(edge))
                    path = world.path(path)
                else:
                    path = f"{world.path(template)}?{one['name']}={edge}"
                answer = await shared.ask(method, path, admin, **world._body(told))
                assert answer.status < 500, (path, answer.raw)
                if one["in"] == "query" and edge != MOST_ID:
                    assert answer.status == 400, (path, answer.raw)
    content = told.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    body = msgspec.json.decode(world._body(told)["content"])
    for wrong in spoiled(content["schema"], body):
        answer = await shared.ask(method, world.path(template), admin, json=wrong)
        assert answer.status < 500, (template, wrong, answer.raw)


MAIL = {"msg_email": [{"subject": "s", "text": "t"}]}
FREE: list[tuple[str, Any]] = [
    ("/api/segments/count", lambda n: {"conditions": {"attribute": {"name": "a", "is": n}}}),
    ("/api/segments/count", lambda n: {"conditions": {"engagement": {"event": "x", "days": n}}}),
    ("/api/users", lambda n: [{"userid": "fuzz1", "attributes": {"n": n}}]),
    ("/api/users", lambda n: [{"userid": n}]),
    ("/v1/sent", lambda n: {"aud_userid": [n], **MAIL}),
    ("/v1/sent", lambda n: {"aud_segment": [n], **MAIL}),
    ("/v1/sent", lambda n: {"aud_tag": ["a"], "option": {"black_id": n}, **MAIL}),
    ("/v1/sent", lambda n: {"aud_tag": ["a"], "option": {"white_id": n}, **MAIL}),
    ("/v1/sent", lambda n: {"aud_tag": ["a"], "option": {"sendno": n}, **MAIL}),
    ("/v1/sent", lambda n: {"aud_tag": ["a"], "rule_id": n, **MAIL}),
    ("/v1/template/sent", lambda n: {"aud_tag": ["a"], "template_id": n}),
    (
        "/v1/template/sent",
        lambda n: {"aud_tag": ["a"], "template_id": 1, "template_para": {"n": n}},
    ),
    ("/v1/user/opt", lambda n: [{"userid": "fuzz1", "attributes": {"n": n}}]),
    ("/v1/user/opt", lambda n: [{"userid": n, "email": {"all": "a@example.org"}}]),
]


@pytest.mark.parametrize("number", EDGES)
async def test_no_number_breaks_a_free_body(shared: Door, world: World, number: float) -> None:
    admin = await shared.api_token()
    for path, made in FREE:
        who = world.owner if path.startswith("/v1") else admin
        answer = await shared.ask("POST", path, who, json=made(number))
        assert answer.status < 500, (path, made(number), answer.raw)
        if path.startswith("/api") and isinstance(number, int) and abs(number) > MOST_ID:
            assert answer.status == 400, (path, answer.raw)
    answer = await shared.ask(
        "PATCH", "/api/settings", admin, json={"message_retention_days": number}
    )
    assert answer.status < 500, answer.raw
