"""The rules of ARCHITECTURE.md that a program can check."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ums"
LONGEST = 400
MOST = 25  # modules of one folder


def sources(folder: Path, *endings: str) -> list[Path]:
    return sorted(path for ending in endings for path in folder.rglob(f"*{ending}"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


MODULES = sources(PACKAGE, ".py")
TEXTS = [
    path
    for path in [
        *sources(PACKAGE, ".py", ".html"),
        *sources(ROOT / "frontend" / "src", ".ts", ".css"),
        *sources(ROOT / "tests", ".py"),
        *sources(ROOT / "benchmarks", ".py"),
        ROOT / "hatch_build.py",
    ]
    if "migrations" not in path.parts and "static" not in path.parts
]


def test_imports_go_downwards_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_long() -> None:
    length = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in TEXTS}
    assert {name: lines for name, lines in length.items() if lines > LONGEST} == {}


def test_no_folder_is_crowded() -> None:
    count = Counter(path.parent for path in MODULES if "versions" not in path.parts)
    assert {named(folder) for folder, modules in count.items() if modules > MOST} == set()


def test_only_the_command_line_prints() -> None:
    printing = {named(path) for path in MODULES if "print" in called(path)}
    assert {name for name in printing if not name.startswith("src/ums/cli/")} == set()
    assert printing


def test_only_the_settings_read_the_environment() -> None:
    environment = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    readers = {named(path) for path in MODULES if environment.intersection(used_names(path))}
    assert readers == {"src/ums/config.py"}


@cache
def parsed(path: Path) -> list[ast.AST]:
    """Every node of the module."""
    return list(ast.walk(ast.parse(path.read_bytes())))


def called(path: Path) -> Iterator[str]:
    """The plain names that the module calls."""
    for node in parsed(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def used_names(path: Path) -> Iterator[str]:
    """What the module takes out of other modules, as `os.environ`, however it is imported."""
    for node in parsed(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)
