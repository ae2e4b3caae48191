"""Look for known holes in the distributions that lock files name: `make audit`.

Ends with status 1 where one has a known hole. Where no vulnerability service can be reached, says
so and ends with 0: an audit that could not be made is neither a pass nor a failure.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVICES = ("osv", "pypi")


def main(*locks: str) -> int:
    found = [_audit(Path(lock)) for lock in locks]
    asked = [each for each in found if each is not None]
    if not asked:
        print("audit: SKIPPED, no vulnerability service can be reached from here")
        return 0
    holes = sorted({line for each in asked for line in each})
    for line in holes:
        print(f"audit: {line}")
    print(f"audit: {len(asked)} lock files, {len(holes)} known holes")
    return 1 if holes or len(asked) < len(found) else 0


def _audit(lock: Path) -> list[str] | None:
    """The holes of what the file names; None where no service answers."""
    for service in SERVICES:
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip"]
        command += ["--require-hashes", "--format", "json", "--progress-spinner", "off"]
        command += ["--vulnerability-service", service, "--timeout", "10"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        report = _read(done.stdout)
        if report is not None:
            return [_told(one, hole) for one in report for hole in one["vulns"]]
    return None


def _read(text: str) -> list[dict[str, Any]] | None:
    """What was audited; None where that is nothing."""
    try:
        listed = json.loads(text)["dependencies"]
    except (ValueError, KeyError):
        return None
    audited = [one for one in listed if "skip_reason" not in one]
    return audited or None


def _told(one: dict[str, Any], hole: dict[str, Any]) -> str:
    fixed = ", ".join(hole["fix_versions"]) or "no version yet"
    return f"{one['name']} {one['version']}: {hole['id']}, fixed in {fixed}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
