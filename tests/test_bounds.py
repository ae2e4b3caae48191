"""Every whole number that comes from outside has bounds: in both OpenAPI documents and in each
command."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer
import yaml

import ums.cli
from support.worlds import DOCUMENT
from ums.cli.app import app

ROOT = Path(__file__).parents[1]
V1 = yaml.safe_load((ROOT / "docs" / "reference" / "v1-openapi.yaml").read_text("utf-8"))
OPEN = {"responses", "example", "examples", "default"}  # of the documents: no requests


def numbers(part: Any, whole: Any, where: str, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Every schema of a number that a request may hold, with where it stands."""
    if isinstance(part, list):
        for number, inner in enumerate(part):
            yield from numbers(inner, whole, f"{where}[{number}]", seen)
        return
    if not isinstance(part, dict):
        return
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in seen and "/responses/" not in reference:
        seen.add(reference)
        target = whole
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
        yield from numbers(target, whole, reference, seen)
    kinds = part.get("type")
    if any(
        kind in ("integer", "number") for kind in (kinds if isinstance(kinds, list) else [kinds])
    ):
        yield where, part
    for name, inner in part.items():
        if name not in OPEN:
            yield from numbers(inner, whole, f"{where}/{name}", seen)


def bounded(schema: dict[str, Any]) -> bool:
    least = {"minimum", "exclusiveMinimum"} & set(schema)
    most = {"maximum", "exclusiveMaximum"} & set(schema)
    return bool(least and most) or "enum" in schema


@pytest.mark.parametrize("document", [DOCUMENT, V1], ids=["api", "v1"])
def test_every_number_of_a_request_has_bounds(document: dict[str, Any]) -> None:
    found = list(numbers(document["paths"], document, "", set()))
    assert len(found) > 5
    # What /v1 reads as the text of its digits says how many of them there may be.
    free = [where for where, one in found if not bounded(one) and not _is_text(one)]
    free = [where for where in free if not where.endswith("/RuleId")]  # any other is unknown
    assert free == []


def _is_text(schema: dict[str, Any]) -> bool:
    return (
        re.search(r"at most \d+ digits", schema.get("description", ""), re.IGNORECASE) is not None
    )


def commands(group: typer.Typer, path: str = "") -> Iterator[tuple[str, Any]]:
    for one in group.registered_commands:
        callback: Any = one.callback
        yield f"{path} {one.name or callback.__name__}", callback
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        yield from commands(sub.typer_instance, f"{path} {sub.name}")


def test_every_number_of_a_command_has_bounds() -> None:
    assert ums.cli.main  # all of them are there
    found = 0
    for name, callback in commands(app):
        for option, hint in get_type_hints(callback, include_extras=True).items():
            about = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            if re.search(r"\b(int|float)\b", str(about[0])) is None:
                continue
            found += 1
            limits = [(one.min, one.max) for one in about[1:] if hasattr(one, "min")]
            assert limits, (name, option)
            assert None not in limits[0], (name, option, limits)
    assert found > 50
