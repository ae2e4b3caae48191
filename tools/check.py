"""Check one source file: `make check FILE=src/ums/core/users/search.py`.

Lint, format and types of the file itself, then the tests that mirror it: the module of its name in
the same folder below `tests`; where there is none, the tests nearby that import it; where none
does, the fast tests of its package's folder.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "ums"
TESTS = ROOT / "tests"


def tests_of(source: Path) -> list[Path]:
    """The test modules, or the folder of tests, of a module of `src/ums`; a test is its own."""
    if source.is_relative_to(TESTS):
        return [source]
    place = source.relative_to(SOURCES)
    mirrored = TESTS / place.parent / f"test_{place.name}"
    if mirrored.exists():
        return [mirrored]
    folder = next(TESTS / folder for folder in place.parents if (TESTS / folder).is_dir())
    return sorted(_importing(place)) or [folder]


def _importing(place: Path) -> list[Path]:
    """The test modules of the nearest folder that has some which import it."""
    module = ".".join(("ums", *place.with_suffix("").parts)).removesuffix(".__init__")
    package, _, name = module.rpartition(".")
    imported = re.compile(
        rf"^(from {re.escape(module)} import"
        rf"|import {re.escape(module)}\b"
        rf"|from {re.escape(package)} import .*\b{name}\b)",
        re.MULTILINE,
    )
    for folder in place.parents:
        modules = (TESTS / folder).rglob("test_*.py")
        if found := [path for path in modules if imported.search(path.read_text("utf-8"))]:
            return found
    return []


def main(file: str) -> int:
    source = Path(file).resolve()
    if not source.is_file() or not source.is_relative_to(ROOT):
        print(f"{file} is no file of this repository", file=sys.stderr)
        return 2
    commands = [["ruff", "check", str(source)], ["ruff", "format", "--check", str(source)]]
    if source.is_relative_to(SOURCES):
        commands.append(["basedpyright", str(source)])
    tests = tests_of(source)
    for path in tests:
        print(f"tests: {path.relative_to(ROOT)}")
    few = ["--fast"] if tests[0].is_dir() else []
    commands.append(["pytest", "-q", *few, *map(str, tests)])
    return max(_run(command) for command in commands)


def _run(command: list[str]) -> int:
    tool = Path(sys.executable).with_name(command[0])
    return subprocess.run([tool, *command[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say which: make check FILE=src/ums/...")
    sys.exit(main(sys.argv[1]))
