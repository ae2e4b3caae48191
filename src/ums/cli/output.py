"""How the command prints: tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ums.core.reporting.reason_texts import meaning, remedy

# Where nobody looks at a screen, no table is folded to one's width: `ums sender list | grep`.
_WIDE = None if sys.stdout.isatty() else 10_000

# Names and server replies are other people's text: no markup and no emoji are read into them.
out = Console(soft_wrap=True, highlight=False, width=_WIDE, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def discard_unwritten(stream: TextIO) -> None:
    """Flush `stream`, or discard what it does not take: the interpreter flushes once more at its
    end, and turns a failure into an exit status of its own."""
    try:
        stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def as_json(value: Any) -> None:
    # Not through rich: a program reads this, so no wrapping and no styles.
    print(json.dumps(value, ensure_ascii=False, indent=2))


def record(value: dict[str, Any], *, raw: bool) -> None:
    """One thing, a line per field."""
    if raw:
        as_json(value)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, field in value.items():
        table.add_row(Text(_head(name), style="bold"), _text(field))
    out.print(table)


def records(
    values: Sequence[dict[str, Any]], columns: Sequence[str], *, raw: bool, zone: str = ""
) -> None:
    """Several things, a row each; `zone` is whose days the first column has."""
    if raw:
        as_json(list(values))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        named = f"{column} ({zone})" if zone and not place else _head(column)
        table.add_column(named, overflow="fold")
    for value in values:
        table.add_row(*(_text(value.get(column)) for column in columns))
    out.print(table)


def _head(name: str) -> str:
    """What stands above a column or before a field: times say that they are in UTC."""
    return f"{name} (UTC)" if name == "at" or name.endswith("_at") else name


def step(one: dict[str, Any], language: str) -> None:
    """A step of a test as it went, with what helps where it failed."""
    mark = "!" if one["ok"] and one["reason"] else "ok" if one["ok"] else "no"
    out.print(_text(f"{mark:<3}{one['stage']:<9}{one['ms']:>6} ms  {_facts(one['facts'])}"))
    if one["detail"]:
        out.print(_text(f"   {one['detail']}"))
    if one["reason"]:
        helps = f"{meaning(one['reason'], language)} {remedy(one['reason'], language)}"
        out.print(_text(f"   {helps} [{one['reason']}]"))
    for way in one["ways"]:
        out.print(_text(f"   {way['port']} {way['encryption']}"))


def _facts(facts: dict[str, str]) -> str:
    return "  ".join(f"{name}: {told}" for name, told in facts.items() if told)


def page(found: dict[str, Any], columns: Sequence[str], *, raw: bool) -> None:
    """A page of a list, and how to get the next."""
    if raw:
        as_json(found)
        return
    records(found["items"], columns, raw=False)
    if found["next"] is not None:
        out.print(f"\nThere are more: --after {found['next']}")


def _text(value: Any) -> Text:
    if value is None:
        text = "-"
    elif isinstance(value, list):
        text = ", ".join(map(str, value)) or "-"
    elif isinstance(value, dict):
        text = ", ".join(f"{key} {count}" for key, count in value.items()) or "-"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    # No control characters either: they would speak to the terminal.
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
