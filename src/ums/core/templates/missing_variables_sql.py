"""Which users a template lacks a value for, as SQL over `users u`: what `Version.lacking` says of
one of them, for all of them at once."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ums.core.templates.cache import Version
from ums.db import to_json

MOST = 30  # variables that are looked for


class _Need(Struct, frozen=True):
    """A value that has to come from a user's attributes, or from the default."""

    path: list[str]  # of the attribute
    default: bool  # whether the default has it


class Lacking(Struct, frozen=True):
    """What a message of a template needs of each user's attributes; its items are their names."""

    needs: list[_Need]

    def __iter__(self) -> Iterator[str]:
        return (".".join(need.path) for need in self.needs)

    def columns(self, dialect: str) -> dict[str, str]:
        """By a name for SQL: 1 where the user `u` lacks it, else 0."""
        found: dict[str, str] = {}
        for i, need in enumerate(self.needs):
            whole = f"{_value(dialect, f':path{i}')} IS NULL"
            begun = f"{_value(dialect, f':name{i}')} IS NULL"
            fallen = f"WHEN {begun} THEN {0 if need.default else 1} "
            found[f"lack{i}"] = f"CASE {fallen}WHEN {whole} THEN 1 ELSE 0 END"
        return found

    def bound(self, dialect: str) -> dict[str, str]:
        """What is bound in them."""
        bound: dict[str, str] = {}
        for i, need in enumerate(self.needs):
            bound[f"path{i}"] = _place(dialect, need.path)
            bound[f"name{i}"] = _place(dialect, need.path[:1])
        return bound


def lacking(version: Version, para: dict[str, Any]) -> Lacking:
    """What `version` needs of users' attributes where the message brings `para`."""
    needs: list[_Need] = []
    for path in version.paths:
        name, own = path[0], path[0].startswith("user.")
        given = not own and para.get(name) is not None
        if given or name in ("user.userid", "user.address"):
            continue
        need = _Need([name.removeprefix("user."), *path[1:]], _has(version.defaults, path))
        if need not in needs and not (need.default and len(path) == 1):
            needs.append(need)
    return Lacking(needs[:MOST])


def _has(defaults: dict[str, Any], path: list[str]) -> bool:
    value: Any = defaults
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value is not None


def _value(dialect: str, place: str) -> str:
    if dialect == "postgresql":
        return f"(u.attributes #>> CAST(CAST({place} AS text) AS text[]))"
    return f"json_extract(u.attributes, {place})"


def _place(dialect: str, path: list[str]) -> str:
    quoted = [to_json(key) for key in path]
    return (
        f"{{{','.join(quoted)}}}"
        if dialect == "postgresql"
        else f"${''.join(map('.{}'.format, quoted))}"
    )
