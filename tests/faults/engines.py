"""The engine in a process of its own, as a user runs it, so that it can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from support import forked
from support.forked import Forked
from ums.config import Settings

LEASE_SECONDS = 1.5  # a dead worker's mail comes back after this on PostgreSQL, on SQLite at once
DOUBT_SECONDS = 0.5
STOP_SECONDS = 20


class Engine:
    """`ums work` on PostgreSQL, `ums serve` on SQLite; further settings by their names."""

    def __init__(
        self,
        settings: Settings,
        *,
        serve: bool = False,
        log: Path | None = None,
        under: Sequence[str] = (),
        anew: bool = False,
        **further: object,
    ) -> None:
        """`log` is where its output goes, `under` the command that starts it (strace, say); `anew`
        is the whole start that a user waits for, where others fork what is loaded already."""
        self._command = "serve" if settings.is_sqlite or serve else "work"
        given = {
            "data_dir": settings.data_dir,
            "database_url": settings.database_url,
            "port": 0,
            "demo": "false",
            "log_level": "warning",
            "lease_seconds": LEASE_SECONDS,
            "unknown_retry_seconds": DOUBT_SECONDS,
            **further,
        }
        self._own = {f"UMS_{name.upper()}": str(value) for name, value in given.items()}
        self._log = log or settings.data_dir / "engine.log"
        self._under, self._anew = under, anew
        self._process: subprocess.Popen[bytes] | Forked | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(f"{self._command}, running: {self.running}; its last lines:\n{self._told()}")
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self, **further: object) -> None:
        """Start a new process; `further` settings are for this one alone."""
        extra = {f"UMS_{name.upper()}": str(value) for name, value in further.items()}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("UMS_")}
        clean.pop("PYTHONUNBUFFERED", None)  # a service's output is buffered
        env = {**clean, **self._own, **extra}
        with self._log.open("ab") as log:
            if self._under or self._anew:
                self._process = subprocess.Popen(
                    [*self._under, sys.executable, "-m", "ums", self._command],
                    env=env,
                    stdout=log,
                    stderr=log,
                )
            else:
                self._process = forked.start([self._command], env, log.fileno())

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def memory(self) -> int:
        """What it has of the machine's, in octets."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) * 1024

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def freeze(self) -> None:
        """SIGSTOP: it does nothing at all any more, and does not know it."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def gone(self, seconds: float = 60) -> None:
        """Wait until it has ended by itself, in whatever way."""
        self._running().wait(seconds)
        self._process = None

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

    def _running(self) -> subprocess.Popen[bytes] | Forked:
        assert self._process is not None, "not started"
        return self._process

    def _told(self) -> str:
        return self._log.read_text(errors="replace")[-4000:] if self._log.is_file() else ""
