"""Bodies made of a schema and one that fits it: each member in turn is left out, or is something
else. Which of them fit tells the schema; that the server takes these and no others tells a test."""

from collections.abc import Iterator
from typing import Any

from support.openapi import example, resolved

NUMBERS: list[Any] = [None, True, 0, 1, 1.0, 0.5, -1, 2**63]
LISTS: list[Any] = [[], [None], [""], {}, {"a": 1}]
TEXTS: list[Any] = [
    *("", " ", " a", "a", "a b", "你好", "a\nb", "a\x00b", "a/b", "1", "UTC"),
    *("x" * 31, "x" * 61, "x" * 256, "x" * 1001, "a@example.org", "https://example.org/a"),
    *("2030-01-31T09:00:00Z", "2030-01-31 09:00:00Z", "9999-12-31T23:59:59Z"),
]
MORE: list[Any] = [
    *(False, 2, 2**31, 2**63 - 1, ["a", "a"], [[]], {"a": None}, {"a b": "\x00"}),
    *("a ", "a:b", "\u200b", "\u3000a", "x" * 33, "x" * 41, "x" * 255, "渠" * 30),
    *(
        "0",
        "-1",
        "true",
        "null",
        "all",
        "Mars/Base",
        "email",
        "admin",
        "@",
        "ftp://a",
        "http://a b",
    ),
    *("2030-01-31T09:00:00", "2030-02-30", "1969-12-31T23:59:59Z"),
    *("2030-01-31T09:00:00+0800", 1893456000),
]
PROBES: list[Any] = [*NUMBERS, *LISTS, *TEXTS, *MORE]
Place = tuple[str | int, ...]


def bodies(
    schema: dict[str, Any], document: dict[str, Any], base: Any, *, deep: bool = True
) -> Iterator[tuple[Place, Any]]:
    """Where `base` was changed, and what it became. Unless `deep`, only by the likeliest."""
    texts = TEXTS if isinstance(base, str) else TEXTS[:3]
    for probe in PROBES if deep else [*NUMBERS, *LISTS, *texts]:
        yield (), probe
    if isinstance(base, dict):
        yield from _members_changed(schema, document, base, deep=deep)
    if isinstance(base, list):
        yield from _items_changed(schema, document, base, deep=deep)


def _members_changed(
    schema: dict[str, Any], document: dict[str, Any], base: dict[str, Any], *, deep: bool
) -> Iterator[tuple[Place, Any]]:
    yield ("unknown",), {**base, "unknown": 1}
    for name, inner in _members(schema, document).items():
        yield (name,), {key: value for key, value in base.items() if key != name}
        held, known = base.get(name), inner
        if held is None:
            # What lies deeper in it takes a base that has it: schemas refer to themselves.
            held = example(inner, document)
            held = type(held)() if isinstance(held, dict | list) else held
            known = {"items": inner["items"]} if "items" in inner else {}
        for place, value in bodies(known, document, held, deep=deep):
            yield (name, *place), {**base, name: value}


def _items_changed(
    schema: dict[str, Any], document: dict[str, Any], base: list[Any], *, deep: bool
) -> Iterator[tuple[Place, Any]]:
    for one in _choices(schema, document):
        if "items" not in one:
            continue
        held = base[0] if base else example(one["items"], document)
        inner = one["items"] if base else {}
        for place, value in bodies(inner, document, held, deep=deep):
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
