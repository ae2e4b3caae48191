"""Commands of segments."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from ums.bounds import MOST_ID
from ums.cli import output
from ums.cli.app import After, AsJson, Limit, Name, app, ask
from ums.cli.errors import fail

segment = typer.Typer(help="Saved selections of users.", no_args_is_help=True)
app.add_typer(segment, name="segment")
SegmentId = Annotated[int, typer.Argument(help="The segment's id.", min=1, max=MOST_ID)]
OneId = Annotated[
    int | None, typer.Argument(help="A segment's id; or give --conditions.", min=1, max=MOST_ID)
]
Conditions = Annotated[str | None, typer.Option(help="JSON, or a file with it; {} is everyone.")]
SEGMENT = ("id", "name", "conditions", "created_at")


@segment.command("create")
def segment_create(name: Name, conditions: Conditions = None, json: AsJson = False) -> None:
    """Make a segment; without conditions it is everyone."""
    made = ask("segment.create", name=name, conditions=_read(conditions))
    output.record(made if json else _flat(made), raw=json)


@segment.command("update")
def segment_update(
    id: SegmentId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    conditions: Conditions = None,
    json: AsJson = False,
) -> None:
    """Give a segment another name, or other conditions."""
    if name is None and conditions is None:
        fail("give --name or --conditions")
    made = ask("segment.update", id=id, name=name, conditions=_read(conditions))
    output.record(made if json else _flat(made), raw=json)


@segment.command("list")
def segment_list(json: AsJson = False) -> None:
    """All segments."""
    found = ask("segment.list")
    output.records(found if json else [_flat(one) for one in found], SEGMENT, raw=json)


@segment.command("show")
def segment_show(id: SegmentId, json: AsJson = False) -> None:
    """A segment and its conditions."""
    found = ask("segment.show", id=id)
    output.record(found if json else _flat(found), raw=json)


@segment.command("count")
def segment_count(id: OneId = None, conditions: Conditions = None, json: AsJson = False) -> None:
    """How many users a segment, or conditions, select now."""
    output.record(ask("segment.count", **_selection(id, conditions)), raw=json)


@segment.command("sample")
def segment_sample(
    id: OneId = None,
    conditions: Conditions = None,
    after: After = None,
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """Users whom a segment, or conditions, select now."""
    found = ask("segment.sample", after=after, limit=limit, **_selection(id, conditions))
    output.page(found, ("userid",), raw=json)


@segment.command("delete")
def segment_delete(id: SegmentId, json: AsJson = False) -> None:
    """Delete a segment that no waiting message is for."""
    output.record(ask("segment.delete", id=id), raw=json)


def _selection(id: int | None, conditions: str | None) -> dict[str, Any]:
    if (id is None) == (conditions is None):
        fail("give a segment's id or --conditions")
    return {"id": id, "conditions": _read(conditions)}


def _read(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    text = given if given.lstrip().startswith("{") else _file(Path(given))
    try:
        found: Any = json_text.loads(text)
    except (ValueError, RecursionError) as error:
        fail(f"--conditions: not JSON: {error}")
    if not isinstance(found, dict):
        fail("--conditions: a JSON object")
    return found


def _file(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text")


def _flat(segment: dict[str, Any]) -> dict[str, Any]:
    text = json_text.dumps(segment["conditions"], ensure_ascii=False)
    return {**segment, "conditions": text if segment["conditions"] else "everyone"}
