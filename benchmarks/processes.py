"""Processes of a measurement: the server, the sink, and code that is measured alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ums.config import Settings

ROOT = Path(__file__).parent.parent


def measure(function: str, **arguments: object) -> dict[str, Any]:
    """Run `module:function` of this package in a new process; what it gives must fit in JSON."""
    command = [sys.executable, "-m", "benchmarks.alone", function, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=_clean(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def sink(round_trip: float = 0.0) -> Iterator[int]:
    """The port of a running sink."""
    command = [sys.executable, "-m", "benchmarks.sink", str(round_trip)]
    process = subprocess.Popen(command, cwd=ROOT, env=_clean(), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(settings: Settings) -> Iterator[int]:
    """The port of a running `ums serve`."""
    address = settings.data_dir / "server.json"
    address.unlink(missing_ok=True)
    own = {
        "UMS_DATA_DIR": str(settings.data_dir),
        "UMS_DATABASE_URL": settings.database_url,
        "UMS_PORT": "0",
        "UMS_DEMO": "false",
        "UMS_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "ums", "serve"]
    process = subprocess.Popen(
        command, env={**_clean(), **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield _port(address, process)
    finally:
        process.terminate()
        process.wait(30)


def _port(address: Path, process: "subprocess.Popen[bytes]") -> int:
    while not address.exists():
        if process.poll() is not None:
            raise RuntimeError("`ums serve` did not start")
        time.sleep(0.05)
    return int(json.loads(address.read_text())["url"].rpartition(":")[2])


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("UMS_")}
