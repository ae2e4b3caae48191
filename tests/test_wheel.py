"""What we hand out is whole: the wheel and the sdist hold every file that UMS needs."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATIC = "ums/console/static"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder)]
    if importlib.util.find_spec("hatchling"):
        command += ["--no-isolation", "--skip-dependency-check"]
    done = subprocess.run(
        [*command, str(ROOT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    """Names without the folder that is above all of them."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def package_files() -> set[str]:
    """Every file of the package that belongs to the sources, relative to src/."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which files belong to it")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src/ums"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    return {name.removeprefix("src/") for name in names}


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package(wheel: set[str]) -> None:
    assert package_files() - wheel == set()
    assert "ums/console/html/base.html" in wheel
    assert "ums/console/locales/common.toml" in wheel


def test_the_wheel_holds_the_bundle_that_pages_name(built: Path, wheel: set[str]) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = json.loads(archive.read(f"{STATIC}/manifest.json"))
    assert set(names) == {"app.js", "editor.js", "app.css", "reference.css"}
    assert {f"{STATIC}/{name}" for name in names.values()} <= wheel


def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ums"}
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)


def test_the_sdist_installs_without_node(sdist: set[str]) -> None:
    """It carries the bundle, and the stamp that tells the build hook so."""
    assert f"src/{STATIC}/manifest.json" in sdist
    assert f"src/{STATIC}/sources.sha256" in sdist
    assert {"frontend/package-lock.json", "frontend/build.mjs", "hatch_build.py"} <= sdist
    assert not any("node_modules" in name for name in sdist)


def test_no_lock_file_names_a_registry() -> None:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert "://" not in lock.read_text()
