"""`python -m benchmarks [--quick] [--only accept,send] [--users N]`; see docs/benchmarks.md."""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import accept, bulk, deliver, pages, search, wire
from benchmarks.figures import Goal, Result, Section
from benchmarks.processes import ROOT
from benchmarks.systems import Databases, databases
from ums import __version__

PAGE = ROOT / "docs" / "benchmarks.md"
ABOUT = """# Benchmarks

What `make bench` measured last. Every figure stands beside references from the same run on the
same machine, and only their ratios carry over to another one. The targets are the project's own;
where one is missed, it says so.
"""


def main() -> None:
    given = _arguments()
    parts: dict[str, Callable[[Databases], Result]] = {
        "accept": lambda d: accept.run(d, given.quick),
        "send": lambda d: deliver.run(d, given.quick),
        "wire": lambda d: wire.run(d, given.quick),
        "expand": lambda d: bulk.expansion(d, given.quick, given.users),
        "import": lambda d: bulk.importing(d, given.quick),
        "pages": lambda d: pages.run(d, given.quick),
        "search": lambda d: search.run(d, given.quick),
    }
    wanted = given.only.split(",") if given.only else list(parts)
    unknown = set(wanted) - set(parts)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    sections: list[Section] = []
    goals: list[Goal] = []
    with databases() as found:
        for name in wanted:
            result = parts[name](found)
            print("\n".join([line for s in result.sections for line in s.lines()]), flush=True)
            sections += result.sections
            goals += result.goals
    targets = _targets(goals)
    print("\n".join(targets.lines()))
    if given.quick or given.only:
        print(f"Only a whole run is written to {PAGE.relative_to(ROOT)}.")
    else:
        _write(PAGE, [targets, *sections])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--only", default="", help="of accept,send,wire,expand,import,pages,search")
    parser.add_argument("--users", type=int, default=200_000, help="audience of the expansion")
    return parser.parse_args()


def _targets(goals: list[Goal]) -> Section:
    reached = sum(bool(goal.reached) for goal in goals)
    about = f"{reached} of {len(goals)} reached."
    columns = ["work", "target", "this run", ""]
    return Section("Targets", about, columns, [goal.row() for goal in goals])


def _write(page: Path, sections: list[Section]) -> None:
    machine = [
        f"- {datetime.now(UTC):%Y-%m-%d}, UMS {__version__}, commit {_commit()}",
        f"- {_processor()}, {os.cpu_count()} cores, shared with whatever else ran; Linux"
        f" {platform.release().partition('-')[0]}, Python {platform.python_version()}",
        f"- `make bench ARGS='{' '.join(sys.argv[1:])}'`".replace(" ARGS=''", ""),
    ]
    lines = [ABOUT, *machine, "", *(line for section in sections for line in section.lines())]
    page.write_text("\n".join(lines).rstrip() + "\n")
    print(f"Written to {page.relative_to(ROOT)}.")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
