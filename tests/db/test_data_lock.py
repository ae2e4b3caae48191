"""One process at a time may write a SQLite data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from ums.config import Settings
from ums.core.maintenance.startup import open_system
from ums.db import DataLock, HeldError

TAKE = """
import sys
from pathlib import Path
from ums.db import DataLock
DataLock(Path(sys.argv[1])).take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_the_lock_has_one_holder(tmp_path: Path) -> None:
    one, two = DataLock(tmp_path), DataLock(tmp_path)
    one.take()
    with pytest.raises(HeldError):
        two.take()
    one.release()
    one.release()  # twice does no harm
    two.take()
    two.release()
    assert (tmp_path / "ums.lock").stat().st_mode & 0o777 == 0o600


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        mine = DataLock(tmp_path)
        with pytest.raises(HeldError):
            mine.take()
        process.kill()
        process.wait()
        mine.take()
        mine.release()


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_second_system_on_the_same_folder_is_refused(settings: Settings) -> None:
    async with open_system(settings):
        with pytest.raises(HeldError):
            async with open_system(settings):
                pass
    async with open_system(settings):
        pass
