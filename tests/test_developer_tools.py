"""What `make test-fast` and `make check` choose, and that the hooks use the project's own tools."""

import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.fast import ELSEWHERE, untested_packages

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
CHECK = runpy.run_path(str(ROOT / "tools" / "check.py"))


@pytest.mark.slow
def test_the_fast_tests_are_of_every_package_and_each_is_one_case_on_sqlite() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr  # it refuses to leave a package out
    chosen = [line for line in done.stdout.splitlines() if "::" in line]
    assert len(chosen) > 500
    assert [line for line in chosen if "postgresql" in line or "tests/faults/" in line] == []
    cases = Counter(line.partition("[")[0] for line in chosen)
    assert {test: count for test, count in cases.items() if count > 1} == {}


def test_a_package_without_tests_is_named() -> None:
    everything = untested_packages([], TESTS)
    assert {"core/messages", "api/v1", "mail/smtp", "sample_data"} <= everything
    folders = {*(everything - ELSEWHERE.keys()), *ELSEWHERE.values()}
    items = [SimpleNamespace(path=TESTS / folder / "test_x.py") for folder in folders]
    assert untested_packages(items, TESTS) == set()  # type: ignore[arg-type]
    less = [item for item in items if "smtp" not in str(item.path)]
    assert untested_packages(less, TESTS) == {"mail/smtp"}  # type: ignore[arg-type]


def test_a_module_is_checked_by_the_tests_that_mirror_it() -> None:
    tests_of = CHECK["tests_of"]
    search = ROOT / "src" / "ums" / "core" / "users" / "search.py"
    assert tests_of(search) == [TESTS / "core" / "users" / "test_search.py"]
    assert tests_of(Path(__file__)) == [Path(__file__)]


def test_a_module_without_a_mirror_is_checked_by_what_imports_it_or_by_its_package() -> None:
    tests_of, source = CHECK["tests_of"], ROOT / "src" / "ums"
    assert TESTS / "cli" / "processes" / "test_bootstrap.py" in tests_of(
        source / "cli" / "processes" / "bootstrap.py"
    )
    catalogue = source / "sample_data" / "catalogue.py"
    assert tests_of(catalogue) == [TESTS / "sample_data" / "test_seed.py"]
    assert tests_of(source / "sample_data" / "outcomes.py") == [TESTS / "sample_data"]
    modules = [path for path in source.rglob("*.py") if path.name != "__init__.py"]
    assert [path for path in modules if not tests_of(path)] == []


def test_a_file_that_is_none_is_said() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check.py"), "src/ums/none.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "src/ums/none.py is no file of this repository\n")


def test_hooks_are_valid_and_run_the_tools_of_the_lock_file() -> None:
    path = ROOT / ".pre-commit-config.yaml"
    tool = Path(sys.executable).with_name("pre-commit")
    done = subprocess.run(
        [tool, "validate-config", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    entries = re.findall(r"entry: (\S+)", path.read_text("utf-8"))
    assert entries
    locked = (ROOT / "requirements" / "dev.lock").read_text("utf-8")
    for entry in entries:
        name = entry.removeprefix(".venv/bin/")
        package = {"lint-imports": "import-linter"}.get(name, name)
        assert entry != name, entry
        assert re.search(rf"^{package}==", locked, re.MULTILINE), entry
