"""The rules of ARCHITECTURE.md that a program can check."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_no_folder_is_crowded() -> None:
    count = Counter(path.parent for path in MODULES if "versions" not in path.parts)
    assert {named(folder) for folder, modules in count.items() if modules > MOST} == set()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_the_command_line_prints(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    if part in {"cli", "cli.py"}:
        return
    assert "print" not in set(called(path))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if path == PACKAGE / "config.py":
        return
    assert not {"os.environ", "os.environb", "os.getenv", "os.getenvb"} & set(touched(path))


def called(path: Path) -> Iterator[str]:
    """The plain names that the module calls."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def touched(path: Path) -> Iterator[str]:
    """What the module takes out of other modules, as `os.environ`, however it is imported."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)
