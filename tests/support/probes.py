"""Bodies made of a schema and one that fits it: each member in turn is left out, or is something
else. Which of them fit tells the schema; that the server takes these and no others tells a test."""

from collections.abc import Iterator
from typing import Any

from support.openapi import example, resolved

PROBES: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 1.0, 0.5, 2**31, 2**63 - 1, 2**63),
    *([], [""], [None], ["a", "a"], [[]], {}, {"a": 1}, {"a": None}, {"a b": "\x00"}),
    *("", " ", "a", " a", "a ", "a b", "你好", "a\nb", "a\x00b", "a/b", "a:b", "\u200b", "\u3000a"),
    *("x" * 31, "x" * 33, "x" * 41, "x" * 61, "x" * 255, "x" * 256, "x" * 1001, "渠" * 30),
    *("1", "0", "-1", "true", "null", "all", "UTC", "Mars/Base", "email", "admin"),
    *("a@example.org", "@", "https://example.org/a", "ftp://example.org", "http://a b"),
    *("2030-01-31T09:00:00Z", "2030-01-31T09:00:00", "2030-01-31 09:00:00Z", "2030-02-30"),
    *("1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2030-01-31T09:00:00+0800", 1893456000),
]
Place = tuple[str | int, ...]


def bodies(
    schema: dict[str, Any], document: dict[str, Any], base: Any
) -> Iterator[tuple[Place, Any]]:
    """Where `base` was changed, and what it became."""
    for probe in PROBES:
        yield (), probe
    yield from _inside(schema, document, base)


def _inside(schema: dict[str, Any], document: dict[str, Any], base: Any) -> Iterator[Any]:
    if isinstance(base, dict):
        yield ("unknown",), {**base, "unknown": 1}
        for name, inner in _members(schema, document).items():
            yield (name,), {key: value for key, value in base.items() if key != name}
            held = base.get(name)
            held = example(inner, document) if held is None else held
            for place, value in bodies(inner, document, held):
                yield (name, *place), {**base, name: value}
    if isinstance(base, list):
        for one in _choices(schema, document):
            if "items" in one:
                held = base[0] if base else example(one["items"], document)
                for place, value in bodies(one["items"], document, held):
                    yield (0, *place), [value, *base[1:]]
                yield (len(base),), [held] * (one.get("maxItems", 100) + 1)


def _members(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in _choices(schema, document):
        for name, inner in one.get("properties", {}).items():
            if inner.get("type") != "null":
                found.setdefault(name, inner)
    return found


def _choices(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What `schema` refers to, and all of its alternatives."""
    known = resolved(schema, document)
    yield known
    for word in ("anyOf", "oneOf", "allOf"):
        for one in known.get(word, []):
            yield from _choices(one, document)
