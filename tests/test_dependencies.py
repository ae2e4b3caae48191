"""No dependency is older than the version that closed its last known hole (threat 50)."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WANTED = [
    Requirement(line)
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
]
PINNED = {
    canonicalize_name(one.name): one
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line.strip() and not line.startswith("#")
    for one in [Requirement(line)]
}
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
