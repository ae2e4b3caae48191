"""The engine in a process of its own, as a user runs it, so that it can be killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from ums.config import Settings

LEASE_SECONDS = 1.5  # a dead worker's mail comes back after this on PostgreSQL, on SQLite at once
DOUBT_SECONDS = 0.5
STOP_SECONDS = 20


class Engine:
    """`ums work` on PostgreSQL, `ums serve` on SQLite; further settings by their names."""

    def __init__(self, settings: Settings, *, serve: bool = False, **further: object) -> None:
        self._command = "serve" if settings.is_sqlite or serve else "work"
        given = {
            "data_dir": settings.data_dir,
            "database_url": settings.database_url,
            "port": 0,
            "demo": "false",
            "log_level": "warning",
            "lease_seconds": LEASE_SECONDS,
            "doubt_seconds": DOUBT_SECONDS,
            **further,
        }
        self._own = {f"UMS_{name.upper()}": str(value) for name, value in given.items()}
        self._log = settings.data_dir / "engine.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self, **further: object) -> None:
        """Start a new process; `further` settings are for this one alone."""
        extra = {f"UMS_{name.upper()}": str(value) for name, value in further.items()}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("UMS_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ums", self._command],
                env={**clean, **self._own, **extra},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """`kill -9`. Raises when the process had ended before by itself."""
        process = self._running()
        assert process.poll() is None, self._told()
        process.kill()
        process.wait()
        self._process = None

    def wait_killed(self, seconds: float = 60) -> None:
        """Wait until a fail point has killed it."""
        process = self._running()
        assert process.wait(seconds) == -signal.SIGKILL, self._told()
        self._process = None

    def stop(self) -> None:
        """SIGTERM; it must end by itself, and in order."""
        process = self._running()
        process.terminate()
        # uvicorn raises the signal again when it has served everybody.
        assert process.wait(STOP_SECONDS) in (0, -signal.SIGTERM), self._told()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def _told(self) -> str:
        return Path(self._log).read_text(errors="replace")[-4000:]
