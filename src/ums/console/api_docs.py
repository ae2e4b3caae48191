"""The management API's documentation for people: its OpenAPI document as a page of our own.

No script and nothing from elsewhere: it works offline and under the policy of every other page.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from litestar import Request, Response, get

from ums.console.rendering import page

AnyRequest = Request[Any, Any, Any]
Schema = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/"


@get("/api/docs", scope="open", include_in_schema=False)
async def api_docs(request: AnyRequest) -> Response[str]:
    """Every operation, and the shapes of bodies and answers."""
    describe: Callable[[], Schema] = request.app.state.describe_api
    found = describe()
    return page(
        request,
        "api_docs.html",
        about=found["info"]["description"].split("\n\n"),
        version=found["info"]["version"],
        nouns=_nouns(found),
        shapes=[_shape(name, one) for name, one in found["components"]["schemas"].items()],
        statuses=found["components"]["responses"],
    )


def _nouns(found: Schema) -> dict[str, list[Schema]]:
    """The operations by their noun."""
    nouns: dict[str, list[Schema]] = {}
    for path, item in found["paths"].items():
        for method, one in item.items():
            nouns.setdefault(one["tags"][0], []).append(_operation(method.upper(), path, one))
    return nouns


def _operation(method: str, path: str, one: Schema) -> Schema:
    answers = [
        (status, list(_types(answer)))
        for status, answer in one["responses"].items()
        if "$ref" not in answer
    ]
    return {
        "method": method,
        "path": path,
        "anchor": one["operationId"],
        "summary": one["summary"],
        "scope": one["security"][0]["token"][0],
        "parameters": [_parameter(each) for each in one.get("parameters", [])],
        "takes": list(_types(one.get("requestBody", {}))),
        "answers": answers,
        "errors": [status for status, answer in one["responses"].items() if "$ref" in answer],
    }


def _types(told: Schema) -> Iterator[tuple[str, list[Schema]]]:
    """(media type, what it is) of a body or an answer."""
    for media, content in told.get("content", {}).items():
        schema = content["schema"]
        fields = [] if "$ref" in schema else list(_fields(schema))
        yield media, fields or [{"name": "", "type": _words(schema), "about": "", "needed": True}]


def _parameter(one: Schema) -> Schema:
    schema = one["schema"]
    return {
        "name": one["name"],
        "in": one["in"],
        "type": _words(schema),
        "needed": one.get("required", False),
        "about": one.get("description", ""),
        "default": schema.get("default"),
    }


def _shape(name: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "about": schema.get("description", ""),
        "fields": list(_fields(schema)),
        "type": _words(schema),
    }


def _fields(schema: Schema) -> Iterator[Schema]:
    needed = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        about = inner.get("description", "")
        yield {"name": name, "type": _words(inner), "about": about, "needed": name in needed}


def _words(schema: Schema) -> list[tuple[str, str]]:
    """A type in words: pieces of text, with the name of the shape that each leads to or ""."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return [(name, name)]
    if "anyOf" in schema and "type" not in schema:
        pieces: list[tuple[str, str]] = []
        for choice in schema["anyOf"]:
            pieces += [*([(" | ", "")] if pieces else []), *_words(choice)]
        return pieces
    if "const" in schema:
        return [(f'"{schema["const"]}"', "")]
    if "enum" in schema:
        return [(" | ".join(f'"{value}"' for value in schema["enum"]), "")]
    if schema.get("type") == "array":
        return [("[", ""), *_words(schema.get("items", {})), ("]", "")]
    inner = schema.get("additionalProperties")
    if isinstance(inner, dict) and inner:
        return [("{", ""), *_words(inner), ("}", "")]
    kinds = schema.get("type", "any")
    kind = kinds if isinstance(kinds, str) else " | ".join(kinds)
    return [(schema.get("format") or kind + _limits(schema), "")]


def _limits(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    if high is None:
        return ""
    return re.sub(r"^0\.\.", "..", f" {low or 0}..{high}")
