"""Which tests `make test-fast` runs: on SQLite, and few of those that need a database."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

import ums

LEFT_OUT: Final = ("slow", "faults", "browser", "postgresql")
WITH_DATABASE: Final = 2
"""So many tests of a module that need a database: their set-up takes longer than they do."""
NEEDS_DATABASE: Final = frozenset({"settings", "shared_settings", "bare"})
ELSEWHERE: Final = {
    "api/management": "api",
    "api/management/channels": "api",
    "api/management/messages": "api",
    "api/v1": "api",
    "console/senders": "console",
    "core/isolation": "core/spreadsheets",
    "core/tables": "migrations",
    "core/verbs": "cli",
    "migrations/versions": "migrations",
    "web": "server",
}
"""The packages whose tests lie in another folder than the one of their name."""


def fast_choice(items: Iterable[pytest.Function]) -> Iterator[pytest.Function]:
    """Yield of each test the first case that has none of the marks LEFT_OUT."""
    seen, needing = set[object](), Counter[Path]()
    for item in items:
        test = (item.path, item.originalname)
        if test in seen or any(map(item.get_closest_marker, LEFT_OUT)):
            continue
        seen.add(test)
        if NEEDS_DATABASE.intersection(item.fixturenames):
            needing[item.path] += 1
            if needing[item.path] > WITH_DATABASE:
                continue
        yield item


def untested_packages(items: Iterable[pytest.Item], tests: Path) -> set[str]:
    """The packages of `src/ums` that none of `items` is about; `tests` is the folder of all."""
    source = Path(ums.__file__).parent
    modules = [path for path in source.rglob("*/*.py") if path.name != "__init__.py"]
    packages = {path.parent.relative_to(source).as_posix() for path in modules}
    there = {item.path.parent.relative_to(tests).as_posix() for item in items}
    return {package for package in packages if ELSEWHERE.get(package, package) not in there}
