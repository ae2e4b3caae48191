"""`ums` started by forking a process that has loaded it: 50 ms instead of more than a second.

The parent of all of them is a server of this process's own. What it starts is as if by
`python -m ums`: a process with the given environment, whose output goes to the given files.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

PRELOADED = ("ums.cli.processes.serve", "ums.core.imports.runner")


class Forked:
    """A process that was started, with the part of subprocess.Popen that tests use."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("ums", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _status(self, timeout: float | None) -> int | None:
        """How it ended, within so many seconds; minus the signal's number where one ended it."""
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(os.read(self._ended, 20)))
            os.close(self._ended)
        return self.returncode


def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    output: int,
    *,
    errors: int | None = None,
    input: int | None = None,
) -> Forked:
    """Start `ums` with these arguments and open files; without `errors` they go to the output."""
    with Path(os.devnull).open("rb") as nothing:
        stdin = nothing.fileno() if input is None else input
        stderr = output if errors is None else errors
        return _server().start(arguments, env, (stdin, output, stderr))


@cache
def _server() -> "_Server":
    return _Server()


class _Server:
    """The process that forks, as others see it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("UMS_")}
        clean.pop("PYTHONUNBUFFERED", None)  # a service's output is buffered
        clean["LC_ALL"] = "C.UTF-8"  # the encoding of what it prints is that of its first moment
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self._end)

    def start(
        self, arguments: Sequence[str], env: Mapping[str, str], stdio: tuple[int, int, int]
    ) -> Forked:
        ended, tells = os.pipe()
        asked = {"arguments": list(arguments), "env": dict(env), "folder": str(Path.cwd())}
        socket.send_fds(self._socket, [json.dumps(asked).encode()], [*stdio, tells])
        os.close(tells)
        answer = self._socket.recv(20)
        assert answer, "the forking server has ended"
        return Forked(int(answer), ended)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


def _serve(connection: socket.socket) -> list[str]:
    """Fork for each request until nobody asks any more. Returns in each child, with its arguments;
    this process itself ends here."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, woken], [], [])
        if woken in ready:
            os.read(woken, 1000)
            _reap(children)
        if connection not in ready:
            continue
        text, fds, _, _ = socket.recv_fds(connection, 1 << 20, 4)
        if not text:
            os._exit(0)
        *stdio, tells = fds
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (woken, wakes, tells, *children.values()):
                os.close(fd)
            connection.close()
            return _become(json.loads(text), stdio)
        for fd in stdio:
            os.close(fd)
        children[pid] = tells
        connection.send(str(pid).encode())


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        tells = children.pop(pid)
        with suppress(BrokenPipeError):  # nobody waits
            os.write(tells, str(status).encode())
        os.close(tells)


def _become(asked: dict[str, Any], stdio: list[int]) -> list[str]:
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for own, fd in enumerate(stdio):
        os.dup2(fd, own)
        os.close(fd)
    return asked["arguments"]


if __name__ == "__main__":
    import gc
    import importlib

    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    sys.argv = ["ums", *_serve(socket.socket(fileno=int(sys.argv[1])))]
    from ums.cli import main

    main()
