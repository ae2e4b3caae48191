"""The data folder is closed to other users, or not used."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ums.config import Settings, SettingsError
from ums.core.common.data_folder import secure
from ums.core.maintenance.startup import open_system


@pytest.fixture
def dialect() -> str:
    return "sqlite"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_ours_alone(tmp_path: Path) -> None:
    secure(tmp_path / "new" / "var")
    assert mode(tmp_path / "new" / "var") == 0o700


@pytest.mark.parametrize("name", ["ums.db", "ums.key", "ums.lock", "lost+found", None])
def test_an_open_folder_of_ours_is_closed(tmp_path: Path, name: str | None) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    if name is not None:
        (folder / name).touch()
    folder.chmod(0o755)
    secure(folder)
    assert mode(folder) == 0o700


def test_what_lies_in_it_is_closed_too(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o644)
    outside.chmod(0o644)
    folder = tmp_path / "var"
    (folder / "uploads").mkdir(parents=True)
    for name in ("ums.db", "ums.db-wal", "ums.key", "server.json"):
        (folder / name).touch()
        (folder / name).chmod(0o644)
    (folder / "uploads").chmod(0o755)
    (folder / "link").symlink_to(outside)
    folder.chmod(0o700)
    secure(folder)
    modes = {path.name: mode(path) for path in folder.iterdir() if not path.is_symlink()}
    assert modes.pop("uploads") == 0o700
    assert set(modes.values()) == {0o600}
    assert mode(outside) == 0o644  # what a link leads to is somebody's own


def test_it_is_closed_where_the_system_follows_all_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with glibc before 2.32."""
    chmod = os.chmod

    def older(path: Any, mode: int, *, follow_symlinks: bool = True) -> None:
        if not follow_symlinks:
            raise NotImplementedError("chmod: follow_symlinks unavailable on this platform")
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", older)
    folder = tmp_path / "var"
    folder.mkdir(0o700)
    (folder / "ums.db").touch()
    chmod(folder / "ums.db", 0o644)
    secure(folder)
    assert mode(folder / "ums.db") == 0o600


def test_a_folder_of_others_is_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letters").touch()
    home.chmod(0o755)
    with pytest.raises(SettingsError, match="UMS_DATA_DIR"):
        secure(home)
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(SettingsError, match="UMS_DATA_DIR"):
        secure(shared)
    assert (mode(home), stat.S_IMODE(shared.stat().st_mode)) == (0o755, 0o1777)


def test_a_folder_that_cannot_be_closed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    folder.chmod(0o775)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:  # as for whoever is not its owner
        patch.setattr(os, "chmod", denied)
        patch.setattr(Path, "chmod", denied)
        with pytest.raises(SettingsError, match="have its owner close it"):
            secure(folder)


async def test_every_start_looks_at_it(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    async with open_system(structs.replace(settings, data_dir=folder)):
        assert mode(folder) == 0o700
        assert mode(folder / "ums.key") == 0o600
