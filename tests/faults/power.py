"""Power cuts: strace writes down what a process does to some files, and the disk is made as it may
be found after a cut at any moment of that.

What was synced is there. Of what was written since, nothing, all, or any part may be: a disk writes
in whatever order it likes, and half a page at times. What was cut off after that, too.
"""

import random
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SECTOR = 512  # octets that are written whole or not at all
STRACE = ["strace", "-D", "-f", "-o", "/dev/null"]  # the process itself is ours, not strace
# What one call writes is recorded whole up to here: PostgreSQL empties the buffers of its log at
# once when it can, and they are 4 MiB.
MOST_WRITTEN = 16 << 20  # octets

_CALL = re.compile(rb"(\d+) +([\d.]+) (\w+)\(\d+<((?:\\x..)+)>(.*)")
_GOES_ON = re.compile(rb"(\d+) +([\d.]+) <\.\.\. (\w+) resumed>.*= (-?\d+)")
_DATA = re.compile(rb', "((?:\\x..)*)", \d+, (\d+)')
_SIZE = re.compile(rb", (\d+)")
_ANSWER = re.compile(rb"= (-?\d+)")


class Step(NamedTuple):
    """One change of a file, or the promise of the system that all before it are on the disk."""

    time: float  # when it began, by the wall clock
    path: Path
    data: bytes | None = None  # written; None: its end is cut off at `offset`
    offset: int = 0
    synced: bool = False


def strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run([*STRACE, "true"], capture_output=True)  # noqa: PLW1510
    return tried.returncode == 0


def recording(paths: Sequence[Path], log: Path) -> list[str]:
    """The command under which a process is recorded into `log`."""
    calls = "trace=pwrite64,fsync,fdatasync,ftruncate"
    what = ["-e", calls, "-s", str(MOST_WRITTEN), *(f"--trace-path={path}" for path in paths)]
    return ["strace", "-D", "-f", "-q", "-ttt", "-y", "-xx", "-o", str(log), *what]


def recorded(log: Path, pid: int) -> list[Step]:
    """What the process and its children did until its end."""
    _until_written(log, f"{pid} ".encode())
    steps: list[Step] = []
    begun: dict[bytes, bytes] = {}  # by thread: the file that it syncs
    for line in log.read_bytes().splitlines():
        if call := _CALL.match(line):
            thread, at, name, path, rest = call.groups()
            if name.endswith(b"sync") and b"<unfinished" in rest:
                begun[thread] = path
                continue
            if (step := _step(float(at), name, path, rest)) is not None:
                steps.append(step)
        elif (end := _GOES_ON.match(line)) and end[1] in begun:
            path = begun.pop(end[1])
            if int(end[4]) == 0:
                steps.append(Step(float(end[2]), _path(path), synced=True))
    return steps


def _until_written(log: Path, start: bytes) -> None:
    """strace ends a moment after what it follows."""
    deadline = time.monotonic() + 30
    while not any(
        line.startswith(start) and b" +++ " in line
        for line in log.read_bytes()[-100_000:].splitlines()
    ):
        assert time.monotonic() < deadline, "strace did not tell of the end"
        time.sleep(0.05)


def _step(at: float, name: bytes, path: bytes, rest: bytes) -> Step | None:
    answer = _ANSWER.search(rest)
    if name.endswith(b"sync"):
        done = answer is not None and int(answer[1]) == 0
        return Step(at, _path(path), synced=True) if done else None
    if name == b"ftruncate":
        size = _SIZE.match(rest)
        assert size is not None, rest
        return Step(at, _path(path), offset=int(size[1]))
    data = _DATA.match(rest)
    assert data is not None, rest[-200:]
    return Step(at, _path(path), bytes.fromhex(data[1].decode().replace("\\x", "")), int(data[2]))


def _path(text: bytes) -> Path:
    return Path(bytes.fromhex(text.decode().replace("\\x", "")).decode())


def disk_after(
    start: Mapping[Path, bytes], steps: Sequence[Step], chance: random.Random
) -> dict[Path, bytes]:
    """The files as they may be found after a cut behind `steps`."""
    files = {path: bytearray(data) for path, data in start.items()}
    open_steps: dict[Path, list[Step]] = {}
    for step in steps:
        waiting = open_steps.setdefault(step.path, [])
        if not step.synced:
            waiting.append(step)
            continue
        for one in waiting:
            _apply(files.setdefault(step.path, bytearray()), one)
        waiting.clear()
    kept = chance.choice((0.0, 0.5, 1.0))
    for path, waiting in open_steps.items():
        for one in waiting:
            if chance.random() < kept:
                _apply(files.setdefault(path, bytearray()), _torn(one, chance))
    return {path: bytes(data) for path, data in files.items()}


def _apply(file: bytearray, step: Step) -> None:
    if step.data is None:
        file[step.offset :] = bytes(max(0, step.offset - len(file)))
        return
    file.extend(bytes(max(0, step.offset - len(file))))
    file[step.offset : step.offset + len(step.data)] = step.data


def _torn(step: Step, chance: random.Random) -> Step:
    """Now and then only the first sectors of a write."""
    if step.data is None or chance.random() < 0.7:
        return step
    whole = SECTOR - step.offset % SECTOR + SECTOR * chance.randrange(8)
    return step._replace(data=step.data[:whole])
