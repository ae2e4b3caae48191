"""Further delivery processes beside the web server: started, watched, and stopped with it."""

import subprocess
import sys
import threading
import time
from typing import Self

import structlog

log = structlog.get_logger()
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
SOUND_AFTER = 60.0  # seconds; one that lived so long is no sign of a lasting trouble


class Workers:
    """`count` processes of `ums work`; one that ends by itself is started again."""

    def __init__(self, count: int, patience: float) -> None:
        self._patience = patience  # seconds for a graceful stop
        self._stopping = threading.Event()
        self._starting = threading.RLock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._watchers = [threading.Thread(target=self._watch) for _ in range(count)]

    def __enter__(self) -> Self:
        for watcher in self._watchers:
            watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        deadline = time.monotonic() + self._patience
        for watcher in self._watchers:
            watcher.join(max(deadline - time.monotonic(), 0))
        for process in list(self._running.values()):
            process.kill()  # what it holds comes back by its lease
        for watcher in self._watchers:
            watcher.join()

    def stop(self) -> None:
        """Ask them to end, and do not wait; a signal handler may call it."""
        self._stopping.set()
        with self._starting:
            for process in list(self._running.values()):
                process.terminate()

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            status = self._run()
            if self._stopping.is_set():
                return
            log.error("a worker ended; it is started again", status=status)
            lived = time.monotonic() - began
            pause = FIRST_PAUSE if lived > SOUND_AFTER else min(pause * 2, LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _run(self) -> int | str | None:
        """Run a worker to its end: its exit status, or why it could not be started."""
        command = [sys.executable, "-m", "ums", "work", "--while-open"]
        try:
            with self._starting:
                if self._stopping.is_set():
                    return None
                # The pipe ends with this process, however that ends, and the worker with the pipe.
                process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603
                self._running[process.pid] = process
        except OSError as error:
            return str(error)
        log.info("worker started", worker=process.pid)
        status = process.wait()
        self._running.pop(process.pid, None)
        return status
