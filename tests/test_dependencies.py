"""Dependencies: locked with hashes, without known holes, and those tried together (threat 50)."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS["dev"]]]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ENTRY = re.compile(
    r"^([a-z0-9][^ ;]*==[^ ;]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$",
    re.MULTILINE,
)


def pins(lock: Path) -> dict[str, Requirement]:
    """What a lock file names; fails where a line of it is none of ours or has no hash."""
    text = lock.read_text("utf-8").split("\n", 1)[1]
    assert ENTRY.sub("", text).strip() == "", lock
    found = ENTRY.findall(text)
    assert all(hashes for _, hashes in found), lock
    return {canonicalize_name(one.name): one for pin, _ in found for one in [Requirement(pin)]}


PINNED = pins(ROOT / "requirements" / "dev.lock")
CLOSED = {
    "aiosmtpd": "1.4.6",  # CVE-2024-34083: commands behind STARTTLS
    "aiosmtplib": "5.1.2",  # reliability.md, part 5
    "cryptography": "44.0.1",  # CVE-2024-12797
    "h11": "0.16.0",  # CVE-2025-43859: chunks that two read differently
    "idna": "3.7",  # CVE-2024-3651: names that take for ever
    "jinja2": "3.1.6",  # CVE-2025-27516: a way out of the sandbox
    "urllib3": "2.5.0",  # CVE-2025-50181
}


@pytest.mark.parametrize("name", CLOSED)
def test_no_hole_that_is_known_is_open(name: str) -> None:
    least = Version(CLOSED[name])
    assert Version(version(name)) >= least
    assert min(Version(pin.version) for pin in PINNED[name].specifier) >= least
    for one in WANTED:
        if canonicalize_name(one.name) == name:
            assert min(Version(part.version) for part in one.specifier) >= least


def test_what_is_installed_here_is_what_was_tried_together() -> None:
    for one in WANTED:
        pin = PINNED[canonicalize_name(one.name)]
        assert [part.operator for part in pin.specifier] == ["=="], one.name
        assert one.specifier.contains(next(iter(pin.specifier)).version), one.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_all_locks_agree(lock: Path) -> None:
    for name, pin in pins(lock).items():
        assert str(PINNED.get(name, pin).specifier) == str(pin.specifier), name


@pytest.mark.parametrize(("lock", "lines"), [("run", PROJECT["dependencies"]), *EXTRAS.items()])
def test_what_is_asked_for_is_locked(lock: str, lines: list[str]) -> None:
    locked = pins(ROOT / "requirements" / f"{lock}.lock")
    for one in map(Requirement, lines):
        assert canonicalize_name(one.name) in locked


HOLE = {"id": "CVE-2026-1", "fix_versions": ["1.1"], "aliases": [], "description": "bad"}
FOUND = {"name": "one", "version": "1.0", "vulns": [HOLE]}
CLEAN = {"name": "two", "version": "1.0", "vulns": []}
UNASKED = {"name": "three", "skip_reason": "no service"}


@pytest.mark.parametrize(
    ("listed", "status", "told"),
    [
        ([CLEAN, FOUND], 1, "one 1.0: CVE-2026-1, fixed in 1.1"),
        ([CLEAN, UNASKED], 0, "1 lock files, 0 known holes"),
        ([UNASKED], 0, "SKIPPED, no vulnerability service can be reached"),
        (None, 0, "SKIPPED, no vulnerability service can be reached"),
    ],
)
def test_an_audit_fails_for_a_hole_and_says_when_nobody_was_asked(
    listed: list[dict[str, object]] | None, status: int, told: str, tmp_path: Path
) -> None:
    """With an auditor of our own in place of the real one, which needs a network."""
    answer = "" if listed is None else json.dumps({"dependencies": listed})
    (tmp_path / "pip_audit.py").write_text(f"print({answer!r})")
    script = ROOT / "requirements" / "audit.py"
    done = subprocess.run(
        [sys.executable, str(script), "run.lock"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert told in done.stdout
