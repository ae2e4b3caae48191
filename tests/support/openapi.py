"""The management API as its OpenAPI document has it: every operation, and bodies that fit."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from support.doors import idle_application
from ums.api.management.openapi import document

_OF_FORMAT = {
    "date-time": "2030-01-01T00:00:00Z",
    "idn-email": "a@example.org",
    "iri": "https://example.org/a",
}
_TEXTS = ("x", "1", "x/y", "00:00", "550", "YQ==", "0" * 64, "")  # one fits each pattern


def the_document() -> dict[str, Any]:
    return document(idle_application())


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of each."""
    for path, item in found["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def scope_of(operation: dict[str, Any]) -> str:
    return operation["security"][0]["token"][0]


def resolved(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What `schema` refers to, where it does."""
    if "$ref" not in schema:
        return schema
    return resolved(found["components"]["schemas"][schema["$ref"].rpartition("/")[2]], found)


def example(schema: dict[str, Any], found: dict[str, Any]) -> Any:
    """The least value that fits `schema`."""
    schema = resolved(schema, found)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example(schema[choice][0], found)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if "const" in schema:
        return schema["const"]
    if kind == "object":
        wanted = schema.get("required", [])
        return {name: example(schema["properties"][name], found) for name in wanted}
    if kind == "array":
        return [example(schema.get("items", {}), found)] * schema.get("minItems", 0)
    if kind == "string":
        return _text(schema)
    return {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": False}.get(kind)


def _text(schema: dict[str, Any]) -> str:
    pattern, least = schema.get("pattern", ""), schema.get("minLength", 0)
    texts = (_OF_FORMAT.get(schema.get("format", ""), "x"), *_TEXTS, "x" * least)
    return next(text for text in texts if re.search(pattern, text) and len(text) >= least)


def body(operation: dict[str, Any], found: dict[str, Any], **values: object) -> dict[str, Any]:
    """How httpx is told a body that the operation takes: keyword arguments. Where the body has
    properties of the names of `values`, it has these."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        made = example(schema, found)
        known = resolved(schema, found).get("properties", {})
        if isinstance(made, dict):
            made |= {name: value for name, value in values.items() if name in known}
        return {
            "content": msgspec.json.encode(made),
            "headers": {"Content-Type": "application/json"},
        }
    if "multipart/form-data" in content:
        known = content["multipart/form-data"]["schema"].get("properties", {})
        return {
            "files": {"file": ("users.csv", b"userid,email\nu1,a@example.org\n")},
            "data": {name: value for name, value in values.items() if name in known},
        }
    return {}
